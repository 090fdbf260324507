"""The seam of what makes a model from a model: a method changes an adapter by what was selected for it.

Before it, problems are sampled, some selected (selecting.py) and a training tried out; after it, the gate, parity,
answers, scores and comparisons follow, whatever the method. A model names its own in `method`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_reasoning.algorithms.methods import FITTINGS
from audio_reasoning.core.plugins import load_part
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.families.family import Processor
from audio_reasoning.training.loop import Row
from audio_reasoning.training.params import Train

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class Policy:
    """The base model with the adapter to change, on its device, what makes its inputs, and where their clips are."""

    model: "PeftModel"
    processor: Processor
    media_root: Path


@dataclass(frozen=True)
class How:
    """What the parameters say of a training; whatever is random depends on `seed` alone.

    `learning_rate` is that of the recipe times the scale of `train`; `options` are what the model gives its method.
    A method that can go on where it was interrupted keeps its state in the file `checkpoint`, each `checkpoint_steps`.
    """

    train: Train
    learning_rate: float
    options: Mapping[str, Any]
    seed: int
    checkpoint: Path | None = None
    checkpoint_steps: int = 1


@dataclass(frozen=True)
class Fit:
    """A training about to run: its optimiser steps, what its metrics say beside the rows, and the rows.

    Iterating `rows` to the end is what changes the adapter, in place; each row is a point of the curves.
    """

    steps: int
    record: Mapping[str, float]
    rows: Iterator[Row]


# Raises UserError for options that it cannot use, and DivergedError, from its rows too, when training is of no use.
Fitting = Callable[[Policy, Sequence[Trace], How], Fit]


def fitting_of(method: str, where: str) -> Fitting:
    """What trains by that method, one of our own or any module:object; UserError, prefixed by `where`, if none does."""
    fitting: Fitting = load_part(method, FITTINGS, where)
    return fitting
