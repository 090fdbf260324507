"""`audio-reasoning score`: the accuracies of a run, or of prediction files from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning score iter1/baseline@silence
  audio-reasoning score --questions MMAR-meta.jsonl --predictions result.jsonl
  audio-reasoning score --questions MMAR-meta.jsonl --predictions result.jsonl --out metrics.json
"""


def command(
    run: Annotated[str, typer.Argument(help="Score this run's answers to the test questions", show_default=False)] = "",
    questions: Annotated[Path | None, typer.Option(help="Questions: MMAR's metadata or Question records")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Predictions: the challenge's format or answers of ours")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the metrics of files go; a run's have their place")] = None,
) -> None:
    """Score predictions: two accuracies with their intervals, and what became of the rest.

    In files from elsewhere a question without a prediction counts as wrong and as missing, and one whose answer is none
    of its choices is left out.
    """
    from audio_reasoning.metrics.results import write_result
    from stages.params import PARAMS
    from stages.runs import called_run, existing_run
    from stages.score import line, score_files, score_run

    if bool(run) == bool(questions or predictions) or bool(questions) != bool(predictions) or (run and out):
        raise typer.BadParameter("give either a run, or both --questions and --predictions, to which --out belongs")
    if questions and predictions:
        metrics = score_files(questions, predictions)
    else:
        out, metrics = score_run(existing_run(run) if PARAMS.is_file() else called_run(run))
    if out:
        write_result(out, metrics)
    print(line(out or predictions, metrics))
