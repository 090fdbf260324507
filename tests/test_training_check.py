"""The checks before a training: silent on sound data, and each sees the defect that it is there for."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audio_reasoning.algorithms import integrity
from audio_reasoning.core.files import read_json, write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, to_dict
from audio_reasoning.core.rollouts import DEV, HEARD, Sample, Trace, write_records
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker, save_servable
from audio_reasoning.families.qwen3_omni.family import Qwen3Omni
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor
from audio_reasoning.training.dataset import Example, collate
from audio_reasoning.training.loss import completion_loss
from stages import training_check as check
from stages.layout import QUESTIONS, TRAINING
from stages.training_check import control_traces, failures
from stages.training_fit import adapted_model
from tests.training_project import (
    BASE,
    SOUNDS,
    dataset,
    enter,
    one_core,
    processor,
    trace,
    train_params,
    write_bank,
    write_base,
    write_model_folder,
    write_params,
)

pytestmark = pytest.mark.slow

LEARNING_RATE = 3e-3
TRAIN = train_params(lora={"targets": "all", "rank": 8, "alpha": 16}, micro_batch_size=4)
DEV_CLIPS, TEST_CLIPS = range(20, 30), range(30, 34)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a tiny thinker that has learnt to tell two sounds apart, and their clips."""
    folder = tmp_path_factory.mktemp("base")
    with one_core():
        with pytest.MonkeyPatch.context() as patch:
            enter(folder, patch)
            write_base(BASE)
            model = load_thinker(BASE).train()
            batch = collate(processor(), [[example] for example in examples([trace(i) for i in range(16)])])
            optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
            for _ in range(70):
                completion_loss(model, batch).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
            shutil.rmtree(BASE)
            save_servable(model, processor().tokenizer, new_feature_extractor(), BASE)
        yield folder


@pytest.fixture(autouse=True)
def project(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    enter(tmp_path, monkeypatch)
    return tmp_path


def examples(traces: list[Trace]) -> list[Example]:
    data = dataset(traces)
    return [data[i][0] for i in range(len(data))]


def bank() -> list[Trace]:
    """Traces that say more than the model has learnt to say."""
    return [trace(i, more="rain falls down.") for i in range(10)]


def labels(traces: list[Trace]) -> list[str]:
    """What is wrong with the labels, found whether or not prompts are shared."""
    single, shared = dataset(traces), dataset(traces, share_prompts=True)
    found = integrity.labels([single[i] for i in range(len(single))], processor())
    assert sorted(found) == sorted(integrity.labels([shared[i] for i in range(len(shared))], processor()))
    return found


def reworded(one: Trace, text: str, **changes: Any) -> Trace:
    """The trace with another text, whose tokens are that text's."""
    ids = processor().tokenizer.encode(text + "<|im_end|>", add_special_tokens=False)
    return replace(one, text=text, completion_token_ids=tuple(ids), **changes)


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_audio_tokens_are_those_of_the_clips_length() -> None:
    sound, audio = bank(), processor().audio_token_id
    assert integrity.audio_tokens(sound, processor()) == []
    cut = list(sound[3].prompt_token_ids)
    cut.remove(audio)
    longer, shorter = replace(sound[4], duration_s=4.0), replace(sound[5], duration_s=0.2)
    cut_one = replace(sound[3], prompt_token_ids=tuple(cut))
    found = integrity.audio_tokens([*sound[:3], cut_one, longer, shorter], processor())
    assert found[0].startswith("q3: 6 audio tokens for 0.50 s, expected 7")
    assert found[1].startswith("q4: 7 audio tokens for 4.00 s") and found[2].startswith("q5: 7 audio tokens for 0.20 s")
    assert len(found) == 3


def test_labels_are_the_sampled_completion() -> None:
    sound = [*bank(), *(reworded(trace(i), f"<think>{i}</think> ANSWER: a bell") for i in range(5))]
    assert len(dataset(sound, share_prompts=True)) == len(sound) - 5 and labels(sound) == []
    other = replace(sound[0], text=sound[1].text)
    [message] = labels([*sound[1:], other])
    assert message.startswith("q0: the labels decode to '<think>HEARD: a bell rings.")
    assert message.endswith(f"sampled was {sound[1].text!r}")


@pytest.mark.parametrize(
    "text",
    ["<think>a bell ANSWER: a bell", "a bell", "<think>a</think>b</think> ANSWER: a bell", "<think>a</think> <think>b"],
)
def test_thinking_is_opened_and_closed_once(text: str) -> None:
    [message] = labels([reworded(trace(0), text), trace(1)])
    assert message == f"q0: the thinking is not opened and closed once in {text!r}"


def test_thinking_may_be_opened_by_the_prompt() -> None:
    opened = trace(0).prompt_token_ids + tuple(processor().tokenizer.encode("<think>", add_special_tokens=False))
    one = reworded(trace(0), "a bell</think> ANSWER: a bell", prompt_token_ids=opened)
    assert labels([one]) == []


def question(number: int, **changes: Any) -> Question:
    """A question about clip `number`."""
    one = trace(number)
    audio = Audio(one.audio_path, one.audio_sha256, one.duration_s)
    layer = ("Perception Layer", "Music Theory", "sound", None, "mini", one.group)
    return replace(Question(one.problem_id, audio, "Which?", SOUNDS, number % 2, *layer), **changes)


@pytest.mark.parametrize("key", ["id", "group", "clip"])
def test_nothing_of_a_held_out_question_is_in_the_bank(key: str) -> None:
    clean = [question(i) for i in TEST_CLIPS]
    assert integrity.contamination(bank(), {"dev": [], "test": clean}) == []
    shared = {"id": {"id": "q3"}, "group": {"group": "g3"}, "clip": {"audio": question(3).audio}}[key]
    held_out = {"dev": [], "test": [*clean, question(40, **shared)]}
    assert integrity.contamination(bank(), held_out) == [f"q3: its {key} is in test"]


# ── The model ────────────────────────────────────────────────────────────────────────────────────────────────────────


def deafen(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in model.audio_tower.proj2.parameters():
            parameter.zero_()
    return model


def hearing(model: torch.nn.Module, batch_size: int = 8) -> dict[str, Any]:
    return integrity.hearing(model, processor(), examples([trace(i) for i in DEV_CLIPS]), 0, batch_size)


def test_a_model_that_hears_is_surprised_by_right_answers_on_other_clips_and_silence() -> None:
    found = hearing(load_thinker(BASE))
    assert found["n"] == len(DEV_CLIPS)
    for control in ("shuffled", "silence"):
        assert 0 < found[control]["low"] <= found[control]["difference"] <= found[control]["high"]
    assert found["shuffled"]["difference"] > 0.5, "the next clip has the other sound"
    parts = hearing(load_thinker(BASE), batch_size=3)
    assert parts["loss_true"] == pytest.approx(found["loss_true"], abs=1e-4)


def test_another_clip_is_another_ones_even_where_questions_share_clips() -> None:
    apart, shared = (
        integrity.hearing(load_thinker(BASE), processor(), examples([trace(i) for i in clips]), 0, 8)
        for clips in ((20, 21), (20, 20, 21, 21))
    )
    assert shared["shuffled"]["difference"] == pytest.approx(apart["shuffled"]["difference"], rel=1e-3)


def test_a_deaf_model_is_not() -> None:
    found = hearing(deafen(load_thinker(BASE)))
    for control in ("shuffled", "silence"):
        assert found[control]["low"] <= 0 and abs(found[control]["difference"]) < 1e-4


def test_another_clip_brings_its_own_number_of_audio_tokens() -> None:
    long = processor().features(torch.zeros(2 * 16_000).numpy())
    longer, features = integrity.replaced(examples([trace(0)])[0], long, processor())
    assert features is long and longer.prompt_token_ids.count(processor().audio_token_id) == 26
    batch = collate(processor(), [[(longer, features)]])
    assert batch["labels"][0][batch["labels"][0] != -100].tolist() == list(trace(0).completion_token_ids)


def overfit(learning_rate: float, **changes: Any) -> dict[str, Any]:
    train = TRAIN.model_copy(update=changes)
    learner = adapted_model(train, BASE, seed=0)
    return integrity.overfit(learner, processor(), examples(bank()[:4]), 40, learning_rate, train.micro_batch_size)


def test_an_adapter_learns_a_few_traces_by_heart() -> None:
    found = overfit(LEARNING_RATE)
    assert found["learnt"] and found["loss_last"] < found["loss_first"] / 4 and found["steps"] < 40
    parts = overfit(LEARNING_RATE, micro_batch_size=1)
    assert parts["steps"] == found["steps"] and parts["loss_last"] == pytest.approx(found["loss_last"], rel=0.01)


def test_one_that_does_not_move_or_diverges_has_not_learnt() -> None:
    still, diverged = overfit(0.0), overfit(1e37)
    assert not still["learnt"] and still["steps"] == 40 and still["loss_last"] == pytest.approx(still["loss_first"])
    assert not diverged["learnt"] and diverged["loss_last"] is None and diverged["steps"] < 3
    json.dumps(diverged, allow_nan=False)


# ── The stage ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_controls_are_one_right_well_formed_answer_for_each_dev_question() -> None:
    first, second = dev_sample(20), dev_sample(21)
    others = [
        replace(dev_sample(20, more="again "), sample_index=1),
        replace(dev_sample(22), finish_reason="length"),
        replace(dev_sample(23), text="ANSWER: rain falls down"),
        replace(dev_sample(24), condition=HEARD),
    ]
    found = control_traces([first, *others, second, dev_sample(26)], [question(i) for i in DEV_CLIPS])
    assert found == [replace(trace(i), model="", pass_rate=0.0) for i in (20, 21, 26)]
    assert found[0].completion_token_ids == found[2].completion_token_ids, "what two questions share counts for both"


def dev_sample(number: int, more: str = "") -> Sample:
    one = trace(number, more=more)
    rest = (one.text, "stop", "", one.prompt_token_ids, one.completion_token_ids)
    return Sample(one.problem_id, DEV, 0, (0, 1), *rest)


@pytest.fixture
def sound() -> None:
    """Everything that the stage reads, without a defect."""
    write_params(TRAIN, iter1={"from": "base", "method": "rest", "learning_rate": LEARNING_RATE})
    write_bank("iter1", bank())
    write_records(TRAINING / "iter1" / "samples.parquet", Sample, [dev_sample(i) for i in DEV_CLIPS])
    for name in ("iter1", "iter2"):
        write_json(Path(f"metrics/training/generation_{name}.json"), {})
    for split, clips in (("dev", DEV_CLIPS), ("test", TEST_CLIPS)):
        write_jsonl(QUESTIONS / f"{split}.jsonl", [to_dict(question(i)) for i in clips])


@pytest.fixture
def checked(
    sound: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, dict[str, Any]]]:
    """Run the stage: its exit code, what it said, and its metrics."""
    read = check.read_part

    def run(name: str = "iter1", **changes: Any) -> tuple[int, str, dict[str, Any]]:
        def changed(*declared: Any) -> Any:
            found = read(*declared)
            checks = found.check.model_copy(
                update={"overfit_steps": 40, "overfit_learning_rate": LEARNING_RATE, **changes}
            )
            return found.model_copy(update={"check": checks})

        monkeypatch.setattr(check, "read_part", changed)
        monkeypatch.setattr(sys, "argv", ["check", "--model", name])
        capsys.readouterr()
        try:
            check.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        path, said = Path(f"metrics/training/check_{name}.json"), capsys.readouterr()
        return code, said.out + said.err, read_json(path) if path.exists() else {}

    return run


def test_sound_traces_and_a_model_that_hears_pass(checked: Any) -> None:
    code, said, metrics = checked()
    assert code == 0 and metrics["passed"] and not failures(metrics)
    assert "iter1: 10 traces are sound" in said and "8 traces learnt by heart in" in said
    assert metrics["hearing"]["n"] == 10 and metrics["overfit"]["examples"] == 8
    assert metrics["controls"] == {"asked": 10, "answered": 10, "source_clips": 10}


def refused(metrics: dict[str, Any], count: int) -> bool:
    refusal = metrics["refused"]
    return metrics["passed"] is False and refusal["stage"] == "training_check" and len(refusal["reasons"]) == count


def test_of_a_deaf_model_the_training_is_refused(checked: Any) -> None:
    save_servable(deafen(load_thinker(BASE)), processor().tokenizer, new_feature_extractor(), BASE)
    code, said, metrics = checked()
    assert code == 0 and refused(metrics, 2)
    assert "REFUSED: iter1 is not trained (training_check); it stays the model base" in said
    assert "start from a model that hears these clips" in said and "models=none" in said
    assert "not less surprising with the true clip than with shuffled audio: " in said and "than with silence" in said


def test_of_an_adapter_that_cannot_learn_too(checked: Any) -> None:
    code, said, metrics = checked(overfit_steps=1)
    assert code == 0 and refused(metrics, 1) and metrics["overfit"]["steps"] == 1
    assert "8 traces cannot be learnt by heart: loss" in said and "raise check.overfit_learning_rate" in said
    code, said, metrics = checked(overfit_learning_rate=1e37)
    assert code == 0 and refused(metrics, 1) and "learning 8 traces by heart diverged after" in said


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        ("audio", r"1 prompts without all of their clip's audio tokens: q0: 7 audio tokens for 9.00 s"),
        ("control", r"1 prompts without all of their clip's audio tokens: q20: 0 audio tokens for 0.50 s"),
        ("label", "1 traces whose labels are not the sampled completion: q0: the labels decode to"),
        ("contamination", "1 traces of questions that belong to dev or test: q30: its clip is in test"),
    ],
)
def test_wrong_traces_are_refused_before_any_model_is_loaded(
    checked: Any, monkeypatch: pytest.MonkeyPatch, defect: str, words: str
) -> None:
    first, *others = bank()
    if defect == "control":
        ids = tuple(i for i in dev_sample(20).prompt_token_ids if i != processor().audio_token_id)
        samples = [replace(dev_sample(20), prompt_token_ids=ids), *(dev_sample(i) for i in DEV_CLIPS[1:])]
        write_records(TRAINING / "iter1" / "samples.parquet", Sample, samples)
    else:
        first = {
            "audio": replace(first, duration_s=9.0),
            "label": replace(first, text="something else"),
            "contamination": replace(trace(30), group="g"),
        }[defect]
        if defect == "contamination":
            first = replace(first, problem_id="q30")
            write_jsonl(QUESTIONS / "test.jsonl", [to_dict(question(30, id="other", group="other"))])
    write_bank("iter1", [first, *others])
    monkeypatch.setattr(Qwen3Omni, "load", None)
    code, said, metrics = checked()
    assert code == 0 and refused(metrics, 1) and words in said and "hearing" not in metrics


def test_all_that_is_wrong_is_told_at_once(checked: Any) -> None:
    wrong = [replace(one, duration_s=9.0, group="g30") for one in bank()]
    write_bank("iter1", wrong)
    write_jsonl(QUESTIONS / "test.jsonl", [to_dict(question(30))])
    _, said, metrics = checked()
    assert metrics["audio_tokens"]["wrong"] == 10 and len(metrics["audio_tokens"]["first"]) == 3
    assert refused(metrics, 2) and "  - 10 prompts" in said and "  - 10 traces of questions" in said


def test_hearing_needs_ten_source_clips(checked: Any) -> None:
    shared = [question(i, group="g21" if i == 20 else f"g{i}") for i in DEV_CLIPS]
    write_jsonl(QUESTIONS / "dev.jsonl", map(to_dict, shared))
    code, said, metrics = checked()
    assert code == 0 and refused(metrics, 1)
    assert "of 10 dev questions, those that were answered right are about 9 source clips; 10 are needed" in said


def test_hearing_needs_another_clip_to_play(checked: Any) -> None:
    write_records(
        TRAINING / "iter1" / "samples.parquet", Sample, [replace(dev_sample(20), problem_id=f"q{i}") for i in DEV_CLIPS]
    )
    shared = [question(20, id=f"q{i}", group=f"g{i}") for i in DEV_CLIPS]
    write_jsonl(QUESTIONS / "dev.jsonl", map(to_dict, shared))
    code, said, metrics = checked()
    assert code == 0 and refused(metrics, 1) and "share one clip" in said


def test_what_was_refused_before_is_passed_on_without_a_look(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"stage": "training_select", "reasons": ["nothing is right"], "ways_out": ["ask easier questions"]}
    write_json(Path("metrics/training/generation_iter1.json"), {"problems": 8, "refused": refusal})
    monkeypatch.setattr(check, "check_training", None)
    code, said, metrics = checked()
    assert (code, metrics) == (0, {"passed": False, "refused": refusal})
    assert said == "iter1: refused by training_select, nothing to do here: nothing is right\n"


def test_a_clip_that_changed_on_disk_stops_the_stage(checked: Any) -> None:
    path = Path("data/audio") / trace(0).audio_path
    path.write_bytes(path.read_bytes() + b"\0")
    code, said, metrics = checked()
    assert code == 2 and "changed" in said and not metrics


def test_what_needs_a_gpu_is_refused_before_anything_is_loaded(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Qwen3Omni, "load", None)
    write_params(
        train_params(optimizer="paged_adamw_8bit"),
        iter1={"from": "base", "method": "rest", "learning_rate": LEARNING_RATE},
    )
    code, said, _ = checked()
    assert code == 2 and "paged_adamw_8bit needs CUDA" in said


def test_a_later_iteration_hears_with_the_adapter_that_it_starts_from(checked: Any) -> None:
    write_model_folder("iter1", targets="all")
    entries = (("iter1", "base"), ("iter2", "iter1"))
    write_params(
        TRAIN, **{name: {"from": start, "method": "rest", "learning_rate": LEARNING_RATE} for name, start in entries}
    )
    shutil.copytree(TRAINING / "iter1", TRAINING / "iter2")
    _, _, metrics = checked()
    _, _, later = checked("iter2")
    assert later["hearing"]["loss_true"] != metrics["hearing"]["loss_true"]
    assert later["overfit"]["loss_first"] != metrics["overfit"]["loss_first"], "other traces, the same new adapter"
