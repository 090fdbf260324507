"""Shares as the page writes them: in percent, with their interval beside them, and a dash where there is none."""

from stages.evaluate.stats import wilson
from stages.evaluate.tables import percent, percent_range
from stages.report.node import Node

NONE = "–"


def share(value: float | None) -> str:
    """A share in percent, or a dash.

    >>> share(0.1234), share(None)
    ('12.3', '–')
    """
    return NONE if value is None else percent(value)


def with_range(value: float | None, low: float | None, high: float | None) -> str:
    """A share in percent with its 95 % interval, as far as they are known.

    >>> with_range(0.55, 0.515, 0.584), with_range(0.55, None, None), with_range(None, None, None)
    ('55.0 (51.5–58.4)', '55.0', '–')
    """
    return (
        share(value)
        if value is None or low is None or high is None
        else f"{percent(value)} ({percent_range(low, high)})"
    )


def accuracy(row: Node, key: str = "acc") -> str:
    """The share under `key` of a row that holds its interval as `low` and `high`; any of them may be null."""
    return with_range(row.number_or_none(key), row.number_or_none("low"), row.number_or_none("high"))


def of_questions(value: float | None, n: int) -> str:
    """A share of so many questions with Wilson's interval, as `score` writes it; a dash without any question.

    >>> of_questions(0.5, 100), of_questions(None, 100), of_questions(0.5, 0)
    ('50.0 (40.4–59.6)', '–', '–')
    """
    return NONE if value is None or n < 1 else with_range(value, *wilson(min(value * n, n), n))
