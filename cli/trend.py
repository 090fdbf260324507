"""`audio-reasoning trend`: a run's accuracy over commits or experiments."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning trend                              the headline over the last ten commits that changed it
  audio-reasoning trend --run iter3/baseline --last 20
  audio-reasoning trend --experiments --by modality
  audio-reasoning trend --out trend.svg              as a picture, a panel for each sub-category
"""


class By(StrEnum):
    """The groups that it is broken down by."""

    sub_category = "sub-category"
    category = "category"
    modality = "modality"


class Format(StrEnum):
    """How it is printed."""

    text = "text"
    md = "md"
    json = "json"


def command(
    run: Annotated[str, typer.Option(help="A run, such as iter1/baseline; else each commit's headline")] = "",
    last: Annotated[int, typer.Option(min=1, help="How many commits, or experiments")] = 10,
    experiments: Annotated[bool, typer.Option("--experiments", help="DVC's experiments instead of commits")] = False,
    by: Annotated[By, typer.Option(help="What it is broken down by")] = By.sub_category,
    form: Annotated[Format, typer.Option("--format", help="For a terminal, Markdown, or JSON")] = Format.text,
    out: Annotated[Path | None, typer.Option(help="A picture to write too: a name in .svg or .png")] = None,
) -> None:
    """Print accuracy with intervals over commits, on all questions and by group, and what changed between them."""
    import json

    from audio_reasoning.core.errors import UserError
    from audio_reasoning.core.files import atomic_path
    from audio_reasoning.core.runs import named_run
    from audio_reasoning.render import trend as rendered
    from stages import trend
    from stages.draw import render

    if out is not None and out.suffix not in (".svg", ".png"):
        raise UserError(f"--out {out}: the name must end in .svg or .png")
    if run:
        named_run(run)
    chosen = trend.experiments(last) if experiments else trend.commits(last, run)
    if experiments and not chosen:
        raise UserError("no experiment here: `dvc exp run` makes some")
    found = trend.trend(chosen, run, by.value.replace("-", "_"))
    if form is Format.json:
        print(json.dumps(rendered.as_json(found), indent=2, ensure_ascii=False))
    else:
        print(rendered.as_markdown(found) if form is Format.md else rendered.as_text(found))
    if out is not None:
        title = f"{run or 'Headline'} over {'experiments' if experiments else 'commits'}"
        with atomic_path(out) as beside:
            beside.write_bytes(render(json.dumps(rendered.picture(found.points, title)), out.suffix))
        if form is not Format.json:
            print(f"{out}: a panel for each {by.value}")
