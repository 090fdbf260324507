"""Where answers go wrong: by kind of question, in counting, in thinking that loops, and for want of an answer.

    python -m stages.errors                     # the DVC stage: all prompts of prompts.variants
    python -m stages.errors --show              # the overview of the last run of the stage
    python -m stages.errors --run baseline@samples --run iter1/baseline
    python -m stages.errors --questions MMAR-meta.jsonl --predictions result.jsonl --out-md errors.md

The stage writes metrics/errors.json and reports/errors.md. The last two forms take any runs of the pipeline, or any
predictions in our format or the challenge's (a question without a prediction is wrong, and counted as missing); they
print the page, or write it to --out-md and the figures to --out-json. docs/error-analysis.md explains the figures.

The stage reads the prompts alone: with control arms, votes and iterations of self-training it would wait for all of
them, and ask anew which questions no run gets right whenever one is added.
"""

import argparse
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import METRICS, QUESTIONS, atomic_write
from audio_reasoning.core.runs import Run
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.errors.analysis import analysis_of
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.errors.results import ErrorAnalysis
from audio_reasoning.metrics.inputs import (
    Unanswerable,
    read_question_set,
    read_samples,
    told_unanswerable,
)
from audio_reasoning.metrics.results import read_result, write_result
from audio_reasoning.render.errors_markdown import markdown, overview
from audio_reasoning.render.tables import MINI_NOTE
from stages.declared import Prompts
from stages.params import load_params
from stages.runs import existing_run

ERRORS = METRICS / "errors.json"
PAGE = Path("reports/errors.md")


class Params(Strict):
    """What the stage reads."""

    errors: Errors
    profile: Name
    prompts: Prompts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the last overview and write nothing")
    parser.add_argument("--run", action="append", default=[], help="analyse this run of the pipeline; may be repeated")
    parser.add_argument("--questions", type=Path, help="questions: MMAR's metadata or Question records")
    parser.add_argument("--predictions", type=Path, help="predictions: the challenge's format or Response records")
    parser.add_argument("--out-md", type=Path, help="where the page goes, instead of the terminal")
    parser.add_argument("--out-json", type=Path, help="where the figures go")
    args = parser.parse_args()
    if bool(args.questions) != bool(args.predictions):
        parser.error("--questions and --predictions go together")
    if bool(args.show) + bool(args.run) + bool(args.questions) > 1:
        parser.error("give one of --show, --run, and --questions with --predictions")
    if (args.out_md or args.out_json) and not (args.run or args.questions):
        parser.error("--out-md and --out-json go with --run or --predictions; the stage's files have their places")
    return args


@stage_main
def main() -> None:
    """Analyse the prompts, or other runs or files, or show the last analysis."""
    args = _arguments()
    params = load_params(Params, "errors", "profile", "prompts.variants")
    if args.show:
        print(overview(read_result(ERRORS, ErrorAnalysis)))
        return
    notes = [MINI_NOTE] if params.profile == "mini" and not args.questions else []
    if args.questions:
        unanswerable: dict[str, Unanswerable] = {}
        questions = read_question_set(args.questions, unanswerable)
        notes += told_unanswerable(args.questions, unanswerable)
        samples = read_samples(args.predictions, {**questions, **unanswerable}, complete=False)
        runs = {args.predictions.name: {name: found for name, found in samples.items() if name in questions}}
    else:
        wanted = [existing_run(name) for name in args.run] or [Run(variant) for variant in params.prompts.variants]
        questions = read_question_set(QUESTIONS / "test.jsonl")
        runs = {run.name: read_samples(run.predictions, questions, complete=True) for run in wanted}
    analysis = analysis_of(questions, runs, params.errors, notes)
    page = markdown(analysis)
    stage = not (args.run or args.questions)
    json_path, page_path = (ERRORS, PAGE) if stage else (args.out_json, args.out_md)
    if json_path:
        write_result(json_path, analysis)
    if page_path:
        with atomic_write(page_path) as file:
            file.write(page)
    print(f"{overview(analysis)}\n{page_path}" if page_path else page)


if __name__ == "__main__":
    main()
