"""Reading what the stage `recipes` wrote."""

from typing import TypeVar

from audio_reasoning.algorithms.recipe import PARTS, RecipePart
from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import read_json
from stages.layout import RECIPES

Read = TypeVar("Read", bound=RecipePart)


def read_part(kind: type[Read], model: str) -> Read:
    """What a stage reads of a model's recipe; UserError where the file is missing."""
    if not (RECIPES / model).is_dir():
        known = [folder.name for folder in RECIPES.iterdir()] if RECIPES.is_dir() else []
        hint = nearest(model, known) if known else "`dvc repro recipes` writes those of the models in params.yaml"
        raise UserError(f"{RECIPES / model}: no model is called {model!r}; {hint}")
    stage = next(name for name, part in PARTS.items() if part is kind)
    return kind.model_validate(read_json(RECIPES / model / f"{stage}.json"))
