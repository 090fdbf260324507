"""The one training loop: of the base model, of adapters, and of what is tried before a training.

A method is a function from a micro-batch to a loss, and something that makes micro-batches; the rest is here. Nothing
but rows and checkpoints waits for the device.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Optimizer

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.progress import progress
from audio_reasoning.core.typed import Strict
from audio_reasoning.training.checkpoints import load_checkpoint, save_checkpoint
from audio_reasoning.training.loss import Loss, Step, completion_tokens

Batch = dict[str, Tensor]


class Row(Strict):
    """How training went: the mean loss of the steps since the row before, the rest of the last one."""

    step: int  # optimiser steps done, this one included
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    measures: dict[str, float]  # by the name that the loss gives them


class DivergedError(UserError):
    """A loss or a weight is no longer a number; what led there is of no use."""

    def __init__(self, plan: "Plan", step: int):
        self.reason, self.remedy = f"{plan.desc} diverged by step {step}", plan.remedy
        super().__init__(f"{self.reason}; {self.remedy}")


@dataclass(frozen=True)
class Plan:
    """What a training does beside computing losses."""

    steps: int
    learning_rate: Callable[[int], float]  # of a step, counted from 0
    max_grad_norm: float
    row_steps: int  # from row to row
    desc: str = "training"
    remedy: str = "lower the learning rate"  # told where a training diverges
    checkpoint: Path | None = None  # a file, replaced at rows
    save_steps: int = 1  # at least, from checkpoint to checkpoint


def train(
    model: Any,
    optimizer: Optimizer,
    micro_batches: Callable[[int], Iterator[Sequence[Batch]]],
    loss: Loss,
    plan: Plan,
) -> Iterator[Row]:
    """Train what of `model` requires gradients, in place and in this process; yield rows as they come.

    A caller that has seen enough stops iterating. `micro_batches(done)` gives those of each optimiser step after the
    first `done`, and is asked for a step's when the step before has been made, so they may be sampled from the model.
    `loss` returns a micro-batch's share of the step's loss. Where `plan.checkpoint` is there, training goes on from
    it, its rows first, and ends with the same bytes as one that was never interrupted (on a CPU).

    Raises DivergedError at the first row whose loss is not finite, and at the end if a weight is not.
    """
    # The model's own types decide the precision: a base in bfloat16 with an adapter in float32, say.
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
    model, optimizer = accelerator.prepare(model, optimizer)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    rows = [Row(**row) for row in load_checkpoint(plan.checkpoint, trained, optimizer)]
    yield from rows
    saved = done = rows[-1].step if rows else 0
    losses: list[list[Tensor]] = []  # of each micro-batch of each step since the last row
    model.train()
    with progress(plan.steps, "step", plan.desc) as bar:
        bar.update(done)
        for number, batches in zip(range(done + 1, plan.steps + 1), micro_batches(done), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate(number - 1)
            step = Step(number, sum(map(completion_tokens, batches)), number % plan.row_steps == 0)
            losses.append([])
            measures: dict[str, Tensor] = {}
            for batch in batches:
                share, measured = loss(model, _to(batch, accelerator.device), step)
                accelerator.backward(share)
                losses[-1].append(share.detach())
                measures = {name: measures.get(name, 0) + value.detach() for name, value in measured.items()}
            norm = accelerator.clip_grad_norm_(trained.values(), plan.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            bar.update()
            if step.row:
                row = Row(
                    step=number,
                    loss=_mean(losses),
                    gradient_norm=float(norm),
                    learning_rate=plan.learning_rate(number - 1),
                    measures={name: float(value) for name, value in measures.items()},
                )
                if not math.isfinite(row.loss):
                    raise DivergedError(plan, number)
                rows.append(row)
                losses = []
                if plan.checkpoint and number - saved >= plan.save_steps:
                    save_checkpoint(plan.checkpoint, trained, optimizer, [each.model_dump() for each in rows])
                    saved = number
                yield row
    if not all(parameter.isfinite().all() for parameter in trained.values()):
        raise DivergedError(plan, plan.steps)


def _mean(losses: list[list[Tensor]]) -> float:
    """The mean over steps of what their micro-batches add up to, by one copy from the device."""
    values = iter(torch.stack([share for step in losses for share in step]).tolist())
    return float(np.mean([sum(next(values) for _ in step) for step in losses]))


def _to(batch: Batch, device: torch.device) -> Batch:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def linear(peak: float, steps: int, warmup_steps: int) -> Callable[[int], float]:
    """A linear warm-up from 0 to `peak`, then a linear decay to 0 at the end.

    >>> [linear(1.0, 4, 2)(step) for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def rate(step: int) -> float:
        if step < warmup_steps:
            return peak * (step / warmup_steps)
        return peak * max(0.0, (steps - step) / max(1, steps - warmup_steps))

    return rate


def row_interval(steps: int) -> int:
    """Optimiser steps between two rows: twenty rows of a short training, every 25 steps of a long one.

    The divergence from base costs a further forward pass where a row has it, and checkpoints are made at rows only.

    >>> [row_interval(steps) for steps in (4, 63, 712)]
    [1, 3, 25]
    """
    return min(25, max(1, steps // 20))
