"""Put all prompt variants side by side, and say which of the declared contrasts between runs are differences.

    python -m stages.evaluate.compare          # the DVC stage
    python -m stages.evaluate.compare --show   # print the table of the last run
    python -m stages.evaluate.compare A B --questions Q [--score official] [--md | --json]

The last form compares any two prediction files (the challenge's format or Response records) on the questions of Q
(MMAR's metadata or Question records); A and B may also be names of runs, such as baseline or iter1/baseline. It
reads no parameters and writes no file.

The stage writes metrics/compare.json, one long table for plots (variant, by, name, acc, low, high, n);
metrics/summary.json; and reports/compare.md, the same for people. The summary holds the best variant; in
`versus_baseline` the comparison of each variant with the first in `prompts.variants`; and in `contrasts` those that
`compare.contrasts` declares, with `acc_a`, `acc_b` and `sub_category`. stages/evaluate/paired.py explains their keys.
Comparisons that are not declared are exploratory: p is as it is, and there is no verdict.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.common.errors import UserError, stage_main
from stages.common.files import BASE_MODEL, METRICS, QUESTIONS, atomic_write, read_json, write_json
from stages.common.params import Params, load_params
from stages.common.records import Question
from stages.evaluate import compare_files
from stages.evaluate.compare_table import Metrics, markdown, table
from stages.evaluate.inputs import Questions, read_question_set, read_samples
from stages.evaluate.paired import (
    Method,
    Pair,
    broken_down,
    explored,
    judged,
    mirrored,
    none_answered,
    scores_of,
    within,
)
from stages.evaluate.runs import Run, declared_runs, find_run, metrics_file
from stages.evaluate.tables import MINI_NOTE

COMPARE = METRICS / "compare.json"
SUMMARY = METRICS / "summary.json"
REPORT = Path("reports/compare.md")
BEST_NOTE = "best is the highest of {n} on the questions it is judged by: its own accuracy flatters it"

Scores = dict[str, list[float]]  # by run: a strict score for each question, in order


def plot_rows(metrics: Metrics) -> list[dict[str, Any]]:
    """One row for each variant and group of questions, in the order of the variants."""
    kept = ("by", "name", "low", "high", "n")
    return [
        {"variant": variant, "acc": row["acc_strict"], **{key: row[key] for key in kept}}
        for variant, values in metrics.items()
        for row in values["detail"]
    ]


def declared_contrasts(params: Params) -> list[tuple[Run, Run]]:
    """The runs of each of `compare.contrasts`; UserError with the nearest name where one does not exist."""
    runs = declared_runs(params)
    try:
        return [(find_run(contrast.a, runs), find_run(contrast.b, runs)) for contrast in params.compare.contrasts]
    except UserError as error:
        raise UserError(f"compare.contrasts: {error}") from None


def compare_declared(
    contrasts: Sequence[tuple[Run, Run]], scores: Scores, unread: set[str], questions: list[Question], method: Method
) -> list[dict[str, Any]]:
    """The declared contrasts, adjusted over all of them, each with its accuracies and its sub-categories."""
    pairs = [Pair(a.name, b.name, scores[a.name], scores[b.name]) for a, b in contrasts]
    return [
        {
            **row,
            "acc_a": round(fmean(pair.scores_a), 4),
            "acc_b": round(fmean(pair.scores_b), 4),
            "sub_category": broken_down(within(pair, questions, "sub_category", method), method),
        }
        for pair, row in zip(pairs, judged(pairs, questions, method, unread), strict=True)
    ]


def compare_with_first(
    variants: list[str], contrasts: list[dict[str, Any]], scores: Scores, questions: list[Question], method: Method
) -> list[dict[str, Any]]:
    """Each variant beside the first: the declared contrast, in either direction, else an exploratory comparison."""
    first, *others = variants
    extra = {"acc_a", "acc_b", "sub_category"}
    kept = [{key: value for key, value in row.items() if key not in extra} for row in contrasts]
    declared = {row["a"]: mirrored(row) for row in kept if row["b"] == first}
    declared |= {row["b"]: row for row in kept if row["a"] == first}
    return [
        declared[other]
        if other in declared
        else explored(Pair(first, other, scores[first], scores[other]), questions, method)
        for other in others
    ]


def summarise(
    metrics: Metrics, versus_baseline: list[dict[str, Any]], contrasts: list[dict[str, Any]], profile: str
) -> dict[str, Any]:
    """The best variant (the first of equals), the comparisons, and what to keep in mind about them."""
    best = max(metrics, key=lambda variant: float(metrics[variant]["acc_strict"]))
    notes = [MINI_NOTE] if profile == "mini" else []
    notes += [BEST_NOTE.format(n=len(metrics))] if len(metrics) > 1 else []
    return {
        "profile": profile,
        "best": best,
        "best_acc_strict": metrics[best]["acc_strict"],
        "versus_baseline": versus_baseline,
        "contrasts": contrasts,
        "notes": notes,
    }


def strict_scores(variant: str, questions: Questions, expected: float, model: str = BASE_MODEL.name) -> list[float]:
    """The strict score of each question in order; UserError if they do not give the accuracy of the metrics file."""
    run = Run(variant, model)
    scores = scores_of(read_samples(run.predictions, questions, complete=True), questions)
    _check_current(run, scores, expected)
    return scores


def _check_current(run: Run, scores: list[float], expected: float) -> None:
    if round(fmean(scores), 4) != expected:
        raise UserError(
            f"{metrics_file(run)} gives acc_strict {expected}, but {run.predictions} gives {fmean(scores):.4f}: "
            "one of them is out of date; `dvc repro` mends it"
        )


def _read_runs(contrasts: Sequence[tuple[Run, Run]], metrics: Metrics, questions: Questions) -> tuple[Scores, set[str]]:
    """The scores of all variants and of the runs that contrasts name; and the runs without any answer."""
    scores: Scores = {}
    unread = set()
    for run in dict.fromkeys([*map(Run, metrics), *(run for pair in contrasts for run in pair)]):
        samples = read_samples(run.predictions, questions, complete=True)
        scores[run.name] = scores_of(samples, questions)
        if run.name in metrics:
            _check_current(run, scores[run.name], metrics[run.name]["acc_strict"])
        if none_answered(samples):
            unread.add(run.name)
    return scores, unread


@stage_main
def main() -> None:
    """Compare the runs that the parameters name, show the last comparison, or compare two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the last comparison and write nothing")
    compare_files.add_arguments(parser)
    args = parser.parse_args()
    if compare_files.wanted(args):
        compare_files.run(parser, args)
        return
    params = load_params(
        "profile",
        "prompts.variants",
        "arms.kinds",
        "arms.variants",
        "vote.variants",
        "rest.eval_prompts",
        "rest.iterations",
        "compare",
    )
    metrics = {variant: read_json(metrics_file(Run(variant))) for variant in params.prompts.variants}
    if args.show:
        print(table(metrics, read_json(SUMMARY)))
        return
    wanted = declared_contrasts(params)
    questions = read_question_set(QUESTIONS / "test.jsonl")
    scores, unread = _read_runs(wanted, metrics, questions)
    values = params.compare
    method = Method(values.resamples, values.seed, values.false_discovery_rate, values.margin)
    asked = [*questions.values()]
    contrasts = compare_declared(wanted, scores, unread, asked, method)
    versus_baseline = compare_with_first(params.prompts.variants, contrasts, scores, asked, method)
    summary = summarise(metrics, versus_baseline, contrasts, params.profile)
    write_json(COMPARE, plot_rows(metrics))
    write_json(SUMMARY, summary)
    with atomic_write(REPORT) as file:
        file.write(markdown(metrics, summary, method))
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
