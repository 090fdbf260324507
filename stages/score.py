"""Score predictions: two accuracies, and what became of the rest.

    python -m stages.score baseline
    python -m stages.score iter1/baseline@silence
    python -m stages.score --questions MMAR-meta.jsonl --predictions result.jsonl --out metrics.json

The first form is the DVC stages `score`, `score_controls` and `score_models`: of any run, to the file that
`metrics_file` in core/runs.py names. The last takes files from elsewhere: MMAR's metadata or
Question records, and the challenge's `id, thinking_prediction, answer_prediction` or Response records. There, a
question without a prediction counts as wrong and as `missing`, and one whose answer is none of its choices is left out.
What the metrics are: metrics/scoring.py.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import QUESTIONS, read_json
from audio_reasoning.core.runs import Run, metrics_file, named_run
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.inputs import Unanswerable, read_question_set, read_samples, some, told_unanswerable
from audio_reasoning.metrics.results import Metrics, write_result
from audio_reasoning.metrics.scoring import FATES, metrics_of
from audio_reasoning.render.tables import percent_range


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="score this run's answers to the test questions")
    parser.add_argument("--questions", type=Path, help="questions: MMAR's metadata or Question records")
    parser.add_argument("--predictions", type=Path, help="predictions: the challenge's format or Response records")
    parser.add_argument("--out", type=Path, help="where the metrics go")
    args = parser.parse_args()
    files = (args.questions, args.predictions, args.out)
    if bool(args.run) == any(files) or any(files) != all(files):
        parser.error("give either a run, or all of --questions, --predictions and --out")
    return args


def _score_run(run: Run) -> tuple[Path, Metrics]:
    questions = read_question_set(QUESTIONS / "test.jsonl")
    samples = read_samples(run.predictions, questions, complete=True)
    dropped = dropped_ids()
    for note in dropped_notes(dropped):
        print(f"warning: {note}", file=sys.stderr)
    return metrics_file(run), _without(dropped, metrics_of(questions, samples, [read_json(run.manifest)]))


def _without(dropped: Sequence[str], metrics: Metrics) -> Metrics:
    """The metrics with the ids of the questions that they do not count, where there are any."""
    return metrics.model_copy(update={"dropped_ids": [*dropped]}) if dropped else metrics


def _score_files(questions_path: Path, predictions_path: Path) -> Metrics:
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(questions_path, unanswerable)
    for warning in told_unanswerable(questions_path, unanswerable):
        print(f"warning: {warning}", file=sys.stderr)
    samples = read_samples(predictions_path, {**questions, **unanswerable}, complete=False)
    counted = {name: found for name, found in samples.items() if name in questions}
    metrics = _without([*unanswerable], metrics_of(questions, counted))
    absent = metrics.missing_ids
    if absent:
        count = f"{len(absent)} of {len(questions)} questions"
        print(f"warning: {count} have no prediction and count as wrong: {some(absent)}", file=sys.stderr)
    return metrics


@stage_main
def main() -> None:
    """Score one set of predictions and write its metrics."""
    args = _arguments()
    if args.run:
        out, metrics = _score_run(named_run(args.run))
    else:
        out, metrics = args.out, _score_files(args.questions, args.predictions)
    write_result(out, metrics)
    rates = ", ".join(f"{key} {getattr(metrics, key):.1%}" for key in (*FATES, "missing"))
    overall = metrics.overall
    strict = percent_range(overall.low, overall.high)
    official = percent_range(overall.official_low, overall.official_high)
    print(
        f"{out}: strict {metrics.acc_strict:.1%} ({strict}), official {metrics.acc_official:.1%} ({official}) "
        f"of {metrics.n}; {rates}"
    )


if __name__ == "__main__":
    main()
