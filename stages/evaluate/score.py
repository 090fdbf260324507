"""Score predictions: two accuracies, and what became of the rest.

    python -m stages.evaluate.score --variant baseline
    python -m stages.evaluate.score --variant baseline --model iter1
    python -m stages.evaluate.score --variant baseline --arm silence
    python -m stages.evaluate.score --questions MMAR-meta.jsonl --predictions result.jsonl --out metrics.json

The first three forms are DVC stages: of the base model (metrics/prompts/<variant>.json), of an iteration of
self-training (metrics/rest/scores/<iteration>/<variant>.json) and of a control arm of the base model
(metrics/arms/<variant>/<arm>.json). The last takes files from elsewhere: MMAR's metadata or
Question records, and the challenge's `id, thinking_prediction, answer_prediction` or Response records. There, a
question without a prediction counts as wrong and as `missing`.

The metrics, all fractions of one over *all* questions (a question's score is the mean over its samples):
`acc_strict` (the chosen choice is the answer), `acc_official` (MMAR's string match), `truncated`, `no_answer`,
`error` and `missing`; also `n`, and per response the mean `thinking_chars` and `completion_tokens`. Where there are
any, `forced` and `reasked` are the shares of responses that took a second request.
`category`, `sub_category` and `modality` hold `acc_strict`. The list `detail` repeats them with exact names,
both accuracies and Wilson's 95 % interval, the list `missing_ids` names the questions without a prediction, and
the list `run` tells what made the predictions: in lists, since DVC shows none, which keeps `dvc metrics show`
narrow.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.common.errors import UserError, stage_main
from stages.common.files import BASE_MODEL, QUESTIONS, read_json, write_json
from stages.common.records import Question
from stages.evaluate.inputs import Questions, Sample, Samples, read_question_set, read_samples, some
from stages.evaluate.official import official_match
from stages.evaluate.reward import correct
from stages.evaluate.runs import ARMS, Run, metrics_file
from stages.evaluate.stats import wilson

BREAKDOWNS: dict[str, Callable[[Question], str]] = {
    "category": lambda question: question.category,
    "sub_category": lambda question: question.sub_category,
    "modality": lambda question: question.modality,
}
FATES = ("truncated", "no_answer", "error")


@dataclass(frozen=True)
class Score:
    """One question's score: shares of its samples, so 0 or 1 where there is one sample."""

    strict: float
    official: float
    fates: tuple[float, ...]  # in the order of FATES
    missing: bool


def score_question(question: Question, samples: Sequence[Sample]) -> Score:
    """Score one question on all its samples; without any it is wrong, and missing."""
    if not samples:
        return Score(0.0, 0.0, (0.0,) * len(FATES), missing=True)
    right = question.choices[question.answer]
    return Score(
        strict=fmean(correct(question, sample.response) for sample in samples),
        official=fmean(official_match(sample.submitted, right, question.choices) for sample in samples),
        fates=tuple(fmean(sample.response.status == fate for sample in samples) for fate in FATES),
        missing=False,
    )


def metrics_of(questions: Questions, samples: Samples) -> dict[str, Any]:
    """All metrics of a set of predictions, ready to be written; see the module's text for the keys."""
    scored = [(question, score_question(question, samples.get(name, ()))) for name, question in questions.items()]
    scores = [score for _, score in scored]
    detail = [_row("all", "all", scores)]
    tables: dict[str, dict[str, float]] = {}
    for by, name_of in BREAKDOWNS.items():
        tables[by] = {}
        for name in sorted({name_of(question) for question in questions.values()}):
            row = _row(by, name, [score for question, score in scored if name_of(question) == name])
            if slug(name) in tables[by]:
                raise UserError(f"two names of {by} become the same metric {slug(name)!r}, one of them is {name!r}")
            tables[by][slug(name)] = row["acc_strict"]
            detail.append(row)
    return {
        "acc_strict": detail[0]["acc_strict"],
        "acc_official": detail[0]["acc_official"],
        "n": len(questions),
        **{fate: _mean([score.fates[i] for score in scores]) for i, fate in enumerate(FATES)},
        "missing": _mean([score.missing for score in scores]),
        **_lengths([sample for found in samples.values() for sample in found]),
        **_second_requests([sample for found in samples.values() for sample in found]),
        **tables,
        "detail": detail,
        "missing_ids": [name for name in questions if name not in samples],
    }


def _row(by: str, name: str, scores: Sequence[Score]) -> dict[str, Any]:
    strict = [score.strict for score in scores]
    low, high = wilson(min(sum(strict), len(strict)), len(strict))
    return {
        "by": by,
        "name": name,
        "n": len(scores),
        "acc_strict": _mean(strict),
        "acc_official": _mean([score.official for score in scores]),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _lengths(samples: Sequence[Sample]) -> dict[str, float]:
    """Mean lengths over the responses that have one: requests that failed have none, nor have files from elsewhere."""
    arrived = [sample.response for sample in samples if sample.response.status != "error"]
    tokens = [response.completion_tokens for response in arrived if response.completion_tokens]
    means = {"thinking_chars": [len(response.thinking) for response in arrived], "completion_tokens": tokens}
    return {key: round(fmean(values), 1) for key, values in means.items() if values}


def _second_requests(samples: Sequence[Sample]) -> dict[str, float]:
    """The shares of responses that took a second request, where there are any (stages/infer/thinking.py)."""
    shares = {
        "forced": [sample.response.forced for sample in samples],
        "reasked": [sample.response.reasked_chars is not None for sample in samples],
    }
    return {key: _mean(values) for key, values in shares.items() if any(values)}


def _mean(values: Sequence[float]) -> float:
    return round(fmean(values), 4)


def slug(name: str) -> str:
    """A category's name as a metric's key: lower snake case, without the word "layer".

    >>> slug("Perception Layer"), slug("mix-sound-speech"), slug("Layer")
    ('perception', 'mix_sound_speech', 'layer')
    """
    words = re.findall(r"[^\W_]+", name.lower())
    return "_".join(word for word in words if word != "layer") or "_".join(words) or "unnamed"


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
    print(
        f"{out}: strict {metrics['acc_strict']:.1%}, official {metrics['acc_official']:.1%} of {metrics['n']}; {rates}"
    )


if __name__ == "__main__":
    main()
