"""Score predictions: two accuracies, and what became of the rest.

    python -m stages.score --variant baseline
    python -m stages.score --variant baseline --model iter1
    python -m stages.score --variant baseline --arm silence
    python -m stages.score --questions MMAR-meta.jsonl --predictions result.jsonl --out metrics.json

The first three forms are DVC stages: of the base model (metrics/prompts/<variant>.json), of an iteration of
self-training (metrics/rest/scores/<iteration>/<variant>.json) and of a control arm of the base model
(metrics/arms/<variant>/<arm>.json). The last takes files from elsewhere: MMAR's metadata or
Question records, and the challenge's `id, thinking_prediction, answer_prediction` or Response records. There, a
question without a prediction counts as wrong and as `missing`. What the metrics are: metrics/scoring.py.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import BASE_MODEL, QUESTIONS, read_json, write_json
from audio_reasoning.core.runs import ARMS, Run, metrics_file
from audio_reasoning.metrics.inputs import read_question_set, read_samples, some
from audio_reasoning.metrics.scoring import FATES, metrics_of
from audio_reasoning.render.tables import percent_range

BOUNDS = (("low", "high"), ("official_low", "official_high"))  # of the two accuracies, in the list `detail`


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", help="score this prompt variant's predictions on the test questions")
    parser.add_argument("--model", help="of this iteration of self-training, instead of the base model")
    parser.add_argument("--arm", choices=ARMS, help="in this control arm")
    parser.add_argument("--questions", type=Path, help="questions: MMAR's metadata or Question records")
    parser.add_argument("--predictions", type=Path, help="predictions: the challenge's format or Response records")
    parser.add_argument("--out", type=Path, help="where the metrics go")
    args = parser.parse_args()
    files = (args.questions, args.predictions, args.out)
    if bool(args.variant) == any(files) or any(files) != all(files):
        parser.error("give either --variant, or all of --questions, --predictions and --out")
    for option in ("model", "arm"):
        if getattr(args, option) and not args.variant:
            parser.error(f"--{option} goes with --variant")
    if args.model and args.arm:
        parser.error("control arms ask the base model: leave out --model")
    return args


def _score_run(run: Run) -> tuple[Path, dict[str, Any]]:
    questions = read_question_set(QUESTIONS / "test.jsonl")
    samples = read_samples(run.predictions, questions, complete=True)
    return metrics_file(run), {**metrics_of(questions, samples), "run": [read_json(run.manifest)]}


def _score_files(questions_path: Path, predictions_path: Path) -> dict[str, Any]:
    questions = read_question_set(questions_path)
    samples = read_samples(predictions_path, questions, complete=False)
    metrics = metrics_of(questions, samples)
    absent = metrics["missing_ids"]
    if absent:
        count = f"{len(absent)} of {len(questions)} questions"
        print(f"warning: {count} have no prediction and count as wrong: {some(absent)}", file=sys.stderr)
    return metrics


@stage_main
def main() -> None:
    """Score one set of predictions and write its metrics."""
    args = _arguments()
    if args.variant:
        out, metrics = _score_run(Run(args.variant, args.model or BASE_MODEL.name, args.arm or ""))
    else:
        out, metrics = args.out, _score_files(args.questions, args.predictions)
    write_json(out, metrics)
    rates = ", ".join(f"{key} {metrics[key]:.1%}" for key in (*FATES, "missing"))
    overall = metrics["detail"][0]
    strict, official = (percent_range(overall[low], overall[high]) for low, high in BOUNDS)
    print(
        f"{out}: strict {metrics['acc_strict']:.1%} ({strict}), official {metrics['acc_official']:.1%} ({official}) "
        f"of {metrics['n']}; {rates}"
    )


if __name__ == "__main__":
    main()
