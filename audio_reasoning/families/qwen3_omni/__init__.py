"""Models: the tiny thinker's shape, processor, checkpoints, adapters, quantisation."""

import logging

# Before any module of this package imports transformers' multimodal classes.
from audio_reasoning.core import torchvision_ops as torchvision_ops

# PEFT imports bitsandbytes, which misses an optional kernel for 4-bit products on CPUs that nothing here does.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
