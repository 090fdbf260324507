"""Whether the place of a choice decides: what the arm `permuted` tells, by number of choices.

Questions with few choices have few orders, and more right guesses; so nothing here adds up places of questions with
different numbers of choices. Each order of a question counts once, its own order included: together they put the
choices into each place about equally often, so that a liking for a choice is not taken for one for a place.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from stages.common.records import Question, Response
from stages.infer.orders import asked_orders

MIN_EXPECTED = 5  # picks a place, below which Pearson's statistic does not follow the chi-square distribution


@dataclass(frozen=True)
class Asked:
    """A question in all its orders, each once, its own order first.

    `right` are the places of the right answer and `picked` those of the chosen one, None without an answer, both
    counted from 0; `chosen` are the choices themselves.
    """

    choices: int
    right: tuple[int, ...]
    picked: tuple[int | None, ...]
    chosen: tuple[int | None, ...]


def asked_in_orders(question: Question, own: Response, permuted: Sequence[Response], seed: int) -> Asked:
    """Put a question's answer in its own order and those in the orders that `seed` gives side by side.

    `permuted` are in the order of their sample_index, which counts the orders from 0.
    """
    orders = [tuple(range(len(question.choices))), *asked_orders(question, seed, len(permuted))]
    once: dict[tuple[int, ...], int | None] = {}
    for order, response in zip(orders, [own, *permuted], strict=True):
        once.setdefault(order, response.answer)
    return Asked(
        choices=len(question.choices),
        right=tuple(order.index(question.answer) for order in once),
        picked=tuple(None if chosen is None else order.index(chosen) for order, chosen in once.items()),
        chosen=tuple(once.values()),
    )


# What of a question is told: whether it has the same choice in all orders, and whether an order has no answer (which
# is then not consistent).
SHARES: dict[str, Callable[[Asked], bool]] = {
    "consistency": lambda asked: len(set(asked.chosen)) == 1 and None not in asked.chosen,
    "unanswered": lambda asked: None in asked.chosen,
}


def consistency_rows(asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """The shares of questions, by number of choices; `orders` is how many each was asked in, its own included."""
    return [
        {
            "choices": choices,
            "n": len(some),
            "orders": len(some[0].right),
            **{key: fmean(is_so(one) for one in some) for key, is_so in SHARES.items()},
        }
        for choices, some in _by_choices(asked).items()
    ]


def place_rows(asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """By number of choices and place (from 1): accuracy where the right answer stands there, and share of picks.

    `right_here` and `picks` count; `acc` is None where no right answer stood, `share` where nothing was picked.
    """
    rows = []
    for choices, some in _by_choices(asked).items():
        pairs = [pair for one in some for pair in zip(one.right, one.picked, strict=True)]
        answered = sum(picked is not None for _, picked in pairs)
        for place in range(choices):
            here = [picked == place for right, picked in pairs if right == place]
            picks = sum(picked == place for _, picked in pairs)
            rows.append(
                {
                    "choices": choices,
                    "place": place + 1,
                    "right_here": len(here),
                    "acc": sum(here) / len(here) if here else None,
                    "picks": picks,
                    "share": picks / answered if answered else None,
                    "expected": 1 / choices,
                }
            )
    return rows


def place_test(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pearson's chi-square test of `place_rows` against equal shares of picks in each place.

    The statistics of questions with different numbers of choices are added, and so are their degrees of freedom.
    Those with fewer than MIN_EXPECTED picks expected a place are left out, and counted in `left_out`; `p` is None
    if that leaves nothing. A model that goes by the choices alone picks each place about equally often, and more
    evenly than by chance, since the orders of a question balance each other: `p` is then too high, not too low.
    """
    from scipy.stats import chi2, chisquare  # a second, which no other module of this area needs

    counts: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        counts[row["choices"]].append(row["picks"])
    tested = [picks for choices, picks in counts.items() if sum(picks) >= MIN_EXPECTED * choices]
    statistic = sum(float(chisquare(picks).statistic) for picks in tested)
    freedom = sum(len(picks) - 1 for picks in tested)
    return {
        "statistic": statistic,
        "freedom": freedom,
        "p": float(chi2.sf(statistic, freedom)) if tested else None,
        "picks": sum(map(sum, tested)),
        "left_out": sum(map(sum, counts.values())) - sum(map(sum, tested)),
    }


def _by_choices(asked: Sequence[Asked]) -> dict[int, list[Asked]]:
    found: dict[int, list[Asked]] = defaultdict(list)
    for one in asked:
        found[one.choices].append(one)
    return dict(sorted(found.items()))
