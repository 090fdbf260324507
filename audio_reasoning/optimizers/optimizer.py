"""From a prompt and questions to another prompt: by the optimiser that the parameters name."""

from collections.abc import Callable
from dataclasses import dataclass

from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.records import NO_AUDIO, Question
from audio_reasoning.engines.answer import check_clips
from audio_reasoning.engines.demonstrations import check_demonstrations
from audio_reasoning.engines.engine import Setup
from audio_reasoning.metrics.paired import Method
from audio_reasoning.optimizers import gepa, mipro
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.border import in_dspy
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.optimizers.proposers.proposer import Proposer
from audio_reasoning.optimizers.search import Search
from audio_reasoning.optimizers.sets import Sets
from audio_reasoning.prompts.registry import Prompt

OPTIMIZERS: dict[str, Callable[[Search], None]] = {"mipro": mipro.run, "gepa": gepa.run}


@dataclass(frozen=True)
class Task:
    """A search that is to be made: the name of its result, how it is made, from where and on which questions."""

    name: str
    params: SearchParams
    start: Prompt
    sets: Sets
    model: str  # whose answers are asked for, in words
    method: Method  # of the comparison on the held-out questions


def search_of(task: Task, answers: Answers, proposer: Proposer, setup: Setup) -> Search:
    """The search, done.

    Raises UserError where a clip is missing or has changed, and as engine and proposer do.
    """
    sets = task.sets
    check_clips([*sets.train, *sets.validation, *sets.heldout], setup.media_root)
    check_demonstrations(task.start, setup.media_root)
    outcomes = answers.responses(sets.train, task.start)
    in_silence: dict[str, int | None] = {}
    if task.params.silence_feedback:
        silent = [_silent(question, setup) for question in sets.train]
        in_silence = {one.question_id: one.answer for one in answers.responses(silent, task.start)}
    search = Search(task.params, task.start, sets.train, sets.validation, answers, proposer, outcomes, in_silence)
    with in_dspy(), dspy.context(lm=search.model, callbacks=[search.trials], disable_history=True):
        OPTIMIZERS[task.params.optimizer](search)
    return search


def _silent(question: Question, setup: Setup) -> Question:
    return question if question.audio is NO_AUDIO else silenced(question, setup.media_root)
