"""The models that the parameters ask for, and the recipe of each."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from audio_reasoning.algorithms.params import Recipe
from audio_reasoning.algorithms.rest.params import Rest
from audio_reasoning.algorithms.sft.params import Sft
from audio_reasoning.algorithms.tree import METHOD_RECIPES, Node, check_tree, laid_over
from audio_reasoning.core.typed import Name, Strict
from stages.params import PARAMS, parse_params


class Models(Strict):
    """The groups of parameters that tell how models are trained."""

    models: Annotated[Mapping[Name, Node], AfterValidator(check_tree)]
    rest: Rest
    sft: Sft
    trial: bool = False


def recipes(params: Models, where: str = str(PARAMS)) -> dict[str, Recipe]:
    """The whole recipe of each model; raises UserError, naming the key, where what a model says does not fit it."""
    groups: dict[str, dict[str, Any]] = {name: getattr(params, name).model_dump() for name in METHOD_RECIPES}
    return {
        name: parse_params(
            METHOD_RECIPES[node.group], laid_over(groups[node.group], node.changes()), where, f"models.{name}"
        )
        for name, node in params.models.items()
    }
