"""transformers' classes of this family, in an order that a CPU torch can import them in."""

# ruff: noqa: I001
import logging

from audio_reasoning.core import torchvision_ops as torchvision_ops  # before transformers' multimodal classes

from transformers import (
    ProcessorMixin as ProcessorMixin,
    Qwen2VLImageProcessor as Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor as Qwen2VLVideoProcessor,
    Qwen3OmniMoeConfig as Qwen3OmniMoeConfig,
    Qwen3OmniMoeProcessor as Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig as Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration as Qwen3OmniMoeThinkerForConditionalGeneration,
)

# PEFT imports bitsandbytes, which misses an optional kernel for 4-bit products on CPUs that nothing here does.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
