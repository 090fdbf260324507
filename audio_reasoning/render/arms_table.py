"""The control arms as tables for a terminal."""

from collections.abc import Iterable
from typing import TypeVar

from audio_reasoning.core.runs import PERMUTED
from audio_reasoning.metrics.arms_results import ArmFigures, ArmGroup, ArmsSummary, Consistency, OrderFigures
from audio_reasoning.metrics.results import OfVariant
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.render.comparison import comparison_cells
from audio_reasoning.render.table import Cell, Table, cells, to_text
from audio_reasoning.render.tables import DASH, p_value, percent, percent_range, points, profile_notes

LEGEND = """\
Percent and, for gain, its interval and ±80 %, points. gain: accuracy with the clip minus the arm's (of permuted: with
the choices in their own order). p is exploratory: of each comparison alone, unadjusted; compare.contrasts are judged by
`compare`. ±80 %: the smallest true gain that 80 % of such comparisons find. failed: truncated, no answer, or an error,
all of which count as wrong: where an arm fails more often than the ordinary run, its gain is partly that."""
NO_ANSWER = "no gain is told of {arms}: there or in the ordinary run no question was answered at all"
ORDERS_LEGEND = """\
Of all orders, the question's own included. right: accuracy where the right answer stands in that place. picks: share
of the answers that pick it, which without a liking for places is as even as the choices are many."""


Row = TypeVar("Row", bound=OfVariant)


def table(summary: ArmsSummary) -> str:
    """All tables of metrics/arms.json, one variant after the other."""
    if not summary.variants:
        return "arms.variants is []: no control arms"
    notes = [f"profile {summary.profile}: {note}" for note in profile_notes(summary.profile)]
    return "\n\n".join([*(part for variant in summary.variants for part in _variant(variant, summary)), *notes])


def _variant(variant: str, summary: ArmsSummary) -> list[str]:
    figures = summary.variants[variant]
    compared = {row.arm: row for row in _of(variant, summary.comparisons)}
    silent = [row.arm for row in _of(variant, summary.unanswered)]
    blank = [""] * 4
    rows = [
        cells("with the clip", *_accuracy(figures.ordinary, figures.n), *blank),
        cells("guessing", percent(figures.chance), "", "", *blank),
    ]
    for arm in [*compared, *silent]:
        gain = comparison_cells(compared.get(arm), "Δ", "95 %", "p", "±80 %", absent=DASH)
        rows.append(cells(arm, *_accuracy(figures.arms[arm], figures.n), *gain))
    header = [variant, "acc", "95 %", "failed", "gain", "95 %", "p, expl.", "±80 %"]
    parts = [to_text(Table(header, rows, notes=[LEGEND]))]
    parts += [NO_ANSWER.format(arms=", ".join(silent))] if silent else []
    groups = _of(variant, summary.sub_categories)
    parts += [to_text(_by_sub_category(groups, summary.false_discovery_rate))] if groups else []
    permuted = figures.arms.get(PERMUTED)
    return [*parts, *(_orders(variant, permuted, summary) if isinstance(permuted, OrderFigures) else [])]


def _of(variant: str, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.variant == variant]


def _accuracy(figures: ArmFigures, n: int) -> list[str]:
    return [percent(figures.acc), percent_range(*wilson(figures.acc * n, n)), percent(figures.failed)]


def _by_sub_category(groups: list[ArmGroup], rate: float) -> Table:
    arms = list(dict.fromkeys(row.arm for row in groups))
    by = {(row.name, row.arm): row for row in groups}
    rows = [
        cells(row.name, str(row.n), percent(row.acc_b), *(_gain(by[row.name, arm], rate) for arm in arms))
        for row in sorted((row for row in groups if row.arm == arms[0]), key=lambda row: -row.n)
    ]
    legend = f"Gain by sub-category. * p < {rate:g}, adjusted over the sub-categories (Benjamini-Hochberg)."
    return Table(["sub-category", "n", "acc", *arms], rows, notes=[legend])


def _gain(row: ArmGroup, rate: float) -> Cell:
    return Cell(points(row.difference or 0.0), significant=row.significant(rate))


def _orders(variant: str, figures: OrderFigures, summary: ArmsSummary) -> list[str]:
    header = ["choices", "questions", "orders", "same choice in all", "95 %", "no answer in some"]
    rows = [[str(row.choices), str(row.n), str(row.orders), *_same(row)] for row in _of(variant, summary.consistency)]
    places = [
        [f"{row.choices}, {row.place}", percent(row.acc), percent(row.share), percent(row.expected)]
        for row in _of(variant, summary.places)
    ]
    notes = [ORDERS_LEGEND, _test(figures)]
    return [
        to_text(Table(header, [*rows, ["all", "", "", *_same(figures)]])),
        to_text(Table(["choices, place", "right", "picks", "even"], places, notes=notes)),
    ]


def _same(row: Consistency) -> list[str]:
    interval = percent_range(row.consistency_low, row.consistency_high)
    return [percent(row.consistency), interval, percent(row.unanswered)]


def _test(figures: OrderFigures) -> str:
    if figures.place_p is None:
        return "Picks by place: too few answers for a test."
    return (
        f"Picks by place against even ones: chi-square {figures.place_statistic:.1f}, "
        f"p {p_value(figures.place_p)} by permuting the places of each clip; {figures.place_picks} picks, "
        f"{figures.place_left_out} left out where there are too few."
    )
