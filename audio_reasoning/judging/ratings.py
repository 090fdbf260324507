"""Ratings: read strictly from a judge's reply, put together by MMAR-Rubrics' two ways of trimming, and compared.

A rating is five items, 1 (met) or 0; its value is their mean. An answer's row holds the value of each of its
ratings, None where one failed; a wrong answer's are all 0.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from audio_reasoning.core.shown import printable
from audio_reasoning.judging.rubric_file import ITEMS

Rating = tuple[int, ...]
Row = Sequence[float | None]


@dataclass(frozen=True)
class Reply:
    """A judge's rating, and what it says of each item, on one line; empty where it says nothing."""

    rating: Rating
    why: tuple[str, ...]


def parse_reply(text: str) -> Reply:
    """The five items in a judge's reply: one JSON object, at most fenced as code, after any thinking of its own.

    >>> parse_reply('{"items": [' + ", ".join(f'{{"item": {n}, "met": 1}}' for n in range(1, 6)) + "]}").rating
    (1, 1, 1, 1, 1)

    Raises ValueError for anything else: other text, another number of items, another order, values but 0 and 1.
    """
    reply = text.rpartition("</think>")[2].strip()
    fenced = re.fullmatch(r"```(?:json)?\n(.*)\n```", reply, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else reply)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {reply[:80]!r}") from None
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) != ITEMS:
        raise ValueError(f"not {ITEMS} items: {reply[:80]!r}")
    rating = tuple(_met(item, number) for number, item in enumerate(items, start=1))
    return Reply(rating, tuple(_why(item) for item in items))


def _why(item: dict[str, Any]) -> str:
    why = item.get("why")
    return printable(why) if isinstance(why, str) else ""


def _met(item: Any, number: int) -> int:
    if not isinstance(item, dict) or item.get("item") != number:
        raise ValueError(f"entry {number} is not item {number}: {str(item)[:80]}")
    met = item.get("met")
    if type(met) is not int or met not in (0, 1):  # true is an int to isinstance
        raise ValueError(f"item {number} must be 0 or 1, found {json.dumps(met)[:40]}")
    return met


def trimmed_mean(values: Sequence[float]) -> float:
    """The mean without the lowest and the highest value, of two or one value the plain mean.

    >>> round(trimmed_mean([0.2, 1.0, 0.6, 0.8, 0.4]), 6), trimmed_mean([0.0, 1.0])
    (0.6, 0.5)
    """
    kept = sorted(values)[1:-1] if len(values) > 2 else values
    return fmean(kept)


def failed_as(value: float, rows: Sequence[Row]) -> list[list[float]]:
    """The rows, with `value` in the place of failed ratings: 0 and 1 bound whatever the rows would have said."""
    return [[value if known is None else known for known in row] for row in rows]


def per_item(rows: Sequence[Row]) -> list[float | None]:
    """Each answer's score as MMAR's script takes it: the trimmed mean of its ratings.

    Failed ratings are left out; an answer that has no other gets None.
    """
    known = [[value for value in row if value is not None] for row in rows]
    return [trimmed_mean(values) if values else None for values in known]


def per_run(rows: Sequence[Row]) -> float | None:
    """A run's score as MMAR's website words it: the trimmed mean of the whole run's mean under each rater.

    Failed ratings are left out of their rater's mean; None where no rating is left.
    """
    raters = [[value for value in column if value is not None] for column in zip(*rows, strict=True)]
    means = [fmean(values) for values in raters if values]
    return trimmed_mean(means) if means else None


def agreement(ratings: Sequence[Sequence[Rating | None]]) -> tuple[float | None, float | None]:
    """Fleiss' kappa over all items of the answers that every rater rated, and the share of items rated alike by all.

    Both are None for fewer than two raters or no such answer; kappa also where every rating is the same, since
    chance explains that too (Fleiss 1971, https://doi.org/10.1037/h0031619).
    """
    complete = [row for row in ratings if len(row) > 1 and None not in row]
    votes = [sum(item) for row in complete for item in zip(*(r for r in row if r is not None), strict=True)]
    if not votes:
        return None, None
    raters = len(complete[0])
    unanimous = fmean(vote in (0, raters) for vote in votes)
    if sum(votes) in (0, raters * len(votes)):
        return None, unanimous
    from statsmodels.stats.inter_rater import fleiss_kappa  # takes a second to import

    return float(fleiss_kappa([[vote, raters - vote] for vote in votes])), unanimous
