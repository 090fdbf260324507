"""The model in this process: what is asked together decides the answers, and what was asked before does not."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.records import NO_AUDIO, Question
from audio_reasoning.engines import transformers
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.prompts.registry import load_prompt
from stages.project import load_project
from tests import tiny_thinker
from tests.pipeline import cached_answers
from tests.questions import question

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BATCH = 4
HOT = 2.0  # a temperature at which no two answers are the same

Answers = list[tuple[int, ...] | None]
Ask = Callable[..., Answers]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def ask(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask questions in batches of BATCH; `cache` names the cache, which is empty at first."""
    monkeypatch.setattr(transformers, "BATCH", BATCH)
    prompt, params = load_prompt("baseline", ROOT / "prompts"), load_project(path=ROOT / "params.yaml")

    def asked(questions: Sequence[Question], cache: str = "a cache", temperature: float = HOT) -> Answers:
        work, n = tmp_path / cache, 2 if temperature else 1
        setup = Setup("transformers", checkpoint, None, params.serve, params.runtime, tmp_path, work=work)
        decoding = Decoding(temperature=temperature, top_p=1.0, max_tokens=8, n=n, seed=11)
        responses, _ = answer_questions(questions, prompt, setup, decoding, keep_ids=True)
        return [response.completion_token_ids for response in responses]

    return asked


def asked(i: int) -> Question:
    """In text alone, and each longer than the one before."""
    return question(i, audio=NO_AUDIO, question=f"Which sound is heard, {'and now ' * i}?")


QUESTIONS = [asked(i) for i in range(10)]


@pytest.mark.parametrize("before", [QUESTIONS[3:6], QUESTIONS[:9], QUESTIONS[::-1]], ids=["a few", "most", "reversed"])
def test_what_was_asked_before_changes_no_answer(ask: Ask, before: list[Question]) -> None:
    cold = ask(QUESTIONS, "cold")
    ask(before, "warm")
    assert ask(QUESTIONS, "warm") == cold


def test_who_shares_a_batch_matters_without_sampling_too(ask: Ask, tmp_path: Path) -> None:
    ask(QUESTIONS[:5], temperature=0.0)
    ask(QUESTIONS, temperature=0.0)
    kept = cached_answers(tmp_path / "a cache/responses.sqlite")
    assert kept == 5 + 10, "padding to another length rounds in another way, so no answer stands in for another"


def test_answers_to_the_same_list_come_from_the_cache_without_the_model(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(QUESTIONS)
    monkeypatch.setitem(sys.modules, "audio_reasoning.families.adapters", None)  # without which no model is loaded
    assert ask(QUESTIONS) == first
    with pytest.raises(ImportError):
        ask(QUESTIONS[:9])


def test_an_interrupted_run_keeps_what_came_and_ends_with_the_same_answers(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, sample, batches, sampling = [0], transformers._sample, [0], transformers._sampling
    stop_after = 2 * (2 * BATCH + 1)  # samples: two batches, and one of the two questions of the last

    def interrupted(*args: Any) -> Any:
        if read[0] == stop_after:
            raise KeyboardInterrupt
        read[0] += 1
        return sample(*args)

    def counted(decoding: Decoding) -> dict[str, object]:
        batches[0] += 1
        return sampling(decoding)

    cold = ask(QUESTIONS, "cold")
    monkeypatch.setattr(transformers, "_sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(QUESTIONS, "interrupted")
    assert cached_answers(tmp_path / "interrupted/responses.sqlite") == 2 * BATCH + 1
    monkeypatch.setattr(transformers, "_sample", sample)
    monkeypatch.setattr(transformers, "_sampling", counted)
    assert ask(QUESTIONS, "interrupted") == cold
    assert batches == [1], "only the batch that was not whole is asked for"


def test_equal_requests_have_the_first_ones_answer_at_once_and_from_the_cache(ask: Ask) -> None:
    twins = [question(i, audio=NO_AUDIO) for i in range(6)]
    first = ask(twins)
    assert len(set(first[::2])) == len(set(first[1::2])) == 1, "of each of the two samples"
    assert ask(twins) == first
