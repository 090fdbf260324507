"""Training an adapter on traces: length-bucketed batches through the one loop, with the optimiser asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

from audio_reasoning.families.family import Processor
from audio_reasoning.training.dataset import LengthBuckets, Rows, collate
from audio_reasoning.training.loop import Batch, Plan, Row, linear, row_interval, train
from audio_reasoning.training.loss import weighted_loss
from audio_reasoning.training.params import Train


@dataclass(frozen=True)
class Batches:
    """The micro-batches of all epochs, and how many make an optimiser step; the last step may have fewer."""

    processor: Processor
    data: Rows
    indices: list[list[int]]
    accumulate: int

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return -(-len(self.indices) // self.accumulate)

    def __call__(self, done: int) -> Iterator[Sequence[Batch]]:
        """The micro-batches of each step after the first `done`."""
        for start in range(done * self.accumulate, len(self.indices), self.accumulate):
            step = self.indices[start : start + self.accumulate]
            yield [collate(self.processor, [self.data[i] for i in batch]) for batch in step]


def batches_of(data: Rows, processor: Processor, settings: Train, seed: int) -> Batches:
    """All that a training sees, in its order, which depends on lengths and the seed alone."""
    buckets = LengthBuckets(data.lengths(), settings.micro_batch_size, settings.epochs, seed)
    return Batches(processor, data, buckets.batches, settings.batch_size // settings.micro_batch_size)


def optimizer_of(model: torch.nn.Module, settings: Train) -> Optimizer:
    """The optimiser of the trainable parameters; the loop sets its learning rate."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.optimizer == "paged_adamw_8bit":
        from bitsandbytes.optim import PagedAdamW8bit

        paged: Optimizer = PagedAdamW8bit(trained, weight_decay=settings.weight_decay)
        return paged
    return AdamW(trained, weight_decay=settings.weight_decay)


def train_adapter(
    model: Any,
    batches: Batches,
    settings: Train,
    learning_rate: float,
    checkpoint: Path | None = None,
    save_steps: int = 1,
) -> Iterator[Row]:
    """Train the adapter on `model` in place, with a warm-up to `learning_rate` and a linear decay; yield rows.

    Raises DivergedError.
    """
    plan = Plan(
        steps=batches.steps,
        learning_rate=linear(learning_rate, batches.steps, round(settings.warmup_share * batches.steps)),
        max_grad_norm=settings.max_grad_norm,
        row_steps=row_interval(batches.steps),
        remedy="lower its learning_rate or train.learning_rate_scale",
        checkpoint=checkpoint,
        save_steps=save_steps,
    )
    optimizer, loss = optimizer_of(model, settings), weighted_loss(settings.kl_coefficient)
    return train(model, optimizer, batches, loss, plan)
