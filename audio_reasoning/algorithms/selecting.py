"""The seam of what is trained on: a method selects it of what was sampled."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audio_reasoning.algorithms.methods import OF_OTHERS, SELECTIONS
from audio_reasoning.algorithms.pass_rates import Problem
from audio_reasoning.algorithms.refusal import RefusedError
from audio_reasoning.core.audio import HOP_SAMPLES, samples_of
from audio_reasoning.core.plugins import load_part
from audio_reasoning.core.records import Question
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.families.family import Processor
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.given_traces import GivenTrace


@dataclass(frozen=True)
class Material:
    """What there is to select from: the problems that were sampled, and what the starting model was trained on.

    `earlier` are the traces of the starting model's bank, `trained` the ids of all problems that it or a model before
    it was trained on. `given` are traces that sources bring along, by question. What is random depends on
    `seed` alone.
    """

    model: str
    problems: Sequence[Problem]
    questions: Mapping[str, Question]  # all of train, by id
    earlier: Sequence[Trace]
    trained: Collection[str]
    seed: int
    prompt: Prompt
    given: Callable[[], Mapping[str, GivenTrace]]
    processor: Callable[[], Processor]

    def prompt_ids(self, question: Question, choices: tuple[str, ...]) -> tuple[int, ...]:
        """The tokens of the question's prompt with the choices in this order, its clip's placeholders included."""
        import torch

        processor = self.processor()
        frames = samples_of(question.audio.duration_s) // HOP_SAMPLES
        clip = torch.zeros(processor.extractor.feature_size, frames)  # only its length is looked at
        return tuple(processor.encode(*self.prompt.render(question.question, choices), clip).ids)


@dataclass(frozen=True)
class Selected:
    """What is trained on, and mastered problems that are not, to see what is forgotten; `nothing` says why none is."""

    bank: Sequence[Trace]
    retention: Sequence[Problem]
    metrics: Mapping[str, Any]
    summary: str  # a line of what was taken
    nothing: RefusedError | None = None


# It is given its own part of the recipe, `select`, as parameters have it.
Selecting = Callable[[Material, Mapping[str, Any]], Selected]


def selection_of(method: str, where: str) -> Selecting:
    """What selects for that method; for a module:object, what does for ReST. UserError, told `where`, if none does."""
    selecting: Selecting = load_part(OF_OTHERS if ":" in method else method, SELECTIONS, where)
    return selecting
