"""A condition: the questions of a run with something taken away or moved; texts, right answers and ids stay.

| condition | what is asked |
|---|---|
| `silence` | the question about silence of its clip's length |
| `mismatched` | the question about another question's clip |
| `text_only` | the question without any audio in the request |
| `permuted` | the question with its choices in another order, `arms.permutations` orders a question |

Each is one file with a `CONDITION`; `arms.others` adds more, as module:object.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.plugins import load_part
from audio_reasoning.core.records import Question, Rollout

CONDITIONS = {
    "silence": "audio_reasoning.conditions.silence:CONDITION",
    "mismatched": "audio_reasoning.conditions.mismatched:CONDITION",
    "text_only": "audio_reasoning.conditions.text_only:CONDITION",
    "permuted": "audio_reasoning.conditions.permuted:CONDITION",
}


def _as_asked(questions: Sequence[Question], arms: Tampering, rollouts: Sequence[Rollout]) -> list[Rollout]:
    return list(rollouts)


def _nothing(questions: Sequence[Question], arms: Tampering) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Condition:
    """What is asked instead of the questions, and how the answers are read.

    `ask` gives for each question one or, in a row, several; clips that it makes it writes below the media root that it
    is given. `read` gives the answers to that as answers to the questions.
    `describe` is what a run's manifest says beside the condition's name. `each_once`: one sample of what is asked.
    """

    ask: Callable[[Sequence[Question], Tampering, Path], list[Question]]
    read: Callable[[Sequence[Question], Tampering, Sequence[Rollout]], list[Rollout]] = _as_asked
    describe: Callable[[Sequence[Question], Tampering], dict[str, Any]] = _nothing
    each_once: bool = False


def condition_of(name: str, arms: Tampering) -> Condition:
    """The condition of that name: one of ours, or of `arms.others`; else a UserError with the nearest name."""
    condition: Condition = load_part(name, {**CONDITIONS, **arms.others}, "condition")
    return condition
