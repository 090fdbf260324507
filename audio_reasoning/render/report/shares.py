"""Shares and their differences as the page writes them: with their interval beside them, a dash for what is not."""

from audio_reasoning.metrics.stats import wilson
from audio_reasoning.render.report.node import Node
from audio_reasoning.render.tables import DASH, percent, percent_range, points, points_range


def with_range(value: float | None, low: float | None, high: float | None) -> str:
    """A share in percent with its 95 % interval, as far as they are known.

    >>> with_range(0.55, 0.515, 0.584), with_range(0.55, None, None), with_range(None, None, None)
    ('55.0 (51.5–58.4)', '55.0', '–')
    """
    known = value is not None and low is not None and high is not None
    return f"{percent(value)} ({percent_range(low, high)})" if known else percent(value)


def accuracy(row: Node, key: str = "acc") -> str:
    """The share under `key` of a row that holds its interval as `low` and `high`; any of them may be null."""
    return with_range(row.number_or_none(key), row.number_or_none("low"), row.number_or_none("high"))


def bounded(row: Node, key: str) -> str:
    """The share under `key` of a row that holds its interval as `<key>_low` and `<key>_high`; any may be null."""
    return with_range(*(row.number_or_none(name) for name in (key, f"{key}_low", f"{key}_high")))


def gain(row: Node) -> str:
    """A comparison's difference in percentage points with its 95 % interval, as in +7.6 (+3.7 to +11.6)."""
    return f"{points(row.number('difference'))} ({points_range(row.number('low'), row.number('high'))})"


def of_questions(value: float | None, n: int) -> str:
    """A share of so many questions with Wilson's interval, as `score` writes it; a dash without any question.

    >>> of_questions(0.5, 100), of_questions(None, 100), of_questions(0.5, 0)
    ('50.0 (40.4–59.6)', '–', '–')
    """
    return DASH if value is None or n < 1 else with_range(value, *wilson(value * n, n))
