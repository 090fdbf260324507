"""Comparisons of two runs as the cells of a table."""

from collections import Counter
from collections.abc import Sequence

from audio_reasoning.metrics.results import BETTER, EXPLORATORY, NO_VERDICT, SAME, WORSE, Judged
from audio_reasoning.render.comparison import comparison_cells
from audio_reasoning.render.report.sections import browser_link
from audio_reasoning.render.table import Cell
from audio_reasoning.render.tables import p_value

COLUMNS = ("Δ", "95 %", "interval", "p Holm", "won", "lost", "verdict")


def versus_cells(row: Judged, a: str, b: str) -> list[Cell]:
    """A comparison under COLUMNS: difference, interval and its drawing, p, flips with links to them, verdict."""
    p = p_value(row.p) + " (alone)" if row.p_holm is None else p_value(row.p_holm)
    return [
        *comparison_cells(row, "Δ", "95 %", "interval"),
        Cell(p),
        Cell(str(row.only_b), link=browser_link(a=a, b=b, flip="won")),
        Cell(str(row.only_a), link=browser_link(a=a, b=b, flip="lost")),
        *comparison_cells(row, "verdict in words"),
    ]


def count_verdicts(rows: Sequence[Judged], first: str) -> str:
    """How many of the runs compared with `first` are better, worse or neither, and how many were not tested."""
    verdicts = Counter(row.verdict for row in rows)
    better, worse, same, exploratory, none = (verdicts[name] for name in (BETTER, WORSE, SAME, EXPLORATORY, NO_VERDICT))
    tested = better + worse + same
    text = (
        f"Of {tested} prompt{'s' if tested != 1 else ''} tested against {first}, {better or 'none'} "
        f"{'are' if better > 1 else 'is'} better, {worse or 'none'} worse, and {same or 'none'} cannot be told apart "
        "from it."
    )
    text += f" Exploratory, so without a verdict: {exploratory}." if exploratory else ""
    return text + (f" No verdict, since a run has no answer at all: {none}." if none else "")
