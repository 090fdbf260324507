"""Whether the place of a choice decides: what the arm `permuted` tells, by number of choices.

Questions with few choices have few orders, and more right guesses; so nothing here adds up places of questions with
different numbers of choices. Each order of a question counts once, its own order included: together they put the
choices into each place about equally often, so that a liking for a choice is not taken for one for a place.

What is picked in one order of a question tells much of what is picked in the others, and questions about one clip are
alike. So neither the interval of `consistency` nor the test of places takes picks for independent: both go by clips.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.conditions.orders import asked_orders
from audio_reasoning.core.records import Question, Response
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.stats import TIE, mean_interval

MIN_EXPECTED = 5  # picks a place: with fewer, a single pick would move Pearson's statistic more than a liking elsewhere
PERMUTED_AT_ONCE = 100  # which keeps memory near 10 MB for a thousand clips


@dataclass(frozen=True)
class Asked:
    """A question in all its orders, each once, its own order first.

    `right` are the places of the right answer and `picked` those of the chosen one, None without an answer, both
    counted from 0; `chosen` are the choices themselves. `group` is the question's clip.
    """

    group: str
    choices: int
    right: tuple[int, ...]
    picked: tuple[int | None, ...]
    chosen: tuple[int | None, ...]


def asked_in_orders(question: Question, ordinary: Response, permuted: Sequence[Response], seed: int) -> Asked:
    """Put a question's answer in its own order and those in the orders that `seed` gives side by side.

    `permuted` are in the order of their sample_index, which counts the orders from 0.
    """
    orders = [tuple(range(len(question.choices))), *asked_orders(question, seed, len(permuted))]
    once: dict[tuple[int, ...], int | None] = {}
    for order, response in zip(orders, [ordinary, *permuted], strict=True):
        once.setdefault(order, response.answer)
    return Asked(
        group=question.group,
        choices=len(question.choices),
        right=tuple(order.index(question.answer) for order in once),
        picked=tuple(None if chosen is None else order.index(chosen) for order, chosen in once.items()),
        chosen=tuple(once.values()),
    )


def shares(asked: Sequence[Asked], method: Method) -> dict[str, float]:
    """The shares of questions with the same choice in all orders, with its 95 % interval, and without one in some.

    A question that has no answer in an order is `unanswered`, and then not consistent.
    """
    same = [float(len(set(one.chosen)) == 1 and None not in one.chosen) for one in asked]
    low, high = mean_interval(same, [one.group for one in asked], method.resamples, method.seed)
    return {
        "consistency": fmean(same),
        "unanswered": fmean(None in one.chosen for one in asked),
        "consistency_low": low,
        "consistency_high": high,
    }


def consistency_rows(asked: Sequence[Asked], method: Method) -> list[dict[str, Any]]:
    """`shares`, by number of choices; `orders` is how many each question was asked in, its own order included."""
    return [
        {"choices": choices, "n": len(some), "orders": len(some[0].right), **shares(some, method)}
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


def place_test(asked: Sequence[Asked], method: Method) -> dict[str, Any]:
    """A permutation test of the picks in each place against equal shares of them.

    Without a liking for places, the places of a clip's picks could as well have any other labels. So in each of
    `method.resamples` permutations every clip has its places relabelled at random, all orders and questions of a clip
    alike: p is the share of these permutations, and of what was seen, with a statistic at least as large (Phipson and
    Smyth 2010, https://doi.org/10.2202/1544-6115.1585). A model that holds to some place in all orders of a question,
    to another one in the next, is thus not taken for one that likes a place; the chi-square distribution, for which all
    picks are independent, would call it significant.

    `statistic` is Pearson's, added over the numbers of choices; under independence it would have `freedom` degrees of
    freedom. Numbers of choices with fewer than MIN_EXPECTED picks expected a place are left out, and their picks
    counted in `left_out`; `p` is None if that leaves nothing.
    """
    clips = {group: index for index, group in enumerate(dict.fromkeys(one.group for one in asked))}
    counts = [_picks(some, clips) for some in _by_choices(asked).values()]
    tested = [picks for picks in counts if picks.sum() >= MIN_EXPECTED * picks.shape[1]]
    statistic = float(sum(_pearson(picks.sum(axis=0)) for picks in tested))
    return {
        "statistic": statistic,
        "freedom": sum(picks.shape[1] - 1 for picks in tested),
        "p": _permutation_p(tested, statistic, method) if tested else None,
        "picks": sum(int(picks.sum()) for picks in tested),
        "left_out": sum(int(picks.sum()) for picks in counts) - sum(int(picks.sum()) for picks in tested),
    }


def _picks(asked: Sequence[Asked], clips: dict[str, int]) -> NDArray[np.int64]:
    """How often each place was picked about each clip, in questions with one number of choices; [clips, places]."""
    picks = np.zeros((len(clips), asked[0].choices), dtype=np.int64)
    for one in asked:
        for place in one.picked:
            if place is not None:
                picks[clips[one.group], place] += 1
    return picks


def _pearson(picks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pearson's statistic of picks [..., places] against equal shares; [...]."""
    expected = picks.sum(axis=-1, keepdims=True) / picks.shape[-1]
    statistic: NDArray[np.float64] = (np.square(picks - expected) / expected).sum(axis=-1)
    return statistic


def _permutation_p(tested: Sequence[NDArray[np.int64]], seen: float, method: Method) -> float:
    """The p of `place_test`. One key a clip and place orders the places of all of the clip's questions."""
    clips, places = len(tested[0]), max(picks.shape[1] for picks in tested)
    rng = np.random.default_rng(method.seed)
    beyond = 0
    for start in range(0, method.resamples, PERMUTED_AT_ONCE):
        keys = rng.random((min(PERMUTED_AT_ONCE, method.resamples - start), clips, places))
        statistics = np.sum([_pearson(_relabelled(picks, keys).sum(axis=1)) for picks in tested], axis=0)
        beyond += int((statistics >= seen * (1 - TIE)).sum())
    return (beyond + 1) / (method.resamples + 1)


def _relabelled(picks: NDArray[np.int64], keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """Picks [clips, places] under each permutation of `keys` [permutations, clips, at least as many places]."""
    present = picks.any(axis=1)  # the clips that have questions with so many choices
    order = keys[:, present, : picks.shape[1]].argsort(axis=-1)
    return np.take_along_axis(picks[present][np.newaxis], order, axis=-1)


def _by_choices(asked: Sequence[Asked]) -> dict[int, list[Asked]]:
    groups: dict[int, list[Asked]] = defaultdict(list)
    for one in asked:
        groups[one.choices].append(one)
    return dict(sorted(groups.items()))
