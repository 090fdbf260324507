"""Run vLLM's OpenAI-compatible API server in this process.

    python -m audio_reasoning.engines.server.launcher --model models/base …any argument of `vllm serve`

A CPU torch can only import torchvision once two operators are declared (`audio_reasoning.core.torchvision_ops`), in
each process that vLLM starts. Its engine processes are spawned, so they import this module again. It
inspects model classes with a command of its own, which is replaced by one that declares them first.
"""

import sys

import torch

from audio_reasoning.core import torchvision_ops as torchvision_ops
from audio_reasoning.engines.server.processes import die_with_parent

_INSPECT = "import audio_reasoning.core.torchvision_ops; from vllm.model_executor.models.registry import _run; _run()"


def main() -> None:
    """Serve until SIGTERM; the arguments are vLLM's own."""
    from vllm.entrypoints.launchers.api_server.entry import main as serve

    serve()  # type: ignore[no-untyped-call]


if torch.version.cuda is None:
    from vllm.model_executor.models import registry

    registry._SUBPROCESS_COMMAND = [sys.executable, "-c", _INSPECT]

if __name__ == "__mp_main__":
    die_with_parent()  # an engine process does not notice by itself that the API server was killed
elif __name__ == "__main__":
    main()
