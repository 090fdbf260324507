"""The proposer that the parameters choose."""

from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.engine import Engine
from audio_reasoning.engines.params import Runtime
from audio_reasoning.optimizers.instructions import canonical
from audio_reasoning.optimizers.optimizer import Task
from audio_reasoning.optimizers.proposers.bank import Bank, read_bank
from audio_reasoning.optimizers.proposers.language_model import endpoint, served
from audio_reasoning.optimizers.proposers.proposer import Proposer
from audio_reasoning.tasks.mini.fragments import FRAGMENTS


def proposer_of(task: Task, engine: Engine, cache: ResponseCache, runtime: Runtime) -> Proposer:
    """The proposer of a search; raises UserError where it is an endpoint that the environment does not name."""
    params = task.params.proposer
    if params.kind == "bank":
        return Bank(read_bank(FRAGMENTS), canonical(task.start.system))
    if params.kind == "served":
        return served(engine, cache, params)
    return endpoint(task.name, cache, params, runtime)
