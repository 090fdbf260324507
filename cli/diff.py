"""`audio-reasoning diff`: what changed between two Git revisions."""

from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning diff                     what the workspace changes against the last commit but one
  audio-reasoning diff main workspace
"""


def command(
    a: Annotated[str, typer.Argument(help="A Git revision")] = "HEAD~1",
    b: Annotated[str, typer.Argument(help="Another, or workspace")] = "workspace",
) -> None:
    """Print verdicts, answers, metrics and parameters that changed, as Markdown for a pull request."""
    from stages.diff import between

    print(between(a, b))
