"""`audio-reasoning results`: the study in one table."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning results
  audio-reasoning results --format md --out results.md
  audio-reasoning show prompts          more on each: all figures of one kind
"""


class Format(StrEnum):
    """How the table is written."""

    text = "text"
    md = "md"


def command(
    form: Annotated[Format, typer.Option("--format", help="For a terminal, or Markdown")] = Format.text,
    out: Annotated[Path | None, typer.Option(help="Write it there instead of printing it")] = None,
) -> None:
    """Print what each approach reaches on the test questions, and what the reference project reports of it.

    Structured prompts, optimised prompts, self-training, votes: accuracy, and the difference to what each is to be
    compared with. It is read from metrics/; what is not there is named with the command that makes it.
    """
    from audio_reasoning.core.errors import UserError
    from audio_reasoning.core.files import atomic_write
    from audio_reasoning.metrics.key_results import key_results, not_there
    from audio_reasoning.render.key_results import as_markdown, as_text
    from stages.key_results import read_study
    from stages.project import load_project

    if out and out.is_dir():
        raise UserError(f"--out {out}: is a folder; give a file")
    study = read_study(load_project())
    write = as_markdown if form is Format.md else as_text
    table = write(key_results(study), not_there(study))
    if out:
        with atomic_write(out) as file:
            file.write(f"{table.rstrip()}\n")
    print(out or table.rstrip())
