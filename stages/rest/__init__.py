"""Self-training (ReST): sample, select, check, train, gate; each iteration starts where another ended."""

# Before any module of this package imports transformers' multimodal classes.
from stages.common import torchvision_ops as torchvision_ops
