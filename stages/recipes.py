"""Stage `recipes`: the whole recipe of each model that is trained, a file for each stage of its training.

    python -m stages.recipes

Writes data/recipes/<model>/{generate,select,check,fit,gate}.json: the method's group of the parameters with what the
model itself says (`models.<name>`) laid over it, and of that what the stage reads. A stage depends on its own file, so
that a change of one part, or of another model, does not make it stale. Of the prompt it is the hash
of its file, and of the method that of its code.
"""

import argparse
from importlib import import_module
from pathlib import Path

from audio_reasoning.algorithms.methods import OF_OTHERS
from audio_reasoning.algorithms.params import Controls, Recipe
from audio_reasoning.algorithms.recipe import PARTS, RecipePart
from audio_reasoning.algorithms.tree import Node
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_dir, sha256_file, write_json
from audio_reasoning.core.plugins import load_object
from stages.layout import METHODS_CODE, PROMPTS, RECIPES
from stages.models import Models, recipes
from stages.params import load_params
from stages.training_prompt import training_prompt


def part_of(kind: type[RecipePart], node: Node, recipe: Recipe, prompt_sha256: str, code: str) -> RecipePart:
    """What a stage reads of a model's whole recipe, whose prompt's file and whose method's code have these hashes."""
    values = {"start": node.start, "method": node.method, "options": node.options, **recipe.model_dump()}
    values |= {"prompt_sha256": prompt_sha256, "code": code}
    values["controls"] = {key: values["check"][key] for key in Controls.model_fields}
    return kind.model_validate({key: values[key] for key in kind.model_fields})


def write_recipes(params: Models) -> None:
    """Write all files anew; UserError for a recipe that cannot be, and for a prompt that cannot be trained under."""
    with atomic_dir(RECIPES) as folder:
        for name, recipe in recipes(params).items():
            training_prompt(recipe.prompt)
            prompt, node = sha256_file(PROMPTS / f"{recipe.prompt}.yaml"), params.models[name]
            code = {stage: code_of(node.method, stage) for stage in ("select", "fit")}
            (folder / name).mkdir()
            for stage, part in PARTS.items():
                write_json(
                    folder / name / f"{stage}.json",
                    part_of(part, node, recipe, prompt, code.get(stage, "")).model_dump(),
                )


def code_of(method: str, stage: str) -> str:
    """A hash of what a method runs in a stage, select or fit: of ours the list by the stage `code`, else its file.

    Raises UserError for a method that cannot be loaded.
    """
    if stage == "select" and ":" in method:
        method = OF_OTHERS
    if ":" not in method:
        return sha256_file(METHODS_CODE / f"{method}.{stage}.txt")
    load_object(method, "method")
    file = import_module(method.partition(":")[0]).__file__
    return sha256_file(Path(file)) if file else ""


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Models, "models", "rest", "sft", "trial")
    write_recipes(params)
    print(f"{RECIPES}: {', '.join(params.models) or 'no models'}")


if __name__ == "__main__":
    main()
