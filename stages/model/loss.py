"""Training losses, on completion tokens only."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids", "input_features", "feature_attention_mask")


def completion_logits(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits [tokens, vocabulary] in float32 and targets [tokens] where a label is not -100, row by row.

    The vocabulary is projected only where there is something to predict: for a long prompt the full logits
    would be the largest tensor of the step. `model` is a thinker, with or without an adapter.
    """
    targets = batch["labels"][:, 1:]
    predicting = targets != -100

    def keep(_: torch.nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0][:, :-1][predicting],)

    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    inputs["input_features"] = inputs["input_features"].to(model.dtype)
    hook = model.lm_head.register_forward_pre_hook(keep)
    try:
        logits = model(**inputs, use_cache=False).logits
    finally:
        hook.remove()
    assert logits.shape[0] == targets[predicting].shape[0], "the vocabulary was projected at other positions"
    return logits.float(), targets[predicting]


def completion_loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the tokens whose label is not -100, in nats."""
    return cross_entropy(*completion_logits(model, batch))


def token_weights(batch: dict[str, Tensor]) -> Tensor:
    """The weight of each predicted token [tokens], in the order of `completion_logits`."""
    return batch["weights"][:, 1:][batch["labels"][:, 1:] != -100]


def kl_divergence(logits: Tensor, reference: Tensor, chunk: int = 512) -> Tensor:
    """KL(model || reference) for each token [tokens], in nats, over the whole vocabulary.

    Exact rather than estimated from the sampled tokens, which another policy has chosen. In chunks of positions,
    since a softmax over 152,000 entries is large.
    """
    parts = []
    for own, other in zip(logits.split(chunk), reference.split(chunk), strict=True):
        log_p, log_q = log_softmax(own, dim=-1), log_softmax(other.float(), dim=-1)
        parts.append((log_p.exp() * (log_p - log_q)).sum(-1))
    return torch.cat(parts)
