"""A search for a prompt finds the better one, whichever optimiser makes it, and says what it did."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Question
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.engines.params import Runtime, Serve
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.results import to_json
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.optimizer import Task, optimize
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
        answers = Answers(Cached(engine, cache), DECODING, max_error_rate)
        proposer = (
            Bank(FRAGMENTS, start.system.strip())
            if params.proposer.kind == "bank"
            else served(engine, cache, params.proposer)
        )
        prompt, result = optimize(task, answers, proposer, setup_at(work))
    return prompt, result, engine


@pytest.mark.parametrize("name", ["mipro", "gepa"])
def test_an_optimiser_finds_the_instruction_that_helps(tmp_path: Path, name: str) -> None:
    prompt, result, engine = search(tmp_path, params_of(optimizer=name))
    assert result.outcome == "found"
    assert "Count each bell once." in prompt.system
    assert result.heldout.difference > 0.2 and result.heldout.n == 60
    assert result.validation.result.acc > result.validation.start.acc
    assert result.candidates[result.chosen].instruction == prompt.system
    assert (prompt.parent, prompt.user) == ("baseline", load_prompt("baseline", ROOT / "prompts").user)
