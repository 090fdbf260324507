"""Score predictions: two accuracies, and what became of the rest.

    python -m stages.score --model base
    python -m stages.score --controls
    python -m stages.score iter1/baseline@silence

The DVC stages `score` and `score_models` score a model's runs under all prompts that the parameters name for it,
`score_controls` those in control arms, each to the file that `metrics_file` in layout.py names. `audio-reasoning
score` does the same for one run, and takes files from elsewhere: MMAR's metadata or Question records, and the
challenge's `id, thinking_prediction, answer_prediction` or Response records. There, a question without a prediction
counts as wrong and as `missing`, and one whose answer is none of its choices is left out. What the metrics are:
metrics/scoring.py.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import read_json
from audio_reasoning.core.run_names import ArmNames, EvalPrompts, Prompts
from audio_reasoning.core.runs import BASE, Run, named_run
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.inputs import Unanswerable, read_question_set, read_samples, some, unanswerable_notes
from audio_reasoning.metrics.results import Metrics, write_result
from audio_reasoning.metrics.scoring import FATES, metrics_of
from audio_reasoning.render.tables import percent_range
from stages.layout import METRICS, QUESTIONS, answers_file, manifest_file, metrics_file
from stages.params import load_params


class Params(Strict):
    """What the stages read."""

    prompts: Prompts
    arms: ArmNames
    training: EvalPrompts


def arguments() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("run", nargs="?", help="score this run's answers to the test questions")
    which.add_argument("--model", help="score this model under each of its prompts: base, or a name in models")
    which.add_argument("--controls", action="store_true", help="score all runs in control arms")
    return parser


def reads(args: argparse.Namespace) -> tuple[str, ...]:
    """The parameters that say which runs there are to score."""
    if args.controls:
        return ("arms.kinds", "arms.variants")
    return ("prompts.variants",) if args.model == BASE else ("training.eval_prompts",)


def runs_of(args: argparse.Namespace) -> list[Run]:
    """The runs that the arguments stand for."""
    if args.run:
        return [named_run(args.run)]
    params = load_params(Params, *reads(args))
    if args.controls:
        return [Run(variant, condition=kind) for variant in params.arms.variants for kind in params.arms.kinds]
    variants = params.prompts.variants if args.model == BASE else params.training.eval_prompts
    return [Run(variant, args.model) for variant in variants]


def score_run(run: Run) -> tuple[Path, Metrics]:
    """The place of a run's metrics, and the metrics; UserError unless it answers all questions."""
    questions = read_question_set(QUESTIONS / "test.jsonl")
    samples = read_samples(answers_file(run), questions, complete=True)
    dropped = dropped_ids(QUESTIONS)
    for note in dropped_notes(dropped):
        print(f"warning: {note}", file=sys.stderr)
    return metrics_file(run), _without(dropped, metrics_of(questions, samples, [read_json(manifest_file(run))]))


def _without(dropped: Sequence[str], metrics: Metrics) -> Metrics:
    """The metrics with the ids of the questions that they do not count, where there are any."""
    return metrics.model_copy(update={"dropped_ids": [*dropped]}) if dropped else metrics


def score_files(questions_path: Path, predictions_path: Path) -> Metrics:
    """The metrics of predictions in one file to the questions in another; warnings go to stderr."""
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(questions_path, unanswerable)
    for warning in unanswerable_notes(questions_path, unanswerable):
        print(f"warning: {warning}", file=sys.stderr)
    samples = read_samples(predictions_path, {**questions, **unanswerable}, complete=False)
    counted = {name: several for name, several in samples.items() if name in questions}
    metrics = _without([*unanswerable], metrics_of(questions, counted))
    absent = metrics.missing_ids
    if absent:
        count = f"{len(absent)} of {len(questions)} questions"
        print(f"warning: {count} have no prediction and count as wrong: {some(absent)}", file=sys.stderr)
    return metrics


def line(name: object, metrics: Metrics) -> str:
    """Both accuracies with their intervals, and what became of the rest, for a terminal."""
    rates = ", ".join(f"{key} {getattr(metrics, key):.1%}" for key in (*FATES, "missing"))
    overall = metrics.overall
    strict = percent_range(overall.low, overall.high)
    official = percent_range(overall.official_low, overall.official_high)
    return (
        f"{name}: strict {metrics.acc_strict:.1%} ({strict}), official {metrics.acc_official:.1%} ({official}) "
        f"of {metrics.n}; {rates}"
    )


@stage_main
def main() -> None:
    """Score the runs that the arguments stand for, and write their metrics."""
    args = arguments().parse_args()
    if args.controls:  # DVC wants the folder also where no arm is asked for, and Git has none that is empty
        folder = METRICS / "controls" / BASE
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitkeep").touch()
    for run in runs_of(args):
        out, metrics = score_run(run)
        write_result(out, metrics)
        print(line(out, metrics))


if __name__ == "__main__":
    main()
