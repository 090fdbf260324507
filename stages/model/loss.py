"""The training loss, on completion tokens only."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Qwen3OmniMoeThinkerForConditionalGeneration


def completion_loss(model: Qwen3OmniMoeThinkerForConditionalGeneration, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the tokens whose label is not -100.

    The vocabulary is projected only where there is something to predict: for a long prompt the full logits
    would be the largest tensor of the step.
    """
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    targets = batch["labels"][:, 1:]
    predicting = targets != -100

    def keep(_: torch.nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0][:, :-1][predicting],)

    hook = model.lm_head.register_forward_pre_hook(keep)
    try:
        logits = model(**inputs, use_cache=False).logits
    finally:
        hook.remove()
    return cross_entropy(logits.float(), targets[predicting])
