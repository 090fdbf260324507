"""The answers that are not right, one by one, and how many there are of each kind: pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from audio_reasoning.core.records import Question, Response, Status
from audio_reasoning.metrics.errors.breakdowns import pairs
from audio_reasoning.metrics.inputs import Questions, Samples
from audio_reasoning.tasks.reward import correct

Kind = Literal["wrong choice", "no answer", "truncated", "error"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KIND_OF: dict[Status, Kind] = {
    "ok": "wrong choice",
    "no_answer": "no answer",
    "truncated": "truncated",
    "error": "error",
}


@dataclass(frozen=True)
class Failure:
    """A question, and an answer to it that is not right."""

    question: Question
    response: Response

    @property
    def kind(self) -> Kind:
        """Another choice than the right one, or why there is none."""
        return KIND_OF[self.response.status]


def failures_of(questions: Questions, samples: Samples) -> list[Failure]:
    """Every answer that is not right, in the order of the questions."""
    return [
        Failure(question, sample.response)
        for question, sample in pairs(questions, samples)
        if not correct(question, sample.response)
    ]


def by_kind(failures: Sequence[Failure]) -> dict[Kind, int]:
    """How many failures there are of each kind, in the order of KINDS."""
    counts = Counter(failure.kind for failure in failures)
    return {kind: counts[kind] for kind in KINDS}
