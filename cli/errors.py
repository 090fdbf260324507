"""`audio-reasoning errors`: where the answers of runs, of prediction files, or of a prompt on dev go wrong."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning errors baseline@samples iter1/baseline
  audio-reasoning errors --questions MMAR-meta.jsonl --predictions result.jsonl --out errors.md
  audio-reasoning show errors             of the prompts, as the pipeline found it last

\b
To refine a prompt by what fails under it:
  audio-reasoning errors --prompt structured_reasoning --split dev
  audio-reasoning errors --prompt mine.yaml --sub-category "Counting and Statistics" --show 30
  audio-reasoning errors --prompt baseline --model iter1 --limit 100 --out failures.md
"""


class Split(StrEnum):
    """Whose questions a prompt is asked; `test` is named to be refused with the reason."""

    train = "train"
    dev = "dev"
    test = "test"


def command(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs of the project")] = None,
    questions: Annotated[Path | None, typer.Option(help="Questions: MMAR's metadata or Question records")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions: the challenge's format or ours")] = None,
    prompt: Annotated[str, typer.Option(help="Ask this prompt instead: a name in prompts/, or a .yaml file")] = "",
    split: Annotated[Split | None, typer.Option(help="What --prompt is asked: dev, the default, or train")] = None,
    model: Annotated[str, typer.Option(help="Who is asked with --prompt: a trained model; else the base model")] = "",
    sub_category: Annotated[str, typer.Option(help="With --prompt: only questions of this sub-category")] = "",
    limit: Annotated[int | None, typer.Option(help="With --prompt: only the first questions", min=1)] = None,
    show: Annotated[int | None, typer.Option(help="With --prompt: failing answers to print, else 10", min=0)] = None,
    out: Annotated[Path | None, typer.Option(help="Where the page goes, instead of the terminal")] = None,
    out_json: Annotated[Path | None, typer.Option(help="Where the figures go")] = None,
) -> None:
    """Say where answers go wrong: by kind of question, in counting, in thinking that loops, for want of an answer.

    With --prompt, a prompt is put to the questions of dev, which may decide how it is changed, and its failing answers
    are shown one by one. Answers are kept in the cache, so the same questions cost nothing again.
    """
    if bool(questions) != bool(predictions) or [bool(runs), bool(questions), bool(prompt)].count(True) != 1:
        raise typer.BadParameter("give either runs, or both --questions and --predictions, or --prompt")
    if prompt:
        from cli.errors_asked import show_failures

        show_failures(
            prompt, model, split or Split.dev, sub_category, limit, 10 if show is None else show, out, out_json
        )
        return
    if split or model or sub_category or limit or show is not None:
        raise typer.BadParameter("--split, --model, --sub-category, --limit and --show go with --prompt")
    _analyse(runs or [], questions, predictions, out, out_json)


def _analyse(
    runs: list[str], questions: Path | None, predictions: Path | None, out: Path | None, out_json: Path | None
) -> None:
    """Analyse answers that are there already."""
    from audio_reasoning.core.files import atomic_write
    from audio_reasoning.metrics.results import write_result
    from audio_reasoning.render.errors_markdown import markdown, overview
    from stages.errors import of_files, of_runs
    from stages.project import load_project
    from stages.runs import existing_run

    params = load_project()
    if questions and predictions:
        analysis = of_files(questions, predictions, params.errors)
    else:
        analysis = of_runs([existing_run(name) for name in runs], params.errors, params.profile)
    if out_json:
        write_result(out_json, analysis)
    page = markdown(analysis)
    if out:
        with atomic_write(out) as file:
            file.write(page)
    print(f"{overview(analysis)}\n{out}" if out else page)
