"""`audio-reasoning compare`: two runs, or any two prediction files, side by side."""

import sys
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning compare baseline iter3/baseline
  audio-reasoning compare baseline structured_reasoning@vote --md
  audio-reasoning compare a.jsonl b.jsonl --questions MMAR-meta.jsonl --score official --json
"""


class Score(StrEnum):
    """Which of the two accuracies is compared."""

    strict = "strict"
    official = "official"


def command(
    a: Annotated[str, typer.Argument(help="A prediction file, or the name of a run")],
    b: Annotated[str, typer.Argument(help="What is compared with it")],
    questions: Annotated[Path | None, typer.Option(help="Default: the project's test questions")] = None,
    score: Annotated[Score, typer.Option(help="Which accuracy")] = Score.strict,
    margin: Annotated[float | None, typer.Option(help="A difference within it does no harm: 0.02 is 2 points")] = None,
    md: Annotated[bool, typer.Option("--md", help="Print Markdown")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Compare B with A, question by question: the difference with its interval, by category, and a verdict.

    Two runs are judged only where their comparison is declared in params.yaml; other comparisons are exploratory.
    """
    from json import dumps

    from audio_reasoning.core.shown import printable
    from audio_reasoning.metrics.file_results import Settings
    from audio_reasoning.metrics.paired import Method, method_of
    from audio_reasoning.metrics.results import to_json
    from audio_reasoning.render.compare_files_table import as_markdown, as_text
    from stages.compare_files import TEST, compare_files
    from stages.contrasts import project_comparisons
    from stages.params import PARAMS
    from stages.sides import side_of

    if margin is not None and not 0 < margin < 1:
        raise typer.BadParameter("--margin is a fraction of one: 0.02 is two points")
    if md and json:
        raise typer.BadParameter("give one of --md and --json")
    first, second = side_of(a), side_of(b)
    params = project_comparisons() if first.run or second.run else None
    method = method_of(params.compare) if params else Method()
    source = str(PARAMS) if params else "the defaults"
    if margin is not None:
        method, source = replace(method, margin=margin), f"{source}, the margin from --margin"
    settings = Settings(**asdict(method), source=source)
    result = compare_files(first, second, questions or TEST, score.value, method, params, settings)
    for warning in result.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    if json:
        print(dumps(to_json(result), indent=2))  # in ASCII: a terminal obeys some other characters
    else:
        print(as_markdown(result) if md else as_text(result))
