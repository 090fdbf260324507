"""`audio-reasoning compose`: params.yaml from conf/."""

from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning compose                                  check that params.yaml equals its composition
  audio-reasoning compose --write profile=a100 models=none
  audio-reasoning compose --write infer.temperature=0.7 && dvc repro
"""


def command(
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, for example profile=a100")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write params.yaml instead of comparing with it")] = False,
) -> None:
    """Compose params.yaml from conf/, or check that it is what they compose."""
    from stages.compose import compare_or_write

    compare_or_write(overrides or [], write)
