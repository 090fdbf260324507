"""Where answers go wrong: by kind of question, in counting, in thinking that loops, and for want of an answer.

    python -m stages.errors                     # all prompts of prompts.variants

Writes metrics/errors.json and reports/errors.md; docs/error-analysis.md explains the figures. `audio-reasoning errors`
takes any runs of the pipeline, and any predictions in our format or the challenge's.

The stage reads the prompts alone: with control arms, votes and trained models it would wait for all of
them, and ask anew which questions no run gets right whenever one is added.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_write
from audio_reasoning.core.run_names import Prompts
from audio_reasoning.core.runs import Run
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.errors.analysis import analysis_of
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.errors.results import ErrorAnalysis
from audio_reasoning.metrics.inputs import (
    Unanswerable,
    read_question_set,
    read_samples,
    unanswerable_notes,
)
from audio_reasoning.metrics.results import write_result
from audio_reasoning.render.errors_markdown import markdown, overview
from audio_reasoning.render.tables import profile_notes
from stages.layout import METRICS, QUESTIONS, REPORTS, answers_file
from stages.params import load_params

ERRORS = METRICS / "errors.json"
PAGE = REPORTS / "errors.md"


class Params(Strict):
    """What the stage reads."""

    errors: Errors
    profile: Name
    prompts: Prompts


def of_runs(runs: Sequence[Run], params: Errors, profile: str) -> ErrorAnalysis:
    """The analysis of the answers of runs to the test questions; UserError for a run that is incomplete."""
    questions = read_question_set(QUESTIONS / "test.jsonl")
    samples = {run.name: read_samples(answers_file(run), questions, complete=True) for run in runs}
    return analysis_of(questions, samples, params, profile_notes(profile))


def of_files(questions_path: Path, predictions: Path, params: Errors) -> ErrorAnalysis:
    """The analysis of predictions from elsewhere: a question without one is wrong, and counted as missing."""
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(questions_path, unanswerable)
    samples = read_samples(predictions, {**questions, **unanswerable}, complete=False)
    runs = {predictions.name: {name: several for name, several in samples.items() if name in questions}}
    return analysis_of(questions, runs, params, unanswerable_notes(questions_path, unanswerable))


@stage_main
def main() -> None:
    """Analyse the prompts."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Params, "errors", "profile", "prompts.variants")
    analysis = of_runs([Run(variant) for variant in params.prompts.variants], params.errors, params.profile)
    write_result(ERRORS, analysis)
    with atomic_write(PAGE) as file:
        file.write(markdown(analysis))
    print(f"{overview(analysis)}\n{PAGE}")


if __name__ == "__main__":
    main()
