"""Control arms: what each asks, that nothing else changes, and that text alone is text alone through every backend."""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import factorial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.conditions import arms
from audio_reasoning.conditions.orders import asked_orders
from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import BASE_MODEL, sha256_file, write_jsonl
from audio_reasoning.core.records import NO_AUDIO, Audio, Question, Response, response_from, to_dict
from audio_reasoning.engines.answer import _check_audio_tokens, answer_questions, check_clips, request_for
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.messages import cache_key
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages import arm_infer
from stages.project import Project, load_project
from tests import tiny_thinker
from tests.fake_openai import FakeOpenAI

ROOT = Path(__file__).parent.parent
KINDS = ("silence", "mismatched", "text_only", "permuted")
ARMS = Arms(variants=["baseline"], kinds=list(KINDS), permutations=4, seed=23)
PROMPT = Prompt("plain", "Plain", "none", 1, "Listen.", "{{ question }} {% for c in choices %}({{ c }}){% endfor %}")


def question(
    i: int, choices: tuple[str, ...] = ("a bell", "rain"), answer: int = 0, sub_category: str = "Music Theory", **other
) -> Question:
    made = Question(
        id=f"q{i}",
        audio=Audio(f"mini/{i}.flac", f"{i:064x}", 2.0),
        question=f"Which sound is heard, {i}?",
        choices=choices,
        answer=answer,
        category="Perception Layer",
        sub_category=sub_category,
        modality="sound",
        language=None,
        source="mini",
        group=f"g{i}",
    )
    return replace(made, **other)


def response(asked: Question, answer: int | None) -> Response:
    status = "no_answer" if answer is None else "ok"
    return Response(asked.id, 0, status, "", "", answer, "verbatim", "stop", 5, 5)


SETS = st.integers(2, 6).flatmap(
    lambda n: st.builds(question, st.integers(0, 99), st.just(tuple("abcdef"[:n])), st.integers(0, n - 1))
)

# ── permuted ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(SETS, st.integers(0, 9), st.integers(1, 30))
def test_orders_are_other_than_the_own_one_and_distinct_as_far_as_there_are_enough(asked, seed, count):
    n, orders = len(asked.choices), asked_orders(asked, seed, count)
    assert all(sorted(order) == list(range(n)) and order != tuple(range(n)) for order in orders)
    assert len(orders) == count and len(set(orders)) == min(count, factorial(n) - 1)


@given(SETS, st.integers(0, 9), st.integers(1, 30))
def test_the_order_of_an_index_is_told_by_question_seed_and_index_alone(asked, seed, count):
    elsewhere = replace(asked, question="?", audio=NO_AUDIO, answer=0)
    assert asked_orders(elsewhere, seed, 30)[:count] == asked_orders(asked, seed, count)


@given(SETS, st.integers(0, 9))
def test_the_first_orders_put_each_choice_once_into_each_place_beside_the_own_order(asked, seed):
    n = len(asked.choices)
    orders = [tuple(range(n)), *asked_orders(asked, seed, n - 1)]
    assert all(sorted(places) == list(range(n)) for places in zip(*orders, strict=True))


def test_questions_and_seeds_have_orders_of_their_own():
    choices = tuple("abcde")
    assert len({tuple(asked_orders(question(i, choices), 1, 4)) for i in range(20)}) > 5
    assert len({tuple(asked_orders(question(0, choices), seed, 4)) for seed in range(20)}) > 5


@given(st.lists(SETS, min_size=1, max_size=5), st.integers(1, 6), st.data())
def test_a_permuted_answer_comes_back_as_the_choice_that_was_meant(asked, permutations, data):
    how = ARMS.model_copy(update={"permutations": permutations})
    permuted = arms.asked(asked, "permuted", how)
    own = [one for one in asked for _ in range(permutations)]
    assert [one.choices[one.answer] for one in permuted] == [one.choices[one.answer] for one in own]
    meant = [data.draw(st.none() | st.sampled_from(one.choices)) for one in permuted]
    places = [None if m is None else one.choices.index(m) for one, m in zip(permuted, meant, strict=True)]
    responses = arms.answered(asked, "permuted", how, list(map(response, permuted, places)))
    assert [(r.question_id, r.sample_index) for r in responses] == [
        (q.id, i) for q in asked for i in range(permutations)
    ]
    found = [None if r.answer is None else one.choices[r.answer] for one, r in zip(own, responses, strict=True)]
    assert found == meant


# ── mismatched ───────────────────────────────────────────────────────────────────────────────────────────────────────

POOL = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["a bell", "rain", "Rain "]), st.sampled_from(["Music", "Content"])),
    min_size=2,
    max_size=12,
)


@given(POOL, st.integers(0, 9))
def test_the_clip_is_never_the_own_one_and_fits_as_well_as_one_can(rows, seed):
    asked = [
        question(i, (right, "snow"), sub_category=sub, group=f"g{clip}", audio=Audio(f"{clip}", f"{clip}", 1.0))
        for i, (clip, right, sub) in enumerate(rows)
    ]
    if len({one.group for one in asked}) == 1:
        with pytest.raises(UserError, match="mismatched needs another clip for q0"):
            arms.donors(asked, seed)
        return
    found = arms.donors(asked, seed)
    assert found == arms.donors(asked, seed)
    for own, (donor, fit) in zip(asked, found, strict=True):
        assert donor.group != own.group and donor.audio != own.audio

        def right(one):
            return one.choices[0].strip().lower()

        others = [one for one in asked if one.group != own.group]
        good = [one for one in others if all(right(o) != right(own) for o in asked if o.group == one.group)]
        best = [one for one in good if one.sub_category == own.sub_category]
        assert donor in (best or good or others)
        assert fit == arms.FITS[0 if best else 1 if good else 2]


def test_a_mismatched_question_keeps_everything_but_the_clip():
    asked = [question(i, ("a bell", "rain", f"noise {i}"), i % 3) for i in range(30)]
    mismatched = arms.asked(asked, "mismatched", ARMS)
    assert [replace(one, audio=own.audio) for own, one in zip(asked, mismatched, strict=True)] == asked
    assert {one.audio for one in mismatched} <= {own.audio for own in asked}
    other = arms.asked(asked, "mismatched", ARMS.model_copy(update={"seed": 24}))
    assert [one.audio for one in other] != [one.audio for one in mismatched]


def test_one_clip_under_two_groups_is_not_another_clip():
    one, copy, other = question(0), question(1, audio=question(0).audio), question(2)
    assert {donor.id for donor, _ in arms.donors([one, copy, other], 1)[:2]} == {"q2"}


def test_an_arm_says_in_its_manifest_how_well_the_clips_fit():
    asked = [question(0), question(1, answer=1), question(2, answer=1, sub_category="Content Analysis")]
    assert arms.described(asked, "mismatched", ARMS) == {
        "kind": "mismatched",
        "seed": 23,
        "clips": {
            "same_sub_category_other_answer": 2,
            "other_sub_category_other_answer": 1,
            "same_answer": 0,
        },
    }
    assert arms.described(asked, "permuted", ARMS) == {"kind": "permuted", "seed": 23, "permutations": 4}
    assert arms.described(asked, "silence", ARMS) == {"kind": "silence"}


# ── silence and text alone ───────────────────────────────────────────────────────────────────────────────────────────


def test_two_who_write_the_same_silence_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, others = soundfile.write, []

    def interrupted(*args, **options):
        monkeypatch.setattr(soundfile, "write", write)
        write(*args, **options)
        others.extend(arms.asked([question(2)], "silence", ARMS))  # another process does the same meanwhile

    monkeypatch.setattr(soundfile, "write", interrupted)
    [silent] = arms.asked([question(1)], "silence", ARMS)
    assert [silent.audio] == [other.audio for other in others]
    samples, _ = soundfile.read(Path("data/audio") / silent.audio.path)
    assert len(samples) == 32_000
    assert [path.name for path in Path("data/audio/_silence").iterdir()] == ["200.flac"]


def test_silence_is_as_long_as_the_clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (silent,) = arms.asked([question(0, audio=Audio("mini/0.flac", "0", 1.65))], "silence", ARMS)
    samples, rate = soundfile.read(tmp_path / "data/audio" / silent.audio.path)
    assert len(samples) / rate == silent.audio.duration_s == 1.65 and not samples.any()
    check_clips([silent])


def test_a_question_in_text_alone_is_a_request_without_audio():
    params = load_project(path=ROOT / "params.yaml")
    (alone,) = arms.asked([question(0)], "text_only", ARMS)
    request, with_clip = (request_for(one, PROMPT, params.infer) for one in (alone, question(0)))
    assert [part["type"] for part in request.messages[-1]["content"]] == ["text"]
    assert request.messages[-1]["content"] == with_clip.messages[-1]["content"][1:]
    assert request.messages[:-1] == with_clip.messages[:-1]
    check_clips([alone])


def test_only_the_arm_itself_can_leave_a_clip_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the clip of q0 is missing"):
        check_clips([question(0, audio=Audio("", "", 0.0))])  # as a line of a file could have it


def test_cached_answers_of_ordinary_requests_are_still_found_and_each_arm_has_its_own():
    server = Server("vllm", "", "", "m", {"backend": "vllm"}, "", Path())
    decoding = load_project(path=ROOT / "params.yaml").infer.model_copy(
        update={"temperature": 0.1, "top_p": 1.0, "max_tokens": 64, "seed": 11, "n": 1, "backend": "vllm"}
    )
    own = question(0)
    (permuted,) = arms.asked([own], "permuted", ARMS.model_copy(update={"permutations": 1}))
    asked = [own, replace(own, audio=NO_AUDIO), replace(own, audio=question(1).audio), permuted]
    keys = [cache_key(request_for(one, PROMPT, decoding), server) for one in asked]
    assert len(set(keys)) == 4
    # From before there were control arms; another value here would have every project ask everything again.
    assert keys[0] == "3be277eefea88eb4ae20aa78376df669a0c8a60e348d0d6155c9d6e85f694751"


@pytest.mark.parametrize(("audio", "heard"), [(NO_AUDIO, 1), (Audio("a", "a", 2.0), 0), (Audio("a", "a", 2.0), 25)])
def test_a_model_that_heard_something_else_than_it_should_is_no_result(tmp_path, audio, heard):
    (tmp_path / "config.json").write_text(json.dumps({"thinker_config": {"audio_token_id": 7}}))

    def check(count):
        _check_audio_tokens([question(0, audio=audio)], [ChatResult((), 9, (1, 2, *[7] * count))], tmp_path)

    check(0 if audio is NO_AUDIO else 26)
    with pytest.raises(AssertionError, match=f"q0: the model heard {heard} audio tokens of"):
        check(heard)


# ── The stage, with an endpoint over real HTTP ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    """Six questions about six clips, and an endpoint that answers by repeating the text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["infer"] |= {"backend": "openai", "endpoint_model": "fake", "n": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/baseline.yaml").write_bytes((ROOT / "prompts/baseline.yaml").read_bytes())
    write_jsonl(tmp_path / "data/questions/test.jsonl", map(to_dict, clips(tmp_path)))
    with FakeOpenAI() as fake:
        monkeypatch.setenv("AUDIO_REASONING_BASE_URL", f"http://127.0.0.1:{fake.port}/v1")
        monkeypatch.setenv("AUDIO_REASONING_API_KEY", fake.key)
        yield fake


def clips(root: Path) -> list[Question]:
    folder = root / "data/audio/mini"
    folder.mkdir(parents=True)
    made = []
    for i in range(6):
        noise = np.random.default_rng(i).standard_normal(16_000 + 1_600 * i) / 10
        soundfile.write(folder / f"{i}.flac", noise, 16_000)
        audio = Audio(f"mini/{i}.flac", sha256_file(folder / f"{i}.flac"), 1 + i / 10)
        made.append(question(i, ("a bell", "rain", "wind"), i % 3, audio=audio))
    return made


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["arm_infer", *arguments])
    arm_infer.main()


@pytest.mark.parametrize("arm", KINDS)
def test_the_stage_answers_every_question_and_says_what_made_the_answers(project, monkeypatch, arm):
    run(monkeypatch, "--variant", "baseline", "--arm", arm)
    rows = [
        response_from(json.loads(line))
        for line in Path(f"data/controls/base/baseline@{arm}.jsonl").read_text().splitlines()
    ]
    samples = 4 if arm == "permuted" else 2
    assert [(r.question_id, r.sample_index) for r in rows] == [(f"q{i}", k) for i in range(6) for k in range(samples)]
    manifest = json.loads(Path(f"data/controls/base/baseline@{arm}.run.json").read_text())
    assert manifest["arm"]["kind"] == arm and manifest["questions"] == 6
    assert manifest["decoding"]["n"] == (1 if arm == "permuted" else 2)
    audio = [sum(part["type"] == "input_audio" for part in body["messages"][-1]["content"]) for body in project.bodies]
    asked = audio[2:]  # two ask whether the endpoint hears
    assert set(asked) == ({0} if arm == "text_only" else {1})
    assert len(asked) == (24 if arm == "permuted" else 6)


def test_the_same_stage_again_asks_nothing_and_writes_the_same_bytes(project, monkeypatch):
    run(monkeypatch, "--variant", "baseline", "--arm", "permuted")
    first, asked = Path("data/controls/base/baseline@permuted.jsonl").read_bytes(), len(project.bodies)
    run(monkeypatch, "--variant", "baseline", "--arm", "permuted")
    assert Path("data/controls/base/baseline@permuted.jsonl").read_bytes() == first and len(project.bodies) == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variant", "baseline", "--arm", "silent"), "no control arm is called 'silent'; did you mean \"silence\"?"),
        (("--variant", "basline", "--arm", "silence"), "prompts/basline.yaml: no such prompt"),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_the_nearest(project, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err
    assert not Path("data/controls").exists() and not project.bodies


# ── In process, with a tiny model of random weights ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("models") / "base")


def in_process() -> Project:
    params = load_project(path=ROOT / "params.yaml")
    infer = {"backend": "transformers", "temperature": 0.0, "max_tokens": 6, "n": 1}
    return params.model_copy(update={"infer": params.infer.model_copy(update=infer)})


def test_a_model_in_process_answers_in_text_alone_without_an_audio_token(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    BASE_MODEL.parent.mkdir()
    BASE_MODEL.symlink_to(checkpoint)
    asked = [replace(one, question="Which? " * (i + 1)) for i, one in enumerate(clips(tmp_path))]
    audio_token = json.loads((checkpoint / "config.json").read_text())["thinker_config"]["audio_token_id"]

    def answers(questions):
        responses, _ = answer_questions(
            questions, load_prompt("baseline", ROOT / "prompts"), BASE_MODEL, in_process(), keep_ids=True
        )
        return responses

    heard, alone = answers(asked), answers(arms.asked(asked, "text_only", ARMS))
    assert all(r.prompt_token_ids.count(audio_token) >= 13 for r in heard)
    assert all(r.prompt_token_ids.count(audio_token) == 0 for r in alone)
    assert [r.completion_token_ids for r in alone] != [r.completion_token_ids for r in heard]
    # Padded to the longest of a batch or by itself, a prompt has the same answer.
    for one, together in zip(asked, alone, strict=True):
        (single,) = answers([replace(one, id="single", audio=NO_AUDIO)])
        assert single.completion_token_ids == together.completion_token_ids


def test_a_prompt_without_audio_is_the_official_processors(checkpoint):
    import torch

    from audio_reasoning.families.qwen3_omni.classes import Qwen3OmniMoeProcessor
    from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor

    processor, official = (
        AudioTextProcessor.from_checkpoint(checkpoint),
        Qwen3OmniMoeProcessor.from_pretrained(checkpoint),
    )
    text = processor.chat_text("You listen.", "Which sound is heard?", audio=False)
    theirs = official(text=[text], return_tensors="pt")
    ours = processor.batch([processor.encode("You listen.", "Which sound is heard?", None)])
    assert set(ours) == {"input_ids", "attention_mask"}
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_batch_in_which_only_some_prompts_have_audio_is_refused(checkpoint):
    from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor

    processor = AudioTextProcessor.from_checkpoint(checkpoint)
    heard = processor.encode("", "Which?", processor.features(np.zeros(16_000, dtype=np.float32)))
    with pytest.raises(AssertionError, match="with audio and without it"):
        processor.batch([heard, processor.encode("", "Which?", None)])
