"""What each stage of a training reads of a model's recipe, and nothing else: another part's change concerns it not."""

from typing import Any, Self

from pydantic import Field

from audio_reasoning.algorithms.params import Check, Controls, Gate, Generate, Recipe, Seed
from audio_reasoning.algorithms.rest.params import Select
from audio_reasoning.algorithms.tree import Node
from audio_reasoning.core.typed import Name, Positive, Strict
from audio_reasoning.training.params import Train


class RecipePart(Strict):
    """What all stages read: the model that it starts from, and the seed of all that is random."""

    start: Name
    seed: Seed

    @classmethod
    def of(cls, node: Node, recipe: Recipe, prompt_sha256: str) -> Self:
        """The part of a model's whole recipe, whose prompt's file has that hash."""
        values = {"start": node.start, "method": node.method, "options": node.options, **recipe.model_dump()}
        values["prompt_sha256"] = prompt_sha256
        values["controls"] = {key: values["check"][key] for key in Controls.model_fields}
        return cls.model_validate({key: values[key] for key in cls.model_fields})


class GeneratePart(RecipePart):
    """Of training_generate."""

    prompt: Name
    prompt_sha256: str  # of its file
    generate: Generate
    controls: Controls


class SelectPart(RecipePart):
    """Of training_select."""

    select: Select


class CheckPart(RecipePart):
    """Of training_check."""

    train: Train
    check: Check


class FitPart(RecipePart):
    """Of training_fit."""

    method: str
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
