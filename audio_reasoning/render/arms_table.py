"""The control arms as tables for a terminal."""

from typing import Any

from audio_reasoning.core.runs import PERMUTED
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.render.tables import (
    DASH,
    MINI_NOTE,
    p_value,
    percent,
    percent_range,
    points,
    points_range,
    text_table,
)

LEGEND = """\
Percent and, for gain, its interval and ±80 %, points. gain: accuracy with the clip minus the arm's (of permuted: with
the choices in their own order). p is exploratory: of each comparison alone, unadjusted; compare.contrasts are judged by
`compare`. ±80 %: the smallest true gain that 80 % of such comparisons find. failed: truncated, no answer, or an error,
all of which count as wrong: where an arm fails more often than the ordinary run, its gain is partly that."""
NO_ANSWER = "no gain is told of {arms}: there or in the ordinary run no question was answered at all"
ORDERS_LEGEND = """\
Of all orders, the question's own included. right: accuracy where the right answer stands in that place. picks: share
of the answers that pick it, which without a liking for places is as even as the choices are many."""


def table(summary: dict[str, Any]) -> str:
    """All tables of metrics/arms.json, one variant after the other."""
    if not summary["variants"]:
        return "arms.variants is []: no control arms"
    notes = [f"profile {summary['profile']}: {MINI_NOTE}"]
    parts = [part for variant in summary["variants"] for part in _variant(variant, summary)]
    return "\n\n".join([*parts, *(notes if summary["profile"] == "mini" else [])])


def _variant(variant: str, summary: dict[str, Any]) -> list[str]:
    figures = summary["variants"][variant]
    overall, parts = (_of(variant, summary[key]) for key in ("comparisons", "sub_categories"))
    silent = [row["arm"] for row in _of(variant, summary["unanswered"])]
    arms = [_arm(row["arm"], row, figures) for row in overall] + [_arm(arm, None, figures) for arm in silent]
    header = [variant, "acc", "95 %", "failed", "gain", "95 %", "p, expl.", "±80 %"]
    tables = [text_table(header, [*_own(figures), *arms]), LEGEND]
    tables += [NO_ANSWER.format(arms=", ".join(silent))] if silent else []
    tables += [_by_sub_category(parts, summary["false_discovery_rate"])] if parts else []
    if PERMUTED in figures:
        tables.append(_orders(variant, summary))
    return tables


def _of(variant: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["variant"] == variant]


def _own(figures: dict[str, Any]) -> list[list[str]]:
    rows = [["with the clip", *_accuracy(figures, figures["n"])], ["guessing", percent(figures["chance"]), "", ""]]
    return [[*row, "", "", "", ""] for row in rows]


def _arm(arm: str, row: dict[str, Any] | None, figures: dict[str, Any]) -> list[str]:
    own = [arm, *_accuracy(figures[arm], figures["n"])]
    if row is None:
        return [*own, *[DASH] * 4]
    gain = [points(row["difference"]), points_range(row["low"], row["high"]), p_value(row["p"])]
    return [*own, *gain, percent(row["detectable"])]


def _accuracy(figures: dict[str, Any], n: int) -> list[str]:
    failed = percent(sum(figures[fate] for fate in FATES))
    return [percent(figures["acc"]), percent_range(*wilson(figures["acc"] * n, n)), failed]


def _by_sub_category(parts: list[dict[str, Any]], rate: float) -> str:
    arms = list(dict.fromkeys(row["arm"] for row in parts))
    cells = {(row["name"], row["arm"]): row for row in parts}
    first = sorted((row for row in parts if row["arm"] == arms[0]), key=lambda row: -row["n"])
    lines = [
        [row["name"], str(row["n"]), percent(row["acc_b"]), *(_gain(cells[row["name"], arm], rate) for arm in arms)]
        for row in first
    ]
    legend = f"Gain by sub-category. * p < {rate:g}, adjusted over the sub-categories (Benjamini-Hochberg)."
    return "\n".join([text_table(["sub-category", "n", "acc", *arms], lines), "", legend])


def _gain(row: dict[str, Any], rate: float) -> str:
    return points(row["difference"]) + ("*" if row["q"] < rate else " ")


def _orders(variant: str, summary: dict[str, Any]) -> str:
    figures = summary["variants"][variant][PERMUTED]
    header = ["choices", "questions", "orders", "same choice in all", "95 %", "no answer in some"]
    lines = [
        [str(row["choices"]), str(row["n"]), str(row["orders"]), *_same(row)]
        for row in _of(variant, summary["consistency"])
    ]
    lines.append(["all", "", "", *_same(figures)])
    places = [
        [f"{row['choices']}, {row['place']}", *(percent(row[key]) for key in ("acc", "share", "expected"))]
        for row in _of(variant, summary["places"])
    ]
    tables = [text_table(header, lines), "", text_table(["choices, place", "right", "picks", "even"], places), ""]
    return "\n".join([*tables, ORDERS_LEGEND, _test(figures)])


def _same(row: dict[str, Any]) -> list[str]:
    interval = percent_range(row["consistency_low"], row["consistency_high"])
    return [percent(row["consistency"]), interval, percent(row["unanswered"])]


def _test(figures: dict[str, Any]) -> str:
    if figures["place_p"] is None:
        return "Picks by place: too few answers for a test."
    return (
        f"Picks by place against even ones: chi-square {figures['place_statistic']:.1f}, "
        f"p {p_value(figures['place_p'])} by permuting the places of each clip; {figures['place_picks']} picks, "
        f"{figures['place_left_out']} left out where there are too few."
    )
