"""Comparisons of two runs as the cells of a table."""

from collections import Counter
from collections.abc import Sequence

from audio_reasoning.metrics.paired import BETTER, EXPLORATORY, NO_VERDICT, SAME, WORSE
from audio_reasoning.render.report.node import Node
from audio_reasoning.render.report.sections import Cell, browser_link
from audio_reasoning.render.tables import p_value, points, points_range

COLUMNS = ("Δ", "95 %", "interval", "p Holm", "won", "lost", "verdict")
TONES = {BETTER: "good", WORSE: "bad"}


def versus_cells(row: Node, a: str, b: str) -> list[Cell]:
    """A comparison under COLUMNS: difference, interval and its drawing, p, flips with links to them, verdict."""
    low, difference, high = (row.number(key) for key in ("low", "difference", "high"))
    tone = TONES.get(row.text("verdict"), "")
    adjusted = row.get("p_holm")
    p = p_value(row.number("p_holm")) if adjusted else f"{p_value(row.number('p'))} (alone)"
    return [
        Cell(points(difference), tone=tone),
        Cell(points_range(low, high)),
        Cell(interval=(low, difference, high)),
        Cell(p),
        Cell(str(row.count("only_b")), link=browser_link(a=a, b=b, flip="won")),
        Cell(str(row.count("only_a")), link=browser_link(a=a, b=b, flip="lost")),
        Cell(row.text("verdict_text"), tone=tone or "quiet"),
    ]


def count_verdicts(rows: Sequence[Node], first: str) -> str:
    """How many of the runs compared with `first` are better, worse or neither, and how many were not tested."""
    verdicts = Counter(row.text("verdict") for row in rows)
    better, worse, same, exploratory, none = (verdicts[name] for name in (BETTER, WORSE, SAME, EXPLORATORY, NO_VERDICT))
    tested = better + worse + same
    told = (
        f"Of {tested} prompt{'s' if tested != 1 else ''} tested against {first}, {better or 'none'} "
        f"{'are' if better > 1 else 'is'} better, {worse or 'none'} worse, and {same or 'none'} cannot be told apart "
        "from it."
    )
    told += f" Exploratory, so without a verdict: {exploratory}." if exploratory else ""
    return told + (f" No verdict, since a run has no answer at all: {none}." if none else "")
