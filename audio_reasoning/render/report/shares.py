"""Shares as the report shows them: in percent, with their 95 % intervals."""

from audio_reasoning.metrics.stats import wilson
from audio_reasoning.render.comparison import with_range
from audio_reasoning.render.tables import DASH


def of_questions(value: float | None, n: int) -> str:
    """A share of so many questions with Wilson's interval, as `score` writes it; a dash without any question.

    >>> of_questions(0.5, 100), of_questions(None, 100), of_questions(0.5, 0)
    ('50.0 (40.4–59.6)', '–', '–')
    """
    return DASH if value is None or n < 1 else with_range(value, *wilson(value * n, n))
