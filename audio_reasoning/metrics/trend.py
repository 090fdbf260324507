"""A run's accuracy over commits: what each commit's metrics say, and what changed from one to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

from audio_reasoning.metrics.stats import wilson

OVERALL = "all"  # the name of the group that all questions are in


@dataclass(frozen=True)
class Share:
    """Accuracy on `n` questions with its 95 % interval, in fractions of one."""

    acc: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Change:
    """Accuracy against the point before, with a 95 % interval.

    `paired` says whether it is of the same questions one by one; else of two accuracies alone, which is wider.
    """

    difference: float
    low: float
    high: float
    paired: bool


@dataclass(frozen=True)
class Point:
    """One commit, experiment or the workspace: a run's accuracy there, by the groups of one breakdown.

    `questions` identifies the test questions, empty where that is not known; `change` is None for the first point, and
    for one whose profile or questions are others than before, of which `note` tells.
    """

    revision: str
    date: str
    subject: str
    profile: str
    questions: str
    groups: Mapping[str, Share]  # OVERALL first
    change: Change | None = None
    note: str = ""


@dataclass(frozen=True)
class Trend:
    """The points in their order, and what to keep in mind about them."""

    points: Sequence[Point]
    notes: Sequence[str] = ()


def shares_of(metrics: Mapping[str, Any], by: str) -> dict[str, Share]:
    """The accuracy on all questions and in each group of the breakdown `by`, of a metrics file of any version.

    Files from before there were intervals get Wilson's. Raises KeyError or TypeError for what is no such file.
    """
    rows = metrics.get("detail")
    if rows is None:
        return {OVERALL: _share(metrics["acc_strict"], metrics["n"])}
    chosen = [row for row in rows if row["by"] in ("all", by) and row["n"]]
    return {(OVERALL if row["by"] == "all" else row["name"]): _of(row) for row in chosen}


def _of(row: Mapping[str, Any]) -> Share:
    if "low" not in row:
        return _share(row["acc_strict"], row["n"])
    return Share(row["acc_strict"], row["low"], row["high"], row["n"])


def _share(acc: float, n: int) -> Share:
    low, high = wilson(acc * n, n)
    return Share(acc, low, high, n)


def unpaired(before: Share, after: Share) -> Change:
    """The difference of two accuracies, as if they were of other questions each.

    Newcombe's interval of two scores (1998, method 10), from the intervals that the two have.

    >>> change = unpaired(Share(0.5, 0.4, 0.6, 100), Share(0.7, 0.6, 0.78, 100))
    >>> [round(value, 3) for value in (change.difference, change.low, change.high)]
    [0.2, 0.059, 0.328]
    """
    difference = after.acc - before.acc
    low = difference - hypot(after.acc - after.low, before.high - before.acc)
    high = difference + hypot(after.high - after.acc, before.acc - before.low)
    return Change(difference, max(-1.0, low), min(1.0, high), paired=False)


def incomparable(before: Point, after: Point) -> str:
    """Why a point cannot be compared with the one before; empty where it can."""
    if before.profile != after.profile:
        return f"profile {after.profile}, before {before.profile}"
    one, other = before.groups[OVERALL].n, after.groups[OVERALL].n
    if one != other or (before.questions and after.questions and before.questions != after.questions):
        return "other test questions" + (f": {other}, before {one}" if one != other else "")
    return ""


def group_names(points: Sequence[Point]) -> list[str]:
    """All groups of the breakdown that any point has, without OVERALL, in order of their names."""
    return sorted({name for point in points for name in point.groups} - {OVERALL})
