"""Another question's clip in place of the own one: what is still answered right was not heard."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.conditions.condition import Condition
from audio_reasoning.conditions.orders import generator
from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Question

# What of a clip in another's place can be had, best first: one about which the same answer is right is no control.
FITS = ("same_sub_category_other_answer", "other_sub_category_other_answer", "same_answer")


def mismatch(questions: Sequence[Question], arms: Tampering, media_root: Path) -> list[Question]:
    """Each question about another's clip; raises UserError where there is no other."""
    pairs = zip(questions, donors(questions, arms.seed), strict=True)
    return [replace(question, audio=donor.audio) for question, (donor, _) in pairs]


def describe(questions: Sequence[Question], arms: Tampering) -> dict[str, Any]:
    """The seed, and how well the clips fit."""
    fits = Counter(fit for _, fit in donors(questions, arms.seed))
    return {"seed": arms.seed, "clips": {fit: fits[fit] for fit in FITS}}


def donors(questions: Sequence[Question], seed: int) -> list[tuple[Question, str]]:
    """For each question another one, whose clip takes the place of its own, and how well that fits (one of FITS).

    Never one about the same clip or of the same group. If it can be had, one of the same sub-category about whose
    clip no question has the same right answer: the text of this question is then as fitting, and its answer wrong.
    """
    pools: dict[str, list[Question]] = defaultdict(list)
    answers: dict[str, set[str]] = defaultdict(set)  # that are right of a group's clip
    for question in questions:
        pools[question.sub_category].append(question)
        answers[question.group].add(_right(question))

    def donor(question: Question) -> tuple[Question, str]:
        for fit, pool in zip(FITS, (pools[question.sub_category], questions, questions), strict=True):
            candidates = [
                other
                for other in pool
                if other.group != question.group
                and other.audio.sha256 != question.audio.sha256
                and (fit == "same_answer" or _right(question) not in answers[other.group])
            ]
            if candidates:
                return candidates[generator(question, seed).integers(len(candidates))], fit
        raise UserError(
            f"arms.kinds: mismatched needs another clip for {question.id}, and all test questions are about one; "
            "leave mismatched out, or add questions"
        )

    return [donor(question) for question in questions]


def _right(question: Question) -> str:
    return question.choices[question.answer].strip().casefold()


CONDITION = Condition(mismatch, describe=describe)
