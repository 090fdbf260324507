"""Training losses, on completion tokens only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax
from torch.utils.checkpoint import checkpoint

MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids", "input_features", "feature_attention_mask")
LOGITS = 2**28  # that a loss holds at once: a gigabyte in float32


@dataclass(frozen=True)
class Step:
    """What a loss may know of the optimiser step that its micro-batch belongs to."""

    number: int  # from 1
    tokens: int  # predicted ones, of all its micro-batches
    row: bool  # whether it is the one that a row tells about


# From a model, a micro-batch and its step: the micro-batch's share of the step's loss, and shares of what rows shall
# tell beside it, by name. Shares of a step's micro-batches add up.
Loss = Callable[[Any, dict[str, Tensor], Step], tuple[Tensor, dict[str, Tensor]]]


def completion_states(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What the vocabulary is projected from [tokens, hidden], and targets [tokens], where a label is not -100.

    Row by row. The projection itself is left to the losses: for a long text all its logits would be the largest
    tensor of a training step. `model` is a thinker, with or without an adapter.
    """
    targets = batch["labels"][:, 1:]
    predicting = targets != -100
    states: list[Tensor] = []

    def keep(_: torch.nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        states.append(args[0][:, :-1][predicting])
        return (states[0][:0],)

    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    inputs["input_features"] = inputs["input_features"].to(model.dtype)
    hook = model.lm_head.register_forward_pre_hook(keep)
    try:
        model(**inputs, use_cache=False)
    finally:
        hook.remove()
    assert len(states) == 1, f"the vocabulary was projected {len(states)} times"
    return states[0], targets[predicting]


def token_losses(model: Any, states: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each predicted token [tokens], in nats, from `completion_states`."""

    def loss(states: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(model.lm_head(states).float(), targets, reduction="none")

    return _in_parts(loss, model, states, targets)


def token_kl(model: Any, states: Tensor, reference: Tensor) -> Tensor:
    """KL(model || reference) for each predicted token [tokens], in nats, over the whole vocabulary.

    Both are states of `completion_states`, of models that share the projection to the vocabulary. Exact rather than
    estimated from the sampled tokens, which another policy has chosen.
    """

    def divergence(own: Tensor, other: Tensor) -> Tensor:
        log_p, log_q = (log_softmax(model.lm_head(states).float(), dim=-1) for states in (own, other))
        return (log_p.exp() * (log_p - log_q)).sum(-1)

    return _in_parts(divergence, model, states, reference)


def completion_tokens(batch: dict[str, Tensor]) -> int:
    """Predicted tokens of a batch."""
    return int((batch["labels"][:, 1:] != -100).sum())


def mean_loss(model: Any, batch: dict[str, Tensor], step: Step) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean cross-entropy of the step's completion tokens, in nats."""
    return token_losses(model, *completion_states(model, batch)).sum() / step.tokens, {}


def weighted_loss(kl_coefficient: float) -> Loss:
    """The mean over the step's completion tokens of cross-entropy times the token's weight, in nats.

    A weight may have either sign, as an advantage has: what is divided by is the number of tokens. `kl_coefficient`
    times the mean divergence a token from the model without its adapter is added; rows tell it as `kl`.
    """

    def loss(model: Any, batch: dict[str, Tensor], step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        states, targets = completion_states(model, batch)
        total = (token_weights(batch) * token_losses(model, states, targets)).sum() / step.tokens
        if not (kl_coefficient or step.row):
            return total, {}
        with torch.no_grad(), model.disable_adapter():
            reference, _ = completion_states(model, batch)
        with torch.set_grad_enabled(kl_coefficient > 0):
            kl = token_kl(model, states, reference).sum() / step.tokens
        return (total + kl_coefficient * kl if kl_coefficient else total), {"kl": kl}

    return loss


def completion_loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the tokens whose label is not -100, in nats."""
    return token_losses(model, *completion_states(model, batch)).mean()


def token_weights(batch: dict[str, Tensor]) -> Tensor:
    """The weight of each predicted token [tokens], in the order of `completion_states`."""
    return batch["weights"][:, 1:][batch["labels"][:, 1:] != -100]


def _in_parts(function: Callable[..., Tensor], model: Any, *tensors: Tensor) -> Tensor:
    """`function` of tensors [tokens, …], some tokens at a time; the backward pass computes their logits anew."""
    size = max(1, LOGITS // model.lm_head.out_features)
    if len(tensors[0]) <= size:
        return function(*tensors)
    parts = zip(*(tensor.split(size) for tensor in tensors), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([function(*part) for part in parts])
    # Nothing here is random, so the generators' states need not be kept for the second time.
    kept = {"use_reentrant": False, "preserve_rng_state": False}
    return torch.cat([checkpoint(function, *part, **kept) for part in parts])
