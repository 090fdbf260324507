"""Orders of a question's choices: pure, so that what was asked can be told again from the seed."""

from hashlib import sha256
from math import factorial

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.records import Question


def generator(question: Question, seed: int) -> np.random.Generator:
    """A random generator of this question's own: what it draws does not depend on the other questions."""
    return np.random.default_rng([seed, int.from_bytes(sha256(question.id.encode()).digest()[:8])])


def asked_orders(question: Question, seed: int, count: int) -> list[tuple[int, ...]]:
    """`count` orders to ask a question's choices in: element p of an order is the index of the choice at place p.

    The questions' own order is not among them. First come the turns of a random circle of the choices: together
    with the own order they put each choice in each place once, so a liking for a choice cannot pass for a liking
    for a place (as MMBench's CircularEval has it, arXiv 2307.06281). Then come random ones. All are distinct as
    far as there are enough (n choices have n! - 1); then they start again. A smaller `count` gives the same first ones.
    """
    n = len(question.choices)
    rng = generator(question, seed)
    distinct = min(count, factorial(n) - 1)
    circle = rng.permutation(n)
    place = np.argsort(circle)
    orders = [_plain(circle[(place + turn) % n]) for turn in range(1, n)][:distinct]
    while len(orders) < distinct:
        order = _plain(rng.permutation(n))
        if order != tuple(range(n)) and order not in orders:
            orders.append(order)
    return [orders[index % distinct] for index in range(count)]


def _plain(order: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(index) for index in order)
