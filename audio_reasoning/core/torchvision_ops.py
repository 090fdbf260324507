"""Let a CPU torch import torchvision, whose published wheels are CUDA builds.

Import this before transformers' multimodal classes or vLLM. torchvision registers Python
implementations for two operators that its CUDA extension would have declared; declaring them first is
all that its import needs. Neither operator is ever called: Qwen3-Omni's processor only uses
torchvision's Python code.
"""

import torch

if torch.version.cuda is None:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
