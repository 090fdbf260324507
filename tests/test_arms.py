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

from audio_reasoning.conditions import mismatched
from audio_reasoning.conditions.condition import condition_of
from audio_reasoning.conditions.orders import asked_orders
from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, write_jsonl
from audio_reasoning.core.records import NO_AUDIO, Audio, Question, Rollout, rollout_from, to_dict
from audio_reasoning.engines.answer import answer_questions, check_audio_tokens, check_clips, request_for
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.engines.messages import cache_key, chat_request
from audio_reasoning.prompts.registry import Prompt, load_prompt
from audio_reasoning.tasks.extract import read_answer
from stages import answer
from stages.layout import AUDIO
from stages.project import load_project
from tests import tiny_thinker
from tests.fake_openai import FakeOpenAI

ROOT = Path(__file__).parent.parent
KINDS = ("silence", "mismatched", "text_only", "permuted")
ARMS = Arms(variants=["baseline"], kinds=list(KINDS), permutations=4, seed=23)
PROMPT = Prompt("plain", "Plain", "none", 1, "Listen.", "{{ question }} {% for c in choices %}({{ c }}){% endfor %}")


def asked_in(name: str, questions: list[Question], arms: Arms = ARMS, media_root: Path = AUDIO) -> list[Question]:
    """What a condition asks instead of the questions."""
    return condition_of(name, arms).ask(questions, arms, media_root)


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
    permuted = asked_in("permuted", asked, how)
    own = [one for one in asked for _ in range(permutations)]
    assert [one.choices[one.answer] for one in permuted] == [one.choices[one.answer] for one in own]
    meant = [data.draw(st.none() | st.sampled_from(one.choices)) for one in permuted]
    said = [f"ANSWER: {'nothing of it' if m is None else m}" for m in meant]
    rollouts = [Rollout(one.id, 0, text, "stop", 5, 5) for one, text in zip(permuted, said, strict=True)]
    read = condition_of("permuted", how).read(asked, how, rollouts)
    responses = [read_answer(r, q.choices) for q, r in zip(own, read, strict=True)]
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
            mismatched.donors(asked, seed)
        return
    found = mismatched.donors(asked, seed)
    assert found == mismatched.donors(asked, seed)
    for own, (donor, fit) in zip(asked, found, strict=True):
        assert donor.group != own.group and donor.audio != own.audio

        def right(one):
            return one.choices[0].strip().lower()

        others = [one for one in asked if one.group != own.group]
        good = [one for one in others if all(right(o) != right(own) for o in asked if o.group == one.group)]
        best = [one for one in good if one.sub_category == own.sub_category]
        assert donor in (best or good or others)
        assert fit == mismatched.FITS[0 if best else 1 if good else 2]


def test_a_mismatched_question_keeps_everything_but_the_clip():
    asked = [question(i, ("a bell", "rain", f"noise {i}"), i % 3) for i in range(30)]
    moved = asked_in("mismatched", asked)
    assert [replace(one, audio=own.audio) for own, one in zip(asked, moved, strict=True)] == asked
    assert {one.audio for one in moved} <= {own.audio for own in asked}
    other = asked_in("mismatched", asked, ARMS.model_copy(update={"seed": 24}))
    assert [one.audio for one in other] != [one.audio for one in moved]


def test_one_clip_under_two_groups_is_not_another_clip():
    one, copy, other = question(0), question(1, audio=question(0).audio), question(2)
    assert {donor.id for donor, _ in mismatched.donors([one, copy, other], 1)[:2]} == {"q2"}


def test_a_condition_says_in_a_manifest_how_well_the_clips_fit():
    asked = [question(0), question(1, answer=1), question(2, answer=1, sub_category="Content Analysis")]
    described = {kind: condition_of(kind, ARMS).describe(asked, ARMS) for kind in KINDS}
    assert described["mismatched"] == {
        "seed": 23,
        "clips": {
            "same_sub_category_other_answer": 2,
            "other_sub_category_other_answer": 1,
            "same_answer": 0,
        },
    }
    assert described["permuted"] == {"seed": 23, "permutations": 4}
    assert described["silence"] == described["text_only"] == {}


# ── silence and text alone ───────────────────────────────────────────────────────────────────────────────────────────


def test_two_who_write_the_same_silence_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    write, others = soundfile.write, []

    def interrupted(*args, **options):
        monkeypatch.setattr(soundfile, "write", write)
        write(*args, **options)
        others.extend(
            asked_in("silence", [question(2)], media_root=tmp_path)
        )  # another process does the same meanwhile

    monkeypatch.setattr(soundfile, "write", interrupted)
    [silent] = asked_in("silence", [question(1)], media_root=tmp_path)
    assert [silent.audio] == [other.audio for other in others]
    samples, _ = soundfile.read(tmp_path / silent.audio.path)
    assert len(samples) == 32_000
    assert [path.name for path in (tmp_path / "_silence").iterdir()] == ["200.flac"]


def test_silence_is_as_long_as_the_clip(tmp_path):
    (silent,) = asked_in("silence", [question(0, audio=Audio("mini/0.flac", "0", 1.65))], media_root=tmp_path)
    samples, rate = soundfile.read(tmp_path / silent.audio.path)
    assert len(samples) / rate == silent.audio.duration_s == 1.65 and not samples.any()
    check_clips([silent], tmp_path)


def test_a_question_in_text_alone_is_a_request_without_audio(tmp_path):
    decoding = load_project(path=ROOT / "params.yaml").infer.decoding()
    (alone,) = asked_in("text_only", [question(0)])
    request, with_clip = (chat_request(request_for(one, PROMPT), decoding) for one in (alone, question(0)))
    assert [part["type"] for part in request.messages[-1]["content"]] == ["text"]
    assert request.messages[-1]["content"] == with_clip.messages[-1]["content"][1:]
    assert request.messages[:-1] == with_clip.messages[:-1]
    check_clips([alone], tmp_path)


def test_only_the_condition_itself_can_leave_a_clip_out(tmp_path):
    with pytest.raises(UserError, match="the clip of q0 is missing"):
        check_clips([question(0, audio=Audio("", "", 0.0))], tmp_path / "audio")  # as a line of a file could have it


def test_cached_answers_of_ordinary_requests_are_still_found_and_each_arm_has_its_own():
    server = Server("vllm", "", "", "m", {"backend": "vllm"}, "", Path())
    decoding = Decoding(temperature=0.1, top_p=1.0, max_tokens=64, seed=11, n=1)
    own = question(0)
    (permuted,) = asked_in("permuted", [own], ARMS.model_copy(update={"permutations": 1}))
    asked = [own, replace(own, audio=NO_AUDIO), replace(own, audio=question(1).audio), permuted]
    keys = [cache_key(chat_request(request_for(one, PROMPT), decoding, token_ids=True), server) for one in asked]
    assert len(set(keys)) == 4
    # From before there were control arms; another value here would have every project ask everything again.
    assert keys[0] == "3be277eefea88eb4ae20aa78376df669a0c8a60e348d0d6155c9d6e85f694751"


@pytest.mark.parametrize(("audio", "heard"), [(NO_AUDIO, 1), (Audio("a", "a", 2.0), 0), (Audio("a", "a", 2.0), 25)])
def test_a_model_that_heard_something_else_than_it_should_is_no_result(tmp_path, audio, heard):
    config = {"model_type": "qwen3_omni_moe", "thinker_config": {"audio_token_id": 7}}
    (tmp_path / "config.json").write_text(json.dumps(config))

    def check(count):
        check_audio_tokens(
            [request_for(question(0, audio=audio), PROMPT)], [ChatResult((), 9, (1, 2, *[7] * count))], tmp_path
        )

    check(0 if audio is NO_AUDIO else 26)
    with pytest.raises(AssertionError, match=f"q0: the model heard {heard} audio tokens of"):
        check(heard)


# ── Conditions of someone else's ─────────────────────────────────────────────────────────────────────────────────────


def test_a_condition_of_someone_elses_is_asked_like_ours(project, tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(
        "from dataclasses import replace\n"
        "from audio_reasoning.conditions.condition import Condition\n"
        "def shouted(questions, arms, media_root):\n"
        "    return [replace(one, question=one.question.upper()) for one in questions]\n"
        "LOUD = Condition(shouted, each_once=True)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["arms"] |= {"kinds": ["loud"], "others": {"loud": "theirs:LOUD"}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    run(monkeypatch, "baseline@loud")
    assert len(Path("data/controls/base/baseline@loud.jsonl").read_text().splitlines()) == 6
    asked = [body["messages"][-1]["content"][-1]["text"] for body in project.bodies[2:]]
    assert len(asked) == 6 and all("WHICH SOUND IS HEARD" in text for text in asked)


def test_a_condition_that_cannot_be_loaded_is_told():
    arms = ARMS.model_copy(update={"others": {"loud": "no_such_module:LOUD"}})
    with pytest.raises(UserError, match=r"condition: cannot load 'no_such_module:LOUD'.*module:object"):
        condition_of("loud", arms)


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


def run(monkeypatch, name: str) -> None:
    monkeypatch.setattr("sys.argv", ["answer", name])
    answer.main()


@pytest.mark.parametrize("arm", KINDS)
def test_the_stage_answers_every_question_and_says_what_made_the_answers(project, monkeypatch, arm):
    run(monkeypatch, f"baseline@{arm}")
    rows = [
        rollout_from(json.loads(line))
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
    run(monkeypatch, "baseline@permuted")
    first, asked = Path("data/controls/base/baseline@permuted.jsonl").read_bytes(), len(project.bodies)
    run(monkeypatch, "baseline@permuted")
    assert Path("data/controls/base/baseline@permuted.jsonl").read_bytes() == first and len(project.bodies) == asked


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("baseline@silent", "condition: 'silent' is not known; did you mean \"silence\"?"),
        ("basline@silence", "prompts/basline.yaml: no such prompt"),
    ],
)
def test_a_name_that_does_not_exist_is_told_with_the_nearest(project, monkeypatch, capsys, name, message):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, name)
    assert caught.value.code == 2 and message in capsys.readouterr().err
    assert not Path("data/controls").exists() and not project.bodies


# ── In process, with a tiny model of random weights ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("models") / "base")


@pytest.mark.slow
def test_a_model_in_process_answers_in_text_alone_without_an_audio_token(checkpoint, tmp_path):
    params = load_project(path=ROOT / "params.yaml")
    setup = Setup(
        "transformers", checkpoint, None, params.serve, params.runtime, tmp_path / "data/audio", work=tmp_path
    )
    greedy = Decoding(temperature=0.0, top_p=1.0, max_tokens=6, n=1, seed=11)
    asked = [replace(one, question="Which? " * (i + 1)) for i, one in enumerate(clips(tmp_path))]
    audio_token = json.loads((checkpoint / "config.json").read_text())["thinker_config"]["audio_token_id"]

    def answers(questions):
        responses, _ = answer_questions(
            questions, load_prompt("baseline", ROOT / "prompts"), setup, greedy, keep_ids=True
        )
        return responses

    heard, alone = answers(asked), answers(asked_in("text_only", asked))
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
