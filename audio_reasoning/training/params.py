"""The parameters of training an adapter, typed; `conf/rest.yaml` documents them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audio_reasoning.core.typed import Count, Positive, Share, Strict
from audio_reasoning.families.params import Lora


class Train(Strict):
    """How the adapter is trained."""

    reset_to_base: bool
    lora: Lora
    quantization: Literal["none", "nf4"]
    optimizer: Literal["adamw", "paged_adamw_8bit"]
    dtype: Literal["float32", "bfloat16"]
    learning_rate_scale: Positive
    warmup_share: Share
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    epochs: Count
    share_prompts: bool
    batch_size: Count
    micro_batch_size: Count
    gradient_checkpointing: bool
    kl_coefficient: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _can_work(self) -> "Train":
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size ({self.batch_size}) must be a multiple of micro_batch_size ({self.micro_batch_size})"
            )
        if self.quantization == "nf4" and self.lora.targets != "attention":
            raise ValueError(
                "PEFT cannot train adapters of experts that are quantised to NF4: "
                "use lora.targets attention, or quantization none"
            )
        if self.quantization == "nf4" and not self.gradient_checkpointing:
            raise ValueError(
                "quantization nf4 needs gradient_checkpointing: without it, the backward pass keeps every layer's "
                "experts in full precision, which is what NF4 is there to avoid"
            )
        return self
