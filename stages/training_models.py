"""What a model was made from, by its folder."""

from audio_reasoning.core.files import read_json
from audio_reasoning.core.rollouts import Trace, read_records
from audio_reasoning.core.runs import BASE
from stages.layout import model_dir

TRAINED = "trained.json"  # beside a model's bank.parquet


def depth_of(name: str) -> int:
    """How many models led to the model `name`: 0 for the base."""
    return 0 if name == BASE else int(read_json(model_dir(name) / "model.json")["depth"])


def bank_of(name: str) -> list[Trace]:
    """The traces that the model `name` trained on, those that it accumulated included: none for the base."""
    return [] if name == BASE else read_records(model_dir(name) / "bank.parquet", Trace)


def trained_problems(name: str) -> set[str]:
    """The ids of all problems that the model `name` or one before it trained on: none for the base.

    More than its bank names where banks do not accumulate: an adapter that is trained further has seen them, too.
    """
    return set() if name == BASE else set(read_json(model_dir(name) / TRAINED))
