"""What each stage of a training reads of a model's recipe, and nothing else: another part's change concerns it not."""

from typing import Any

from pydantic import Field

from audio_reasoning.algorithms.params import Check, Controls, Gate, Generate, Seed
from audio_reasoning.core.typed import Name, Positive, Strict
from audio_reasoning.training.params import Train


class RecipePart(Strict):
    """What all stages read: the model that it starts from, and the seed of all that is random."""

    start: Name
    seed: Seed


class GeneratePart(RecipePart):
    """Of training_generate."""

    prompt: Name
    prompt_sha256: str  # of its file
    generate: Generate
    controls: Controls


class SelectPart(RecipePart):
    """Of training_select."""

    prompt: Name
    prompt_sha256: str  # of its file
    method: str
    code: str  # of what the method runs
    select: dict[str, Any]  # of its own type


class CheckPart(RecipePart):
    """Of training_check."""

    train: Train
    check: Check


class FitPart(RecipePart):
    """Of training_fit."""

    method: str
    code: str  # of what the method runs
    options: dict[str, Any] = Field(default_factory=dict)
    learning_rate: Positive
    train: Train


class GatePart(RecipePart):
    """Of training_gate."""

    prompt: Name
    prompt_sha256: str  # of its file
    generate: Generate
    gate: Gate


PARTS: dict[str, type[RecipePart]] = {
    "generate": GeneratePart,
    "select": SelectPart,
    "check": CheckPart,
    "fit": FitPart,
    "gate": GatePart,
}
