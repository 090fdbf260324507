"""Multiple-choice questions made from annotations: pure functions, the same whenever they are called.

What a set of choices must not do is tell its answer. Three things see to that: each place holds the right choice as
often as any other (`arranged`); each choice of a closed list is right as often as any other (`evened`, `levelled`); and
wrong choices are drawn so that any choice of a set could have been the right one (`drawn`).
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

_TRIES = 200  # of a draw, before there are thought to be none


@dataclass(frozen=True)
class Draft:
    """A question whose choices are not yet in order.

    `kind` is what it asks, such as "tempo": drafts of a kind are balanced together. `right` and `wrong` are all
    different up to case and outer spaces.
    """

    id: str
    kind: str
    question: str
    right: str
    wrong: tuple[str, ...]

    def __post_init__(self) -> None:
        choices = [choice.strip().casefold() for choice in (self.right, *self.wrong)]
        if len(set(choices)) < len(choices) or len(choices) < 2 or not all(choices):
            raise ValueError(f"{self.id}: needs two or more choices, all different, found {self.right!r}, {self.wrong}")


def arranged(drafts: Sequence[Draft], seed: int) -> dict[str, list[str]]:
    """The choices of each draft in order, by its id.

    Among drafts of one kind with as many choices, no place holds the right one more than once more than another.
    """
    alike: dict[tuple[str, int], list[Draft]] = defaultdict(list)
    for draft in sorted(drafts, key=lambda draft: _hash(seed, draft.id)):
        alike[draft.kind, len(draft.wrong) + 1].append(draft)
    choices = {}
    for (_, size), of_kind in alike.items():
        for number, draft in enumerate(of_kind):
            wrong = sorted(draft.wrong)
            _rng(seed, draft.id, "order").shuffle(wrong)
            place = number % size
            choices[draft.id] = [*wrong[:place], draft.right, *wrong[place:]]
    return choices


def evened(drafts: Sequence[Draft], seed: int) -> tuple[list[Draft], list[Draft]]:
    """(kept, left out): of each kind and set of choices, as many drafts for each right choice; both in their order.

    A right choice that is rare leaves few of the others. Where one of a set's choices is never right, none is kept.
    """
    by_right: dict[tuple[str, frozenset[str]], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for draft in sorted(drafts, key=lambda draft: _hash(seed, draft.id)):
        by_right[draft.kind, frozenset({draft.right, *draft.wrong})][draft.right].append(draft.id)
    kept: set[str] = set()
    for (_, choices), ids in by_right.items():
        fewest = min(len(ids.get(choice, ())) for choice in choices)
        kept.update(name for of_one in ids.values() for name in of_one[:fewest])
    return [draft for draft in drafts if draft.id in kept], [draft for draft in drafts if draft.id not in kept]


def levelled(labels: Mapping[str, str], seed: int) -> dict[str, str]:
    """Of ids with the label that is right for each, as many of each label; labels rarer than half the median go.

    For wrong choices that are drawn from all labels: one that is seldom right would seldom be the answer where shown.
    """
    by_label: dict[str, list[str]] = defaultdict(list)
    for name in sorted(labels, key=lambda name: _hash(seed, name)):
        by_label[labels[name]].append(name)
    if not by_label:
        return {}
    enough = median(len(names) for names in by_label.values()) / 2
    common = [names for names in by_label.values() if len(names) >= enough]
    fewest = min(len(names) for names in common)
    kept = {name for names in common for name in names[:fewest]}
    return {name: label for name, label in labels.items() if name in kept}


def drawn(
    right: str,
    pool: Sequence[str],
    count: int,
    rng: random.Random,
    clash: Callable[[str, str], bool] = lambda a, b: False,
) -> tuple[str, ...] | None:
    """`count` wrong choices from `pool` such that no two of the whole set clash; None where none are found.

    All sets are as likely. Where `pool` and `clash` treat choices alike, the right one is then as likely as any other
    of its set: were wrong choices held against the right one alone, it would be the one that clashes with none.
    """
    for _ in range(_TRIES if len(pool) >= count else 0):
        chosen = [right, *rng.sample(pool, count)]
        if not any(a == b or clash(a, b) for a, b in combinations(chosen, 2)):
            return tuple(chosen[1:])
    return None


def block(number: int, size: int = 4) -> tuple[str, ...]:
    """The numbers that a count is asked among, as texts: one to four, five to eight, …; always the same for each.

    Neighbours on both sides would tell: of 1, 2, 3 and 4 the answer 1 has none below.

    >>> block(3), block(5)
    (('1', '2', '3', '4'), ('5', '6', '7', '8'))
    """
    first = (number - 1) // size * size + 1
    return tuple(str(one) for one in range(first, first + size))


def rng_of(seed: int, name: str) -> random.Random:
    """The random numbers of one question: others do not change them."""
    return _rng(seed, name, "draw")


def _rng(seed: int, name: str, use: str) -> random.Random:
    return random.Random(f"{seed} {use} {name}")


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
