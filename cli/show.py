"""`audio-reasoning show`: what the last run of the pipeline found."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning show                  prompts, control arms and training
  audio-reasoning show votes
  audio-reasoning show all | less
"""


class Part(StrEnum):
    """What there is to show; `main` is prompts, arms and training."""

    main = "main"
    prompts = "prompts"
    arms = "arms"
    training = "training"
    votes = "votes"
    errors = "errors"
    judge = "judge"
    probe = "probe"
    all = "all"


def command(
    part: Annotated[Part, typer.Argument(help="Which results")] = Part.main,
    md: Annotated[bool, typer.Option("--md", help="The table of training as Markdown")] = False,
) -> None:
    """Print the tables of results as they are in metrics/; nothing is computed or written."""
    from audio_reasoning.core.errors import UserError
    from audio_reasoning.render.compare_models_table import markdown
    from cli import show_results

    tables: dict[Part, Callable[[], str]] = {
        Part.prompts: show_results.prompts,
        Part.arms: show_results.arms,
        Part.training: show_results.training,
        Part.votes: show_results.votes,
        Part.errors: show_results.errors,
        Part.judge: show_results.judge,
        Part.probe: show_results.probe,
    }
    several = {Part.main: [Part.prompts, Part.arms, Part.training], Part.all: [*tables]}
    if md:
        if part is not Part.training:
            raise typer.BadParameter("--md goes with training")
        print(show_results.training(markdown))
        return
    for which in several.get(part, [part]):
        try:
            print(tables[which](), end="\n\n" if part in several else "\n")
        except UserError as error:
            if part is not Part.all:
                raise
            print(f"warning: {which.value}: {error}", file=sys.stderr)
    if part in several:
        print("All of it, to look at and to listen to: reports/index.html")
