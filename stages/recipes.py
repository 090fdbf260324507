"""Stage `recipes`: the whole recipe of each model that is trained, a file for each stage of its training.

    python -m stages.recipes

Writes data/recipes/<model>/{generate,select,check,fit,gate}.json: the method's group of the parameters with what the
model itself says (`models.<name>`) laid over it, and of that what the stage reads. A stage depends on its own file, so
that a change of one part, or of another model, does not make it stale. Of the prompt it is the hash of the file.
"""

import argparse
from typing import TypeVar

from audio_reasoning.algorithms.recipe import PARTS, RecipePart
from audio_reasoning.algorithms.tree import METHOD_RECIPES
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_dir, read_json, sha256_file, write_json
from stages.layout import PROMPTS, RECIPES
from stages.models import Models, recipes
from stages.params import load_params
from stages.training_prompt import training_prompt

Read = TypeVar("Read", bound=RecipePart)


def read_part(kind: type[Read], model: str) -> Read:
    """What a stage reads of a model's recipe; UserError where the file is missing."""
    stage = next(name for name, part in PARTS.items() if part is kind)
    return kind.model_validate(read_json(RECIPES / model / f"{stage}.json"))


def write_recipes(params: Models) -> None:
    """Write all files anew; UserError for a recipe that cannot be, and for a prompt that cannot be trained under."""
    with atomic_dir(RECIPES) as folder:
        for name, recipe in recipes(params).items():
            training_prompt(recipe.prompt)
            sha256 = sha256_file(PROMPTS / f"{recipe.prompt}.yaml")
            (folder / name).mkdir()
            for stage, part in PARTS.items():
                write_json(folder / name / f"{stage}.json", part.of(params.models[name], recipe, sha256).model_dump())


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Models, "models", *METHOD_RECIPES)
    write_recipes(params)
    print(f"{RECIPES}: {', '.join(params.models) or 'no models'}")


if __name__ == "__main__":
    main()
