"""`audio-reasoning errors`: where the answers of runs, or of prediction files from elsewhere, go wrong."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning errors baseline@samples iter1/baseline
  audio-reasoning errors --questions MMAR-meta.jsonl --predictions result.jsonl --out errors.md
  audio-reasoning show errors             of the prompts, as the pipeline found it last
"""


def command(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs of the project")] = None,
    questions: Annotated[Path | None, typer.Option(help="Questions: MMAR's metadata or Question records")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions: the challenge's format or ours")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the page goes, instead of the terminal")] = None,
    out_json: Annotated[Path | None, typer.Option(help="Where the figures go")] = None,
) -> None:
    """Say where answers go wrong: by kind of question, in counting, in thinking that loops, for want of an answer."""
    from audio_reasoning.core.files import atomic_write
    from audio_reasoning.metrics.results import write_result
    from audio_reasoning.render.errors_markdown import markdown, overview
    from stages.errors import of_files, of_runs
    from stages.project import load_project
    from stages.runs import existing_run

    if bool(questions) != bool(predictions) or bool(runs) == bool(questions):
        raise typer.BadParameter("give either runs, or both --questions and --predictions")
    params = load_project()
    if questions and predictions:
        analysis = of_files(questions, predictions, params.errors)
    else:
        analysis = of_runs([existing_run(name) for name in runs or ()], params.errors, params.profile)
    if out_json:
        write_result(out_json, analysis)
    page = markdown(analysis)
    if out:
        with atomic_write(out) as file:
            file.write(page)
    print(f"{overview(analysis)}\n{out}" if out else page)
