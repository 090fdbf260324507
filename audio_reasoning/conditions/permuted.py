"""The choices in other orders: whether the place of a choice decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.conditions.condition import Condition
from audio_reasoning.conditions.orders import asked_orders
from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.records import Question, Rollout


def permute(questions: Sequence[Question], arms: Tampering, media_root: Path) -> list[Question]:
    """Each question in `arms.permutations` orders, one after the other."""
    return [reordered(q, order) for q in questions for order in asked_orders(q, arms.seed, arms.permutations)]


def read(questions: Sequence[Question], arms: Tampering, rollouts: Sequence[Rollout]) -> list[Rollout]:
    """Each answer with the order that its choices were asked in; `sample_index` becomes the number of the order."""
    orders = [order for q in questions for order in enumerate(asked_orders(q, arms.seed, arms.permutations))]
    return [
        replace(rollout, sample_index=index, order=order)
        for rollout, (index, order) in zip(rollouts, orders, strict=True)
    ]


def describe(questions: Sequence[Question], arms: Tampering) -> dict[str, Any]:
    """What the orders depend on."""
    return {"seed": arms.seed, "permutations": arms.permutations}


def reordered(question: Question, order: Sequence[int]) -> Question:
    """The question with its choices in that order; the right answer stays right."""
    choices = tuple(question.choices[index] for index in order)
    return replace(question, choices=choices, answer=list(order).index(question.answer))


CONDITION = Condition(permute, read, describe, each_once=True)
