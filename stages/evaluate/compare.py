"""Put all prompt variants side by side, and compare each with the first one question by question.

    python -m stages.evaluate.compare          # the DVC stage
    python -m stages.evaluate.compare --show   # print the table of the last run

Writes metrics/compare.json, one long table for plots (variant, by, name, acc, low, high, n), and
metrics/summary.json: the best variant, and in `versus_baseline` a Comparison of each variant with the first
in `prompts.variants`, with `p_holm` (p adjusted for that many comparisons) and `detectable` (the smallest
true difference that such a comparison finds in 80 % of runs).
"""

import argparse
from dataclasses import asdict
from statistics import fmean
from typing import Any

from stages.common.errors import UserError, stage_main
from stages.common.files import BASE_MODEL, METRICS, QUESTIONS, predictions_dir, read_json, write_json
from stages.common.params import load_params
from stages.common.records import Comparison
from stages.evaluate.inputs import Questions, read_question_set, read_samples
from stages.evaluate.score import FATES, metrics_dir, score_question
from stages.evaluate.stats import ALPHA, compare_runs, detectable, holm
from stages.evaluate.tables import p_value, percent, percent_range, points, points_range, text_table

COMPARE = METRICS / "compare.json"
SUMMARY = METRICS / "summary.json"
MINI_NOTE = "mini figures are evidence about mechanics, not about any 30B model"
BEST_NOTE = "best is the highest of {n} on the questions it is judged by: its own accuracy flatters it"
LEGEND = """\
{n} questions; percent, and for Δ, its interval and ±80 % points. * holds for all comparisons at once (p Holm < 0.05).
±80 %: the smallest true difference that 80 % of such comparisons find. cut: truncated, none: no answer, err: failed."""

Metrics = dict[str, dict[str, Any]]


def plot_rows(metrics: Metrics) -> list[dict[str, Any]]:
    """One row for each variant and group of questions, in the order of the variants."""
    kept = ("by", "name", "low", "high", "n")
    return [
        {"variant": variant, "acc": row["acc_strict"], **{key: row[key] for key in kept}}
        for variant, values in metrics.items()
        for row in values["detail"]
    ]


def compare_with_first(scores: dict[str, list[float]], groups: list[str]) -> list[dict[str, Any]]:
    """Compare each variant's per-question scores with those of the first, Holm-adjusted over all of them."""
    first, *others = scores
    return adjusted([compare_runs(first, other, scores[first], scores[other], groups) for other in others])


def adjusted(comparisons: list[Comparison]) -> list[dict[str, Any]]:
    """Comparisons as they are written, with `p_holm`, adjusted over all of them, and `detectable`."""
    p_holm = holm([comparison.p for comparison in comparisons])
    rows = [
        {**asdict(comparison), "p_holm": p, "detectable": detectable(comparison)}
        for comparison, p in zip(comparisons, p_holm, strict=True)
    ]
    return [{key: float(f"{x:.6g}") if isinstance(x, float) else x for key, x in row.items()} for row in rows]


def summarise(metrics: Metrics, versus_baseline: list[dict[str, Any]], profile: str) -> dict[str, Any]:
    """The best variant (the first of equals), the comparisons, and what to keep in mind about both."""
    best = max(metrics, key=lambda variant: float(metrics[variant]["acc_strict"]))
    notes = [MINI_NOTE] if profile == "mini" else []
    notes += [BEST_NOTE.format(n=len(metrics))] if len(metrics) > 1 else []
    return {
        "profile": profile,
        "best": best,
        "best_acc_strict": metrics[best]["acc_strict"],
        "versus_baseline": versus_baseline,
        "notes": notes,
    }


def strict_scores(variant: str, questions: Questions, expected: float, model: str = BASE_MODEL.name) -> list[float]:
    """The strict score of each question in order; UserError if they do not give the accuracy of the metrics file."""
    predictions, metrics = predictions_dir(model) / f"{variant}.jsonl", metrics_dir(model) / f"{variant}.json"
    samples = read_samples(predictions, questions, complete=True)
    scores = [score_question(question, samples[name]).strict for name, question in questions.items()]
    if round(fmean(scores), 4) != expected:
        raise UserError(
            f"{metrics} gives acc_strict {expected}, but {predictions} gives {fmean(scores):.4f}: "
            "one of them is out of date; `dvc repro` mends it"
        )
    return scores


def table(metrics: Metrics, summary: dict[str, Any]) -> str:
    """The comparison for a terminal: percentages, and differences in percentage points."""
    versus = {row["b"]: row for row in summary["versus_baseline"]}
    first = next(iter(metrics))
    header = [
        "variant",
        "strict",
        "95 %",
        "official",
        f"Δ {first}",
        "95 %",
        "p",
        "p Holm",
        "±80 %",
        "cut",
        "none",
        "err",
    ]
    lines = [_line(variant, metrics[variant], versus.get(variant)) for variant in metrics]
    legend = LEGEND.format(n=metrics[first]["n"])
    notes = [f"profile {summary['profile']}; best: {summary['best']}", *summary["notes"]]
    return "\n".join([text_table(header, lines), "", legend, *notes])


def _line(variant: str, values: dict[str, Any], versus: dict[str, Any] | None) -> list[str]:
    overall = values["detail"][0]
    cells = [variant, percent(values["acc_strict"]), percent_range(overall["low"], overall["high"])]
    cells.append(percent(values["acc_official"]))
    cells += versus_cells(versus) if versus else [""] * 5
    return [*cells, *(percent(values[fate]) for fate in FATES)]


def versus_cells(row: dict[str, Any]) -> list[str]:
    """A comparison in a table: difference, interval, p, p Holm and detectable difference."""
    return [
        starred(row),
        points_range(row["low"], row["high"]),
        p_value(row["p"]),
        p_value(row["p_holm"]),
        percent(row["detectable"]),
    ]


def starred(row: dict[str, Any]) -> str:
    """A comparison's difference in points, with a star if it holds for its whole family of comparisons."""
    return points(row["difference"]) + ("*" if row["p_holm"] < ALPHA else " ")


@stage_main
def main() -> None:
    """Compare the variants of `prompts.variants`, or show the last comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print the last comparison and write nothing")
    show = parser.parse_args().show
    params = load_params("profile", "prompts.variants")
    metrics = {variant: read_json(METRICS / "prompts" / f"{variant}.json") for variant in params.prompts.variants}
    if show:
        print(table(metrics, read_json(SUMMARY)))
        return
    questions = read_question_set(QUESTIONS / "test.jsonl")
    scores = {variant: strict_scores(variant, questions, metrics[variant]["acc_strict"]) for variant in metrics}
    versus_baseline = compare_with_first(scores, [question.group for question in questions.values()])
    summary = summarise(metrics, versus_baseline, params.profile)
    write_json(COMPARE, plot_rows(metrics))
    write_json(SUMMARY, summary)
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
