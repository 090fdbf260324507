"""Hugging Face's Trainer, with the loss that self-training needs and a resumption that changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from dvclive.live import Live
from peft import PeftModel
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audio_reasoning.algorithms.rest.refusal import RefusedError
from audio_reasoning.core.progress import progress
from audio_reasoning.families.family import Processor
from audio_reasoning.training.checkpoints import WholeCheckpoints
from audio_reasoning.training.dataset import LengthBuckets, Rows, collate
from audio_reasoning.training.loss import completion_states, token_kl, token_losses, token_weights
from audio_reasoning.training.params import Train


class RestTrainer(Trainer):  # type: ignore[misc]
    """Weighted loss over completion tokens, KL to the base model, length-bucketed batches."""

    loss_is_scaled_for_ga = True  # by the weight of all tokens of the optimiser step, below

    def __init__(self, *, buckets: LengthBuckets, kl_coefficient: float, **options: Any):
        super().__init__(**options)
        self.buckets, self.kl_coefficient = buckets, kl_coefficient
        self._kl: torch.Tensor | float = torch.nan  # of the optimiser step under way, where it is measured

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One pass over the buckets, which hold all epochs."""
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset, batch_sampler=self.buckets, collate_fn=self.data_collator
        )
        return self.accelerator.prepare(loader)  # type: ignore[no-any-return]

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        """The micro-batches of an optimiser step, and the summed weight of their completion tokens."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._kl = 0.0
        return batches, sum(token_weights(batch).sum() for batch in batches)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The micro-batch's share of the step's weighted mean loss a token, in nats."""
        states, targets = completion_states(model, inputs)
        shares = token_weights(inputs) / num_items_in_batch
        loss = (shares * token_losses(model, states, targets)).sum()
        if self.kl_coefficient or (self.state.global_step + 1) % self.args.logging_steps == 0:
            with torch.no_grad(), model.disable_adapter():
                reference, _ = completion_states(model, inputs)
            with torch.set_grad_enabled(self.kl_coefficient > 0):
                kl = (shares * token_kl(model, states, reference)).sum()
            self._kl += kl.detach()
            if self.kl_coefficient:
                loss = loss + self.kl_coefficient * kl
        if not torch.isfinite(loss):
            raise self._diverged()
        return (loss, None) if return_outputs else loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: Trainer would go through all modules at every step for a figure that nobody reads."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the last step's KL to base, a weighted mean like the loss, to the training logs."""
        super().log({**logs, "kl": float(self._kl)} if "loss" in logs else logs, start_time)

    def train(self, *args: Any, **options: Any) -> Any:
        """Train; raises RefusedError as well when the last step, which no loss follows, broke the weights."""
        output = super().train(*args, **options)
        if not all(parameter.isfinite().all() for parameter in self.model.parameters() if parameter.requires_grad):
            raise self._diverged()
        return output

    def _diverged(self) -> RefusedError:
        return RefusedError(
            [f"training diverged at step {self.state.global_step}"],
            ["lower this iteration's learning_rate or rest.train.learning_rate_scale, or rest.train.max_grad_norm"],
        )


class _Bar(TrainerCallback):  # type: ignore[misc]
    """Steps done, as all long work here shows them."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar = progress(state.max_steps, "step", "training")
        self.bar.update(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar.update()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar.close()


class Curves(TrainerCallback):  # type: ignore[misc]
    """Loss, KL, gradient norm and learning rate as DVCLive's curves, those before a resumption included."""

    def __init__(self, live: Live):
        self.live = live

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write what the checkpoint remembers."""
        for row in state.log_history:
            self._write(row)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the last row."""
        self._write(state.log_history[-1])

    def _write(self, row: dict[str, Any]) -> None:
        if "loss" in row:
            self.live.step = row["step"]
            for name in ("loss", "kl", "grad_norm", "learning_rate"):
                self.live.log_metric(name, row[name])


def log_interval(steps: int) -> int:
    """Optimiser steps between two rows of the curves: twenty rows of a short training, every 25 steps of a long one.

    The divergence from base costs a further forward pass where it is logged, and a checkpoint can be made only there.

    >>> [log_interval(steps) for steps in (4, 63, 712)]
    [1, 3, 25]
    """
    return min(25, max(1, steps // 20))


def trainer_for(
    model: PeftModel,
    processor: Processor,
    data: Rows,
    train: Train,
    learning_rate: float,
    seed: int,
    folder: Path,
    save_steps: int,
    callbacks: Sequence[TrainerCallback] = (),
) -> RestTrainer:
    """The trainer of one iteration; `folder` takes its checkpoints."""
    buckets = LengthBuckets(data.lengths(), train.micro_batch_size, train.epochs, seed)
    steps = -(-len(buckets) // (train.batch_size // train.micro_batch_size))
    log_steps = log_interval(steps)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the buckets hold them all
        per_device_train_batch_size=train.micro_batch_size,
        gradient_accumulation_steps=train.batch_size // train.micro_batch_size,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(train.warmup_share * steps),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim="adamw_torch" if train.optimizer == "adamw" else train.optimizer,
        logging_steps=log_steps,
        logging_nan_inf_filter=False,  # would report a diverging loss as the one before
        save_strategy="steps",
        save_steps=-(-save_steps // log_steps) * log_steps,  # a checkpoint forgets the losses not yet logged
        save_total_limit=2,
        seed=seed % 2**32,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    # On a machine with several GPUs the trainer would spread each batch over them all.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    trainer = RestTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=lambda rows: collate(processor, rows),
        callbacks=[WholeCheckpoints(), _Bar(), *callbacks],
        buckets=buckets,
        kl_coefficient=train.kl_coefficient,
    )
    trainer.remove_callback(PrinterCallback)  # the curves have what it would print
    return trainer
