"""Which engine a stage asks, and with which model: from the parameters and the folders of this project."""

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.models import resolve
from audio_reasoning.core.runs import BASE
from audio_reasoning.engines.engine import Setup
from audio_reasoning.engines.params import Runtime, Serve
from stages.layout import AUDIO, BASE_MODEL, cache_dir, model_dir


def setup_of(model: str, backend: str, serve: Serve, runtime: Runtime, endpoint_model: str = "") -> Setup:
    """The engine that the parameters choose, for the model of that name; raises UserError where it cannot be asked."""
    if backend == "openai" and model != BASE:
        raise UserError(
            f"infer.backend openai: an endpoint answers with its own model, not with {model}; use the backend "
            "vllm or transformers, or train none (models=none)"
        )
    base, adapter = resolve(model_dir(model), BASE_MODEL)
    return Setup(
        backend=backend,
        model=base,
        adapter=adapter,
        serve=serve,
        runtime=runtime,
        media_root=AUDIO,
        endpoint_model=endpoint_model,
        work=cache_dir(),
    )
