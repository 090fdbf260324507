"""How often the model answers a problem right, and what that says about the problem."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from audio_reasoning.core.rollouts import HEARD, Graded

CATEGORIES = ("too_hard", "challenging", "learning_zone", "almost_mastered", "mastered")


@dataclass(frozen=True)
class Problem:
    """One problem's samples; `silent_rate` is the pass rate without hearing, None where that was not tried."""

    id: str
    samples: tuple[Graded, ...]
    silent_rate: float | None

    @property
    def right(self) -> tuple[Graded, ...]:
        """The samples that chose the right choice."""
        return tuple(sample for sample in self.samples if sample.correct)

    @property
    def pass_rate(self) -> float:
        """The share of samples that are right."""
        return len(self.right) / len(self.samples)

    @property
    def category(self) -> str:
        """One of CATEGORIES."""
        return category(len(self.right), len(self.samples))


def category(right: int, n: int) -> str:
    """The category of a problem with `right` of `n` samples right, by rate and for any n.

    >>> [category(right, 16) for right in (0, 4, 5, 12, 13, 16)]
    ['too_hard', 'challenging', 'learning_zone', 'learning_zone', 'almost_mastered', 'mastered']
    >>> category(1, 3), category(1, 1)
    ('learning_zone', 'mastered')
    """
    if not 0 <= right <= n or n < 1:
        raise ValueError(f"{right} right of {n}")
    if right == 0:
        return "too_hard"
    if right == n:
        return "mastered"
    if 4 * right <= n:
        return "challenging"
    return "learning_zone" if 4 * right <= 3 * n else "almost_mastered"


def problems_of(samples: Iterable[Graded]) -> tuple[list[Problem], list[str]]:
    """The problems in the order they were asked, and the ids of those of which a sample failed.

    A failed request says nothing about a problem, so it is left out rather than counted as wrong.
    """
    heard: dict[str, list[Graded]] = {}
    silent: dict[str, list[Graded]] = {}
    for sample in samples:
        (heard if sample.condition == HEARD else silent).setdefault(sample.problem_id, []).append(sample)
    failed = {s.problem_id for rows in (*heard.values(), *silent.values()) for s in rows if s.status == "error"}
    problems = [
        Problem(name, tuple(rows), rate(silent[name]) if name in silent else None)
        for name, rows in heard.items()
        if name not in failed
    ]
    return problems, sorted(failed)


def rate(samples: Sequence[Graded]) -> float:
    """The share of samples that are right."""
    return sum(sample.correct for sample in samples) / len(samples)


def histogram(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Problems by pass rate, a row for each rate that n samples can give; for a plot."""
    counts = Counter((len(p.right), len(p.samples)) for p in problems)
    largest = max(n for _, n in counts)
    for right in range(largest + 1):
        counts.setdefault((right, largest), 0)
    return [
        {"pass_rate": round(right / n, 4), "problems": count, "category": category(right, n)}
        for (right, n), count in sorted(counts.items(), key=lambda item: item[0][0] / item[0][1])
    ]


def categories(problems: Sequence[Problem]) -> dict[str, dict[str, float]]:
    """Count and share of each category."""
    counts = Counter(problem.category for problem in problems)
    return {c: {"problems": counts[c], "share": round(counts[c] / len(problems), 4)} for c in CATEGORIES}
