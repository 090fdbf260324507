"""A comparison of two runs as cells: what any table says of one is a choice of these columns."""

from collections.abc import Callable
from typing import Any

from audio_reasoning.metrics.results import BETTER, WORSE, Compared, Group, Judged, Verdict
from audio_reasoning.render.table import Cell
from audio_reasoning.render.tables import DASH, p_value, percent, percent_range, points, points_range

TONES: dict[Verdict, str] = {BETTER: "good", WORSE: "bad"}


def delta(row: Any) -> str:
    """A difference in percentage points with its 95 % interval, as in +7.6 (+3.7 to +11.6)."""
    return f"{points(row.difference)} ({points_range(row.low, row.high)})"


def accuracy(row: Any) -> str:
    """An accuracy in percent with its 95 % interval, as in 55.0 (51.5–58.4)."""
    return with_range(row.acc, row.low, row.high)


def bounded(row: Any, key: str) -> str:
    """The share under `key` of a row that holds its interval as `<key>_low` and `<key>_high`."""
    return with_range(*(getattr(row, name) for name in (key, f"{key}_low", f"{key}_high")))


def with_range(value: float | None, low: float | None, high: float | None) -> str:
    """A share in percent with its 95 % interval, as far as they are known.

    >>> with_range(0.55, 0.515, 0.584), with_range(0.55, None, None), with_range(None, None, None)
    ('55.0 (51.5–58.4)', '55.0', '–')
    """
    known = value is not None and low is not None and high is not None
    return f"{percent(value)} ({percent_range(low, high)})" if known else percent(value)


def tone_of(row: Any) -> str:
    """The tone of a comparison that is called better or worse."""
    return TONES.get(row.verdict, "") if isinstance(row, Judged) else ""


# What can be told of a comparison, each in a cell. A star, and a tone, are for one that is called better or worse.
FIGURES: dict[str, Callable[[Any], Cell]] = {
    "Δ": lambda row: Cell(points(row.difference), tone=tone_of(row)),
    "Δ*": lambda row: Cell(points(row.difference), significant=row.decided),
    "Δ (95 %)": lambda row: Cell(delta(row)),
    "95 %": lambda row: Cell(points_range(row.low, row.high)),
    "interval": lambda row: Cell(interval=(row.low, row.difference, row.high)),
    "p": lambda row: Cell(p_value(row.p)),
    "p Holm": lambda row: Cell(p_value(row.p_holm)),
    "decisive p": lambda row: Cell(p_value(row.decisive_p)),
    "±80 %": lambda row: Cell(percent(row.detectable)),
    "verdict": lambda row: Cell(row.verdict),
    "verdict in words": lambda row: Cell(row.verdict_text, tone=tone_of(row) or "quiet"),
}


def comparison_cells(row: Compared | None, *figures: str, absent: str = "") -> list[Cell]:
    """Those FIGURES of a comparison; where there is none, `absent` in the place of each."""
    return [Cell(absent) if row is None else FIGURES[name](row) for name in figures]


def group_cells(group: Group, rate: float) -> list[Cell]:
    """One group of questions: name, n, both accuracies, difference, its interval, p and q; dashes if it is empty.

    The difference is significant where q is below `rate`.
    """
    name = Cell(group.name, "foreign")
    if group.difference is None or group.low is None or group.high is None or group.p is None or group.q is None:
        return [name, Cell("0"), *[Cell(DASH)] * 6]
    figures = [str(group.n), percent(group.acc_a), percent(group.acc_b)]
    difference = Cell(points(group.difference), significant=group.significant(rate))
    tests = [points_range(group.low, group.high), p_value(group.p), p_value(group.q)]
    return [name, *map(Cell, figures), difference, *map(Cell, tests)]
