"""Models: the tiny thinker's shape, the audio-and-text processor, servable checkpoints."""

# Before any module of this package imports transformers' multimodal classes.
from stages.common import torchvision_ops as torchvision_ops
