"""The proposer that the parameters choose."""

from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.engine import Engine
from audio_reasoning.engines.params import Runtime
from audio_reasoning.optimizers.instructions import canonical
from audio_reasoning.optimizers.params import ProposerParams
from audio_reasoning.optimizers.proposers.bank import Bank, read_bank
from audio_reasoning.optimizers.proposers.language_model import endpoint, served
from audio_reasoning.optimizers.proposers.proposer import Proposer
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.mini.fragments import FRAGMENTS


def proposer_of(
    params: ProposerParams, start: Prompt, engine: Engine, cache: ResponseCache, runtime: Runtime
) -> Proposer:
    """The proposer; raises UserError where it is an endpoint that the environment does not name."""
    if params.kind == "bank":
        return Bank(read_bank(FRAGMENTS), canonical(start.system))
    return served(engine, cache, params) if params.kind == "served" else endpoint(cache, params, runtime)
