"""Comparisons of two runs as the cells of a table."""

from collections import Counter
from collections.abc import Sequence

from stages.evaluate.paired import BETTER, EXPLORATORY, NONE, SAME, WORSE
from stages.evaluate.paired import verdict as verdict_of
from stages.evaluate.tables import p_value, percent, points, points_range
from stages.report.node import Node
from stages.report.sections import Cell, browser_link

COLUMNS = ("Δ", "95 %", "interval", "p", "won", "lost", "verdict")
TONES = {BETTER: "good", WORSE: "bad"}


def versus_cells(row: Node, a: str, b: str) -> list[Cell]:
    """A comparison under COLUMNS: difference, interval and its drawing, p, flips with links to them, verdict."""
    low, difference, high = (row.number(key) for key in ("low", "difference", "high"))
    verdict, words = verdict_and_words(row)
    adjusted = row.get("p_holm")
    p = p_value(row.number("p_holm")) if adjusted else f"{p_value(row.number('p'))} (alone)"
    return [
        Cell(points(difference), tone=TONES.get(verdict, "")),
        Cell(points_range(low, high)),
        Cell(interval=(low, difference, high)),
        Cell(p),
        Cell(str(row.count("only_b")), link=browser_link(a=a, b=b, flip="won")),
        Cell(str(row.count("only_a")), link=browser_link(a=a, b=b, flip="lost")),
        Cell(words, tone=TONES.get(verdict, "quiet")),
    ]


def verdict_and_words(row: Node) -> tuple[str, str]:
    """A comparison's verdict and how to say it: as it was written, else by the same rule from its figures."""
    if row.get("verdict"):
        return row.text("verdict"), row.text("verdict_text")
    verdict = verdict_of({key: row.number(key) for key in ("p_holm", "low", "high")})
    seen = f": this test can see {percent(row.number('detectable'))} points" if verdict == SAME else ""
    return verdict, verdict + seen


def count_verdicts(rows: Sequence[Node], first: str) -> str:
    """How many of the runs compared with `first` are better, worse or neither, and how many were not tested."""
    verdicts = Counter(verdict_and_words(row)[0] for row in rows)
    better, worse, same, exploratory, none = (verdicts[name] for name in (BETTER, WORSE, SAME, EXPLORATORY, NONE))
    told = (
        f"Of {better + worse + same} prompts tested against {first}, {better} {'is' if better == 1 else 'are'} better, "
    )
    told += f"{worse} worse, and {same} cannot be told apart from it."
    told += f" Exploratory, so without a verdict: {exploratory}." if exploratory else ""
    return told + (f" No verdict, since a run has no answer at all: {none}." if none else "")
