"""What must hold before an hour of training: each check measures, and says what is wrong where something is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import torch

from audio_reasoning.algorithms.refusal import RefusedError
from audio_reasoning.core.audio import HOP_SAMPLES, samples_of
from audio_reasoning.core.records import Question
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.families.family import Processor
from audio_reasoning.metrics.stats import LEVEL, bootstrap_differences
from audio_reasoning.training.dataset import Example, collate, to_device
from audio_reasoning.training.loop import DivergedError, Plan, train
from audio_reasoning.training.loss import completion_states, mean_loss, token_losses

_BATCH = 8
_LEARNT = 0.25  # of the loss at the start: what learning by heart must fall below


def audio_tokens(traces: Sequence[Trace], processor: Processor) -> list[str]:
    """Traces whose prompt has another number of audio tokens than their clip's length gives."""
    faults = []
    for trace in traces:
        expected = processor.audio_tokens(samples_of(trace.duration_s))
        heard = trace.prompt_token_ids.count(processor.audio_token_id)
        if heard != expected:
            faults.append(f"{trace.problem_id}: {heard} audio tokens for {trace.duration_s:.2f} s, expected {expected}")
    return faults


def labels(rows: Sequence[Sequence[Example]], processor: Processor) -> list[str]:
    """Traces whose labels in a training batch are not the sampled completion, its thinking opened and closed."""
    faults = []
    for start in range(0, len(rows), _BATCH):
        chosen = rows[start : start + _BATCH]
        batch = collate(processor, chosen)
        for row, ids, targets in zip(chosen, batch["input_ids"], batch["labels"], strict=True):
            at = len(row[0][0].prompt_token_ids)
            for trace, _ in row:
                end = at + len(trace.completion_token_ids)
                faults += _label_faults(trace, targets[at:end].tolist(), ids[at - 1 : end].tolist(), processor)
                at = end + 1  # past the prompt's last token, which is repeated before each completion
            if int((targets != -100).sum()) != sum(len(trace.completion_token_ids) for trace, _ in row):
                faults.append(f"{row[0][0].problem_id}: there are labels outside its completions")
    return faults


def _label_faults(trace: Trace, learnt: list[int], fed: list[int], processor: Processor) -> list[str]:
    """What is wrong with the labels of one trace; `fed` are the tokens before and at them."""
    text = str(processor.tokenizer.decode([i for i in learnt if i != -100], skip_special_tokens=True))
    conversation = str(processor.tokenizer.decode(trace.prompt_token_ids)) + text
    if learnt != list(trace.completion_token_ids) or text != trace.text:
        return [f"{trace.problem_id}: the labels decode to {text!r}, sampled was {trace.text!r}"]
    if fed != [trace.prompt_token_ids[-1], *trace.completion_token_ids]:
        return [f"{trace.problem_id}: the tokens fed are not those that were sampled"]
    if text.count("</think>") != 1 or conversation.rfind("<think>") > conversation.rfind("</think>"):
        return [f"{trace.problem_id}: the thinking is not opened and closed once in {text!r}"]
    return []


def contamination(traces: Sequence[Trace], held_out: dict[str, Sequence[Question]]) -> list[str]:
    """Traces that share an id, a group or a clip with a question of dev or test."""
    faults = []
    for split, questions in held_out.items():
        theirs: dict[str, set[str]] = {
            "id": {question.id for question in questions},
            "group": {question.group for question in questions},
            "clip": {question.audio.sha256 for question in questions},
        }
        for trace in traces:
            ours = {"id": trace.problem_id, "group": trace.group, "clip": trace.audio_sha256}
            faults += [f"{trace.problem_id}: its {key} is in {split}" for key in ours if ours[key] in theirs[key]]
    return faults


def hearing(
    model: Any, processor: Processor, examples: Sequence[Example], seed: int, batch_size: int
) -> dict[str, Any]:
    """Loss of right answers on the true clip, on another question's and on silence, compared pair by pair.

    Returns for each of `shuffled` and `silence` the mean difference to the true clip in nats a token (positive:
    hearing helps) with its 95 % interval by a bootstrap over groups, and the mean loss of each.
    """
    others = [replaced(example, features, processor) for example, features in _other_clips(examples)]
    silent = _silence(processor)
    silence = [replaced(example, silent(example[1].shape[1]), processor) for example in examples]
    groups = [trace.group for trace, _ in examples]
    true = losses(model, processor, examples, batch_size)
    result: dict[str, Any] = {"n": len(examples), "loss_true": round(float(true.mean()), 5)}
    for name, control in (("shuffled", others), ("silence", silence)):
        differences = losses(model, processor, control, batch_size) - true
        means = bootstrap_differences(differences, groups, 10_000, seed)
        low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        result[name] = {"difference": round(float(differences.mean()), 5), "low": round(float(low), 5)}
        result[name]["high"] = round(float(high), 5)
    return result


def losses(model: Any, processor: Processor, examples: Sequence[Example], batch_size: int) -> np.ndarray:
    """Mean loss a completion token of each example, in nats; shape [examples]."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i][0].prompt_token_ids))
    means = np.zeros(len(examples))
    model.eval()
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = to_device(collate(processor, [[examples[i]] for i in chosen]), model.device)
        with torch.inference_mode():
            each = token_losses(model, *completion_states(model, batch))
        counts = (batch["labels"][:, 1:] != -100).sum(1).tolist()
        means[chosen] = [float(part.mean()) for part in each.split(counts)]
    return means


def replaced(example: Example, features: torch.Tensor, processor: Processor) -> Example:
    """The example with another clip: its features, and as many audio tokens as it has."""
    trace, ids = example[0], list(example[0].prompt_token_ids)
    at, count = ids.index(processor.audio_token_id), ids.count(processor.audio_token_id)
    length = processor.audio_tokens(features.shape[1] * HOP_SAMPLES)
    ids[at : at + count] = [processor.audio_token_id] * length
    return replace(trace, prompt_token_ids=tuple(ids)), features


def _other_clips(examples: Sequence[Example]) -> list[tuple[Example, torch.Tensor]]:
    """Each example beside the clip of the next one that has a different clip."""
    pairs = []
    for position, example in enumerate(examples):
        following = [*examples[position + 1 :], *examples[:position]]
        other = next((f for t, f in following if t.audio_sha256 != example[0].audio_sha256), None)
        if other is not None:
            pairs.append((example, other))
    if len(pairs) < len(examples):
        raise RefusedError(
            [f"the {len(examples)} dev answers that hearing is tried on share one clip, so no other can be played"],
            ["add dev questions about other clips"],
        )
    return pairs


def _silence(processor: Processor) -> Callable[[int], torch.Tensor]:
    """Features of silence by their number of frames."""
    cached: dict[int, torch.Tensor] = {}

    def features(frames: int) -> torch.Tensor:
        if frames not in cached:
            cached[frames] = processor.features(np.zeros(frames * HOP_SAMPLES, dtype=np.float32))
        return cached[frames]

    return features


def overfit(
    model: Any,
    processor: Processor,
    examples: Sequence[Example],
    steps: int,
    learning_rate: float,
    micro_batch_size: int,
) -> dict[str, Any]:
    """Train on a few examples until they are known by heart; the model is of no other use afterwards.

    Every step sees them all, `micro_batch_size` at a time. A last loss of None means that training diverged.
    """
    batches = [
        collate(processor, [[e] for e in examples[start : start + micro_batch_size]])
        for start in range(0, len(examples), micro_batch_size)
    ]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
    # A step's loss is that before the step, so one more step tells what the last one did.
    plan = Plan(steps + 1, lambda _: learning_rate, max_grad_norm=1.0, row_steps=1, desc="learning by heart")
    history: list[float] = []
    diverged = False
    try:
        for row in train(model, optimizer, lambda _: repeat(batches), mean_loss, plan):
            history.append(row.loss)
            if row.loss < _LEARNT * history[0]:
                break
    except DivergedError:
        diverged = True
    return {
        "examples": len(examples),
        "steps": len(history) if diverged else len(history) - 1,
        "loss_first": round(history[0], 5) if history else None,
        "loss_last": None if diverged else round(history[-1], 5),
        "learnt": not diverged and history[-1] < _LEARNT * history[0],
    }
