"""`audio-reasoning submission`: build or validate what the MMAR challenge takes."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning submission build --run structured_reasoning --out submission.zip
  audio-reasoning submission validate submission.zip --questions data/questions/test.jsonl
"""
BUILD = """\b
Examples:
  audio-reasoning submission build --run baseline@vote --out vote.zip
  audio-reasoning submission build --predictions result.jsonl --questions MMAR-meta.jsonl --out mine.zip
"""
VALIDATE = """\b
Example:
  audio-reasoning submission validate mine.zip --questions MMAR-meta.jsonl
"""
app = typer.Typer(name="submission", help="The challenge's zip: build, validate.", epilog=EPILOG, rich_markup_mode=None)
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Only warn of empty answers and traces")]


@app.command(epilog=BUILD)
def build(
    out: Annotated[Path, typer.Option(help="The zip; its manifest is the .manifest.json beside it")],
    run: Annotated[str, typer.Option(help="A run of the project")] = "",
    predictions: Annotated[Path | None, typer.Option(help="Or predictions from elsewhere")] = None,
    questions: Annotated[Path | None, typer.Option(help="Their questions: MMAR's metadata or Question records")] = None,
    allow_empty: AllowEmpty = False,
) -> None:
    """Write the zip and its manifest: every answer a choice to the letter, checked and scored anew."""
    from stages.project import load_project
    from stages.submission import build_to
    from stages.submission_source import source_of_files, source_of_run

    if bool(predictions) != bool(questions) or bool(run) == bool(predictions):
        raise typer.BadParameter("give either --run, or both --predictions and --questions")
    if out.suffix != ".zip":
        raise typer.BadParameter("--out must end in .zip")
    limits = load_project().submission
    if predictions and questions:
        build_to(out, source_of_files(predictions, questions), limits.max_trace_chars, allow_empty)
    else:
        build_to(
            out,
            source_of_run(run),
            limits.max_trace_chars,
            allow_empty or limits.empty == "allow",
            limits.missing == "empty",
        )


@app.command(epilog=VALIDATE)
def validate(
    submission: Annotated[Path, typer.Argument(help="A zip, or the JSON lines in it")],
    questions: Annotated[Path, typer.Option(help="MMAR's metadata or Question records")],
    allow_empty: AllowEmpty = False,
) -> None:
    """Say everything that is wrong with a submission, or that it is sound, and its two accuracies."""
    from stages.project import load_project
    from stages.submission import validate_file

    validate_file(submission, questions, load_project().submission.max_trace_chars, allow_empty)
