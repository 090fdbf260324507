"""A search for a prompt finds the better one, whichever optimiser makes it, and says what it did."""

from pathlib import Path

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.answer import request_for
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.engines.params import Runtime, Serve
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.results import to_json
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.found import found
from audio_reasoning.optimizers.optimizer import Task, search_of
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.optimizers.proposers.bank import Bank, Fragment
from audio_reasoning.optimizers.proposers.language_model import served
from audio_reasoning.optimizers.sets import sets_of
from audio_reasoning.prompts.registry import Prompt, load_prompt
from tests.simulated_engine import Simulated, question, write_clips

ROOT = Path(__file__).parent.parent
TRAIN = [question(number, "train") for number in range(30)]
DEV = [question(number, "dev") for number in range(120)]
TEST = [question(number, "test") for number in range(10)]
HELPS = {"Count each bell once.": 0.4, "Listen twice.": 0.2, "Guess.": -0.2}
FRAGMENTS = [
    Fragment(name=f"f{number}", text=text)
    for number, text in enumerate([*HELPS, "Be kind.", "Mind the wind.", "Take your time."])
]
DECODING = Decoding(temperature=0.1, top_p=1.0, max_tokens=64, n=1, seed=11)
SEARCH = {
    "optimizer": "mipro",
    "start": "baseline",
    "proposer": {"kind": "bank", "model": "", "temperature": 1.0, "max_tokens": 256},
    "seed": 1,
    "train": 20,
    "validation": 40,
    "heldout": 60,
    "minibatch": 10,
    "candidates": 8,
    "budget": 500,
    "demonstrations": {"count": 0, "audio": False},
    "silence_feedback": False,
}


def params_of(**changes) -> SearchParams:
    gepa = {"minibatch": 5, "candidates": 20} if changes.get("optimizer") == "gepa" else {}
    return SearchParams.model_validate({**SEARCH, **gepa, **changes})


def setup_at(work: Path) -> Setup:
    runtime = Runtime(
        concurrency=4, request_timeout_s=5, retries=0, server_start_s=5, server_idle_s=5, checkpoint_steps=5
    )
    serve = Serve(dtype="float32", max_model_len=2048, tensor_parallel_size=1, adapters="merge")
    return Setup("simulated", work / "none", None, serve, runtime, work / "audio", work=work)


def search(
    work: Path,
    params: SearchParams,
    engine: Simulated | None = None,
    start: Prompt | None = None,
    max_error_rate: float = 0.0,
) -> tuple[Prompt, Optimization, Simulated]:
    """One whole search with the bank, or with the engine itself where it proposes."""
    engine = engine or Simulated([*TRAIN, *DEV], HELPS)
    start = start or load_prompt("baseline", ROOT / "prompts")
    task = Task("found_v1", params, start, sets_of(TRAIN, DEV, TEST, params), "simulated", Method(resamples=1000))
    write_clips([*TRAIN, *DEV], work / "audio")
    with response_cache(work) as cache:
        answers = Answers(Cached(engine, cache), DECODING, max_error_rate, work)
        proposer = (
            Bank(FRAGMENTS, start.system.strip())
            if params.proposer.kind == "bank"
            else served(engine, cache, params.proposer)
        )
        prompt, result = found(task, search_of(task, answers, proposer, setup_at(work)), answers)
    return prompt, result, engine


@pytest.mark.parametrize("name", ["mipro", "gepa"])
def test_an_optimiser_finds_the_instruction_that_helps(tmp_path: Path, name: str) -> None:
    prompt, result, _ = search(tmp_path, params_of(optimizer=name))
    assert result.outcome == "found"
    assert "Count each bell once." in prompt.system
    assert result.heldout.difference > 0.2 and result.heldout.n == 60
    assert result.validation.result.acc > result.validation.start.acc
    assert result.candidates[result.chosen].instruction == prompt.system
    assert (prompt.parent, prompt.user) == ("baseline", load_prompt("baseline", ROOT / "prompts").user)


@pytest.mark.parametrize("name", ["mipro", "gepa"])
def test_the_same_search_writes_the_same_bytes_whatever_is_cached(tmp_path: Path, name: str) -> None:
    params = params_of(optimizer=name, silence_feedback=True)
    first = search(tmp_path / "first", params)
    again = search(tmp_path / "first", params)  # all of it from the cache
    anew = search(tmp_path / "second", params)
    assert [to_json(one[1]) for one in (again, anew)] == [to_json(first[1])] * 2
    assert first[0] == again[0] == anew[0]
    assert again[2].requests == [] and first[2].requests == anew[2].requests
    assert len(first[2].requests) == first[1].usage.answers + 60 * 2


def test_a_search_that_is_broken_off_goes_on_to_the_same_end(tmp_path: Path) -> None:
    params = params_of()
    whole = search(tmp_path / "whole", params)

    class Killed(Simulated):
        def generate(self, requests, decoding, known, on_answer) -> None:
            if len(self.batches) == 3:
                raise KeyboardInterrupt
            super().generate(requests, decoding, known, on_answer)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "broken", params, Killed([*TRAIN, *DEV], HELPS))
    prompt, result, engine = search(tmp_path / "broken", params)
    assert (prompt, to_json(result)) == (whole[0], to_json(whole[1]))
    assert 0 < len(engine.requests) < len(whole[2].requests)


def test_an_evaluation_costs_one_call_of_the_engine(tmp_path: Path) -> None:
    _, result, engine = search(tmp_path, params_of())
    assert len(engine.batches) <= len(result.trials) + 3  # train questions first, held-out ones under both at the end


def test_no_more_answers_are_asked_for_than_the_budget(tmp_path: Path) -> None:
    _, result, _ = search(tmp_path, params_of(budget=200))
    assert result.usage.answers <= 200
    assert [trial.answers for trial in result.trials] == sorted(trial.answers for trial in result.trials)


def test_what_the_model_is_shown_is_what_the_resulting_prompt_shows(tmp_path: Path) -> None:
    prompt, _, engine = search(tmp_path, params_of())
    asked = {request_for(one, prompt) for one in DEV}
    held_out = [request for request in engine.requests if request in asked]
    assert len(held_out) >= 100  # 40 of validation and 60 held out
    assert not any(
        word in request.system + request.user for request in engine.requests for word in ("Signal", "Counting")
    )


@pytest.mark.parametrize("optimizer", ["mipro", "gepa"])
def test_an_error_is_no_wrong_answer_and_too_many_end_the_search(tmp_path: Path, optimizer: str) -> None:
    engine = Simulated([*TRAIN, *DEV], HELPS)
    engine.failing = {"dev3"}
    params = params_of(optimizer=optimizer, validation=40)
    result = search(tmp_path / "few", params, engine, max_error_rate=0.2)[1]
    trial = result.trials[0]
    asked = trial.questions
    assert asked in (39, 40) and trial.score == pytest.approx(round(trial.score * asked) / asked, abs=1e-4)
    broken = Simulated([*TRAIN, *DEV], HELPS)
    broken.failing = {one.id for one in DEV}
    with pytest.raises(UserError, match="40 of 40 questions failed"):
        search(tmp_path / "many", params, broken)


@pytest.mark.parametrize("optimizer", ["mipro", "gepa"])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("<think>Hm.</think>", "empty"),
        ("Listen to {question}.", "template"),
        ("{% if choices %}Listen.{% endif %}", "template"),
        ("Listen.\n[[ ## answer", "markers"),
        ("Listen. " * 1000, "too long"),
        ("Listen\x07.", "unprintable"),
        ("TIMEOUT", "no reply"),
    ],
)
def test_a_search_without_a_usable_proposal_keeps_the_start(
    tmp_path: Path, optimizer: str, reply: str, reason: str
) -> None:
    params = params_of(optimizer=optimizer, proposer={**SEARCH["proposer"], "kind": "served"}, candidates=3, budget=200)
    prompt, result, _ = search(tmp_path, params, Simulated([*TRAIN, *DEV], HELPS, [reply]))
    assert result.outcome == "no proposal"
    assert result.refused.keys() == {reason} and result.refused[reason] >= 3
    assert prompt.system == load_prompt("baseline", ROOT / "prompts").system
    assert (result.heldout.difference, result.chosen, len(result.candidates)) == (0.0, 0, 1)


@pytest.mark.parametrize("optimizer", ["mipro", "gepa"])
def test_a_model_writes_the_instruction_and_a_repeated_one_is_asked_for_again(tmp_path: Path, optimizer: str) -> None:
    replies = ["Be kind.", "Be kind.", "<think>Bells?</think>\nCount each bell once."]
    params = params_of(optimizer=optimizer, proposer={**SEARCH["proposer"], "kind": "served"}, candidates=4)
    prompt, result, engine = search(tmp_path, params, Simulated([*TRAIN, *DEV], HELPS, replies))
    assert prompt.system == "Count each bell once."
    assert result.refused["repeated"] >= 1
    assert result.usage.proposer_calls == engine.proposed


def test_demonstrations_are_right_answers_to_train_questions(tmp_path: Path) -> None:
    params = params_of(demonstrations={"count": 2, "audio": True}, budget=700)
    prompt, result, engine = search(tmp_path, params)
    shown = [request for request in engine.requests if request.demonstrations]
    assert shown
    by_text = {one.question: one for one in TRAIN}
    for request in shown:
        for one in request.demonstrations:
            asked = next(q for text, q in by_text.items() if text in one.user)
            assert one.response.endswith(f"ANSWER: {asked.choices[asked.answer]}") and one.audio == asked.audio
    assert {*result.candidates[result.chosen].demonstrations} <= {one.id for one in TRAIN}
    assert len(prompt.demonstrations) == len(result.candidates[result.chosen].demonstrations)
