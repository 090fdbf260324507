"""Supervised fine-tuning on given traces: their forms, what is taken of them, and the tokens that are learnt."""

from pathlib import Path

import pytest

from audio_reasoning.algorithms.selecting import Material
from audio_reasoning.algorithms.sft.forms import PARTS, thinking_of, without_seen
from audio_reasoning.algorithms.sft.select import select
from audio_reasoning.core.files import read_jsonl, write_jsonl
from audio_reasoning.core.records import Question, Rollout
from audio_reasoning.families.family import family_of
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.given_traces import GivenTrace, given_traces
from stages import given_traces as stage
from stages.compose import composed
from stages.layout import GIVEN_TRACES, SOURCES
from stages.project import parse_project
from tests.training_project import BASE, enter, write_base
from tests.training_records import CHOICES, ROOT, question, write_questions

EVIDENCE = GivenTrace("q", "rain, then a bell", "the bell comes last")
GEMINI = GivenTrace("q", thinking="A bell rings. The video shows a church! It is loud.")


# ── Forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_form_is_written_from_evidence() -> None:
    assert thinking_of(EVIDENCE, "heard", "a bell") == "HEARD: rain, then a bell.\nANALYSIS: the bell comes last."
    assert thinking_of(EVIDENCE, "free", "a bell") == "rain, then a bell; the bell comes last."
    assert thinking_of(EVIDENCE, "none", "a bell") == ""
    structured = thinking_of(EVIDENCE, "structured", "a bell")
    assert structured and [line.partition(":")[0] for line in structured.splitlines()] == list(PARTS)


def test_thinking_loses_what_cannot_be_heard_and_has_no_parts() -> None:
    assert thinking_of(GEMINI, "free", "a bell") == "A bell rings. It is loud."
    assert thinking_of(GEMINI, "none", "a bell") == ""
    assert thinking_of(GEMINI, "heard", "a bell") is None and thinking_of(GEMINI, "structured", "a bell") is None
    parted = " ".join(f"{part}: it rings." for part in PARTS)
    assert thinking_of(GivenTrace("q", thinking=parted), "structured", "a bell") == parted
    assert thinking_of(GivenTrace("q", thinking="A red car is visible."), "free", "a car") is None


@pytest.mark.parametrize("said", ["A watchful silence? No: watching is seeing.", "Its COLOUR is red.", "On screen."])
def test_words_of_sight_take_their_sentence_with_them(said: str) -> None:
    assert without_seen(f"Rain falls. {said} Thunder.") == "Rain falls. Thunder."


# ── What sources give ────────────────────────────────────────────────────────────────────────────────────────────────


def test_evidence_goes_before_thinking_and_rows_without_either_are_passed() -> None:
    rows = [
        {"id": "a", "evidence": {"heard": "rain", "analysis": "it rains"}, "thinking": "hm"},
        {"id": "b", "gemini_cot": " It rains. "},
        {"id": "c", "evidence": {"heard": "", "analysis": ""}},
        {"id": "d", "thinking": 3},
    ]
    assert list(given_traces(rows)) == [GivenTrace("a", "rain", "it rains"), GivenTrace("b", thinking="It rains.")]


def test_the_stage_writes_traces_of_train_questions_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_questions("train", [question("a"), question("b")])
    write_jsonl(SOURCES / "mini/annotations.jsonl", [{"id": "b", "thinking": "It rains."}])
    rows = [{"id": name, "evidence": {"heard": "rain", "analysis": "it rains"}} for name in ("a", "test")]
    write_jsonl(SOURCES / "mini/questions.jsonl", rows)
    monkeypatch.setattr("sys.argv", ["given_traces"])
    stage.main()
    assert [row["id"] for row in read_jsonl(GIVEN_TRACES)] == ["a", "b"]
    assert stage.read_given_traces()["b"] == GivenTrace("b", thinking="It rains.")


# ── What is learnt ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sft")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_base(BASE)
        enter(folder, patch)
        return family_of(BASE).processor(BASE)


def material(processor, given: dict[str, GivenTrace], questions: list[Question], seed: int = 0) -> Material:
    return Material(
        model="warm",
        problems=[],
        questions={one.id: one for one in questions},
        earlier=[],
        trained=set(),
        seed=seed,
        prompt=load_prompt("structured_reasoning", ROOT / "prompts"),
        given=lambda: given,
        processor=lambda: processor,
    )


def settings(**changes):
    return {"form": "heard", "limit": None, "max_per_sub_category": None, **changes}


QUESTIONS = [question(f"q{i}", "Music Theory" if i % 2 else "Content Analysis") for i in range(8)]
GIVEN = {one.id: GivenTrace(one.id, "rain, then a bell", "the bell comes last") for one in QUESTIONS[:6]}


def test_a_completion_is_read_as_the_right_answer_and_its_prompt_has_the_clips_tokens(processor) -> None:
    selected = select(material(processor, GIVEN, QUESTIONS), settings())
    assert len(selected.bank) == 6 and selected.metrics["dropped"] == {"without_trace": 2} and not selected.nothing
    for trace in selected.bank:
        answer = read_answer(Rollout(trace.problem_id, 0, trace.text, "stop", 1, 1), CHOICES)
        assert (answer.status, answer.answer) == ("ok", 0)
        assert trace.text.startswith("<think>HEARD: rain") and trace.text.endswith(f"</think>\nANSWER: {CHOICES[0]}")
        tokens = processor.tokenizer.decode(list(trace.completion_token_ids))
        assert tokens == trace.text + processor.tokenizer.eos_token
        heard = trace.prompt_token_ids.count(processor.audio_token_id)
        assert heard == processor.audio_tokens(round(trace.duration_s * 16_000))


def test_choices_are_asked_in_any_order_the_same_for_a_seed(processor) -> None:
    def prompts(seed: int) -> dict[str, tuple[int, ...]]:
        bank = select(material(processor, GIVEN, QUESTIONS, seed), settings()).bank
        return {trace.problem_id: trace.prompt_token_ids for trace in bank}

    assert prompts(1) == prompts(1) != prompts(2)
    assert len({ids for ids in prompts(1).values()}) > 1, "one question, several orders"


def test_limits_are_counted(processor) -> None:
    found = select(material(processor, GIVEN, QUESTIONS), settings(limit=2))
    assert len(found.bank) == 2 and sum(found.metrics["dropped"].values()) == 6
    found = select(material(processor, GIVEN, QUESTIONS), settings(max_per_sub_category=1))
    assert {trace.sub_category for trace in found.bank} == {"Music Theory", "Content Analysis"} and len(found.bank) == 2


def test_without_any_trace_the_model_is_refused_with_ways_out(processor) -> None:
    found = select(material(processor, {"q0": GEMINI}, QUESTIONS), settings())
    assert found.nothing and "not_in_this_form 1" in str(found.nothing) and "free" in str(found.nothing)


# ── Parameters ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_warm_up_has_the_sizes_of_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    mini, large = (composed([f"profile={name}", "models=warm_up"]) for name in ("mini", "a100"))
    assert mini["sft"]["generate"]["max_tokens"] == 64 and large["sft"]["generate"]["max_tokens"] == 8192
    assert large["sft"]["train"] == large["rest"]["train"]
    with pytest.raises(Exception, match=r"generate\.problems is 0: rest trains on what it samples"):
        parse_project(composed(["rest.generate.problems=0"]), "conf/")
