"""Sampling: which problems, in which order of choices, with which sound; and the stage `training_generate`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.algorithms.grading import graded
from audio_reasoning.algorithms.params import Generate
from audio_reasoning.algorithms.recipe import GeneratePart
from audio_reasoning.algorithms.tree import Node
from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, write_json
from audio_reasoning.core.models import CONFIG, WEIGHTS, base_identity
from audio_reasoning.core.records import Audio, Rollout
from audio_reasoning.core.rollouts import DEV, HEARD, SILENCE, Sample, read_records
from audio_reasoning.engines.answer import check_clips
from audio_reasoning.engines.params import Asking
from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count
from audio_reasoning.prompts.registry import load_prompt
from stages import training_generate as generate
from stages.layout import AUDIO, BASE_MODEL
from stages.recipes import part_of
from tests.training_records import CHOICES, ROOT, parameters, question, write_parameters, write_questions

GENERATE = Generate(
    problems=10, fresh=True, n=4, requests=2, temperature=0.9, top_p=0.95, max_tokens=64,
    shuffle_choices=True, silence_n=2,
)  # fmt: skip
TRAIN = [question(f"q{i}") for i in range(30)]


# ── Problems ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def chosen(depth, seed=1, **change):
    settings = GENERATE.model_copy(update=change)
    return [q.id for q in generate.chosen_problems(TRAIN, settings, seed, depth)]


def test_fresh_problems_are_others_in_each_iteration():
    rounds = [chosen(depth) for depth in range(3)]
    assert [len(ids) for ids in rounds] == [10, 10, 10]
    assert {name for ids in rounds for name in ids} == {q.id for q in TRAIN}


def test_else_they_are_the_same_ones():
    rounds = [chosen(depth, fresh=False) for depth in range(9)]
    assert all(ids == rounds[0] for ids in rounds) and len(set(rounds[0])) == 10


def test_problems_are_drawn_at_random_by_the_seed():
    assert chosen(0) == chosen(0) != chosen(0, seed=2)
    assert chosen(0) != [q.id for q in TRAIN[:10]]


@pytest.mark.parametrize(
    ("depth", "problems", "fresh", "needed"), [(3, 10, True, 40), (0, 31, True, 31), (5, 31, False, 31)]
)
def test_too_few_questions_are_told_with_what_is_needed(depth, problems, fresh, needed):
    with pytest.raises(UserError) as caught:
        chosen(depth, problems=problems, fresh=fresh)
    assert f"data/questions/train.jsonl has 30 questions; model {depth + 1} needs {needed}:" in str(caught.value)


def test_the_last_question_can_be_used():
    assert len(chosen(0, problems=30)) == len(chosen(2)) + 20 == 30


# ── Choices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.text().filter(str.strip), min_size=2, max_size=9, unique_by=str.strip).flatmap(
        lambda choices: st.tuples(st.just(tuple(choices)), st.integers(0, len(choices) - 1))
    ),
    st.integers(0, 99),
    st.booleans(),
)
def test_the_order_maps_choices_as_asked_to_the_questions_own(given_choices, seed, shuffle):
    choices, answer = given_choices
    own = replace(question("q"), choices=choices, answer=answer)
    asked, order = generate.asked(own, shuffle, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(choices)))
    assert [own.choices[place] for place in order] == list(asked.choices)
    assert asked.choices[asked.answer] == own.choices[own.answer] and order[asked.answer] == own.answer
    assert replace(asked, choices=own.choices, answer=own.answer) == own
    if not shuffle:
        assert asked == own


def test_every_place_of_the_right_choice_is_as_likely():
    rng = np.random.default_rng(0)
    places = [generate.asked(question("q"), True, rng)[0].answer for _ in range(400)]
    assert all(70 < places.count(place) < 130 for place in range(4))


# ── Silence ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of its own, the working directory, with the mini profile's parameters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").symlink_to(ROOT / "prompts")
    return tmp_path


def heard(name, samples=16_000):
    """A question about noise."""
    path = AUDIO / f"mini/{name}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(samples), 16_000)
    return question(name, audio=Audio(f"mini/{name}.flac", sha256_file(path), samples / 16_000))


@pytest.mark.parametrize("samples", [160, 16_000, 33_600, 25_920])
def test_silence_is_as_long_as_the_clip_and_has_as_many_audio_tokens(project, samples):
    own = heard("q", samples)
    silent = silenced(own, AUDIO)
    wave, rate = soundfile.read(AUDIO / silent.audio.path, dtype="int16")
    assert rate == 16_000 and wave.shape == (samples,) and not wave.any()
    assert soundfile.info(AUDIO / silent.audio.path).format == "FLAC"
    assert audio_token_count(len(wave)) == audio_token_count(samples)
    assert replace(silent, audio=own.audio) == own and silent.audio.duration_s == own.audio.duration_s
    check_clips([own, silent], AUDIO)


def test_clips_of_one_length_share_one_file_of_silence_which_is_written_once(project):
    first, second = silenced(heard("a"), AUDIO), silenced(heard("b"), AUDIO)
    written = (AUDIO / first.audio.path).stat().st_mtime_ns
    third, longer = silenced(heard("c"), AUDIO), silenced(heard("d", 16_160), AUDIO)
    assert first.audio == second.audio == third.audio != longer.audio
    assert (AUDIO / first.audio.path).stat().st_mtime_ns == written
    assert {file.name for file in (AUDIO / first.audio.path).parent.iterdir()} == {"100.flac", "101.flac"}


# ── Samples ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Backend:
    """Stands in for a model: answers the first choice, and remembers what it was asked."""

    def __init__(self, ids=(5, 6), status="ok"):
        self.ids, self.status, self.calls = ids, status, []

    def __call__(self, questions, prompt, setup, decoding, max_error_rate=0.0, keep_ids=False):
        assert keep_ids
        self.calls.append((setup, decoding, questions))
        error = "HTTP 400" if self.status == "error" else ""
        ids = {} if error else {"prompt_token_ids": self.ids, "completion_token_ids": self.ids}
        return [
            Rollout(q.id, i, f"ANSWER: {q.choices[0]}", "stop", 2, 2, error=error, **ids)
            for q in questions
            for i in range(decoding.n)
        ], {}


@pytest.fixture
def backend(monkeypatch):
    found = Backend()
    monkeypatch.setattr(generate, "answer_questions", found)
    return found


@pytest.fixture
def params(monkeypatch):
    with monkeypatch.context() as there:
        there.chdir(ROOT)
        found = parameters()
        rest = found.rest.model_copy(update={"generate": found.rest.generate.model_copy(update={"n": 4})})
        parts = {
            name: part_of(GeneratePart, Node.model_validate({"from": name, "method": "rest"}), rest, "0" * 64, "")
            for name in ("base", "iter1")
        }
        return Asking(infer=found.infer, thinking=found.thinking, serve=found.serve, runtime=found.runtime), parts


def sampled(params, problems, condition=HEARD, n=4, requests=1, start="base"):
    asked = [generate.asked(q, True, np.random.default_rng(i)) for i, q in enumerate(problems)]
    prompt = load_prompt("structured_reasoning", ROOT / "prompts")
    asking, parts = params
    return asked, generate.sample(asked, condition, n, requests, prompt, parts[start], asking)


def test_each_sample_says_how_its_question_was_asked_and_whether_it_was_right(project, backend, params):
    asked, rows = sampled(params, TRAIN[:5])
    assert [(s.problem_id, s.sample_index) for s in rows] == [(q.id, i) for q in TRAIN[:5] for i in range(4)]
    by_name = {q.id: (q, order) for q, order in asked}
    for row in rows:
        question, order = by_name[row.problem_id]
        assert (row.order, row.text) == (order, f"ANSWER: {question.choices[0]}")
    found = graded(rows, {q.id: q for q in TRAIN})
    assert [s.correct for s in found] == [CHOICES[s.order[0]] == CHOICES[0] for s in found]
    assert {s.correct for s in found} == {True, False}


def test_samples_are_split_evenly_over_requests_whose_seeds_go_on_where_the_last_ended(project, backend, params):
    adapter = Path("models/iter1/adapter")
    write_json(Path("models/base/config.json"), {"the": "base"})
    write_json(adapter / CONFIG, {"r": 1})
    (adapter / WEIGHTS).write_bytes(b"an adapter's weights, of which only the hash matters here")
    row = {"depth": 1, "base": base_identity(BASE_MODEL), "adapter": sha256_file(adapter / WEIGHTS)}
    write_json(Path("models/iter1/model.json"), row)
    _, rows = sampled(params, TRAIN[:2], n=6, requests=3, start="iter1")
    assert [(s.problem_id, s.sample_index) for s in rows] == [(q.id, i) for q in TRAIN[:2] for i in range(6)]
    seeds = [decoding.seed for _, decoding, _ in backend.calls]
    assert [decoding.n for _, decoding, _ in backend.calls] == [2, 2, 2] and np.diff(seeds).tolist() == [2, 2]
    assert {(setup.model, setup.adapter) for setup, _, _ in backend.calls} == {(BASE_MODEL, adapter)}
    sampled(params, TRAIN[:2], n=6, start="base")
    assert backend.calls[-1][1].seed != seeds[0], "another model draws other samples"


def test_silence_is_what_is_heard_in_that_condition_alone(project, backend, params):
    own = heard("q")
    for condition, silent in ((HEARD, False), (DEV, False), (SILENCE, True)):
        _, rows = sampled(params, [own], condition)
        (asked,) = backend.calls[-1][2]
        assert (asked.audio == silenced(own, AUDIO).audio, asked.audio == own.audio) == (silent, not silent)
        assert {s.condition for s in rows} == {condition} and {s.problem_id for s in rows} == {"q"}


def test_a_backend_without_token_ids_is_refused_but_a_failed_request_has_none(project, backend, params):
    backend.ids = None
    with pytest.raises(UserError, match=r"q0: the backend gives no token ids.*use infer\.backend vllm"):
        sampled(params, TRAIN[:1])
    backend.status = "error"
    _, rows = sampled(params, TRAIN[:1])
    found = graded(rows, {q.id: q for q in TRAIN})
    assert [(s.status, s.error, s.correct, s.completion_token_ids) for s in found] == [
        ("error", "HTTP 400", False, ())
    ] * 4


# ── The stage ────────────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = {"problems": 2, "n": 4, "requests": 2, "silence_n": 3}


def configure(backend="vllm"):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["infer"].update(backend=backend, endpoint_model="theirs")
    params["rest"]["generate"].update(SMALL)
    params["rest"]["check"].update(control_questions=2, control_n=1)
    params["models"] = {"iter1": {"from": "base", "method": "rest"}}
    write_parameters(params)
    write_questions("train", [heard(f"t{i}") for i in range(4)])
    write_questions("dev", [heard(f"d{i}") for i in range(3)])


def fails(monkeypatch, capsys, name="iter1"):
    monkeypatch.setattr("sys.argv", ["generate", "--model", name])
    with pytest.raises(SystemExit) as caught:
        generate.main()
    assert caught.value.code == 2
    assert not Path("data/training").exists()
    return capsys.readouterr().err


def test_the_stage_samples_problems_controls_and_silence(project, backend, monkeypatch, capsys):
    configure()
    monkeypatch.setattr("sys.argv", ["generate", "--model", "iter1"])
    generate.main()
    rows = read_records(Path("data/training/iter1/samples.parquet"), Sample)
    counts = {condition: len([s for s in rows if s.condition == condition]) for condition in (HEARD, DEV, SILENCE)}
    assert counts == {HEARD: 2 * 4, DEV: 2 * 1, SILENCE: 2 * 3}
    assert {s.problem_id for s in rows if s.condition == DEV} == {"d0", "d1"}
    orders = {(s.problem_id, s.order) for s in rows if s.condition != DEV}
    assert len(orders) == 2, "heard or not, a problem's choices come in one order"
    told = capsys.readouterr().out
    assert "iter1: 2 problems x 4 samples from base" in told and "control_questions" not in told


def test_fewer_dev_questions_than_controls_asked_for_are_said(project, backend, monkeypatch, capsys):
    configure()
    write_questions("dev", [heard("d0")])
    monkeypatch.setattr("sys.argv", ["generate", "--model", "iter1"])
    generate.main()
    assert "iter1: check.control_questions is 2, and dev has 1 questions" in capsys.readouterr().out


def test_an_endpoint_cannot_be_trained(project, backend, monkeypatch, capsys):
    configure(backend="openai")
    assert "an endpoint serves no adapters; training needs vllm" in fails(monkeypatch, capsys)
    assert not backend.calls


def test_what_later_stages_need_of_dev_is_missed_before_anything_is_asked(project, backend, monkeypatch, capsys):
    configure()
    write_questions("dev", [])
    assert "data/questions/dev.jsonl has no questions" in fails(monkeypatch, capsys)
    assert not backend.calls


def test_an_unknown_iteration_is_told_with_the_nearest(project, backend, monkeypatch, capsys):
    configure()
    assert "no model is called 'iter11'; did you mean \"iter1\"?" in fails(monkeypatch, capsys, "iter11")
