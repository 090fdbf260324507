"""Dividing questions: into splits by shares, and into folds, so that no clip straddles and sub-categories balance."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.mmar import Split
from audio_reasoning.tasks.mmar_schema import SPLITS
from audio_reasoning.tasks.params import Shares

PARTS = 20  # that shares are made up of: each is met to 2.5 points, where there are as many groups


def grouped_folds(
    groups: Sequence[str], strata: Sequence[str], folds: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(the others, this fold), as indices, for each of `folds` parts about as large.

    A group is whole in one fold; strata are as even over the folds as groups allow, and left alone where each is rarer
    than there are folds. Raises ValueError for fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, and most sources need it not

    if len(set(groups)) < folds:
        raise ValueError(f"{len(set(groups))} groups for {folds} folds")
    even = max(Counter(strata).values()) >= folds
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        yield from splitter.split(np.zeros(len(groups)), list(strata) if even else [""] * len(groups), list(groups))


def linked(groups: Sequence[str], clips: Sequence[str]) -> list[str]:
    """A name for each question: alike where questions share a group or a clip, directly or over others.

    >>> linked(["a", "b", "b", "c"], ["1", "1", "2", "3"])
    ['0', '0', '0', '1']
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.unique(list(groups), return_inverse=True)[1]
    columns = np.unique(list(clips), return_inverse=True)[1] + rows.max() + 1
    size = int(columns.max()) + 1
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    return [str(name) for name in connected_components(edges, directed=False)[1][rows]]


def divide(groups: Sequence[str], strata: Sequence[str], shares: Shares) -> list[Split]:
    """The split of each question: whole groups, strata about as frequent in each, the same whenever it is called.

    Raises UserError for fewer groups than splits that are asked for.
    """
    wanted = {split: share for split in SPLITS if (share := getattr(shares, split))}
    there = len(set(groups))
    if there < len(wanted):
        raise UserError(
            f"{there} group(s) of questions cannot be divided into {' and '.join(wanted)} without one of them in two; "
            "name one split, or add clips"
        )
    parts = min(PARTS, there)
    of_part = _allotted(wanted, parts)
    if parts == 1:
        return of_part * len(groups)
    splits: list[Split] = [of_part[0]] * len(groups)
    for split, (_, members) in zip(of_part, grouped_folds(groups, strata, parts, shares.seed), strict=True):
        for index in members:
            splits[index] = split
    return splits


def _allotted(wanted: dict[Split, float], parts: int) -> list[Split]:
    """The split of each part: one for each split at least, each further one where most is lacking."""
    counts = dict.fromkeys(wanted, 1)
    for _ in range(parts - len(wanted)):
        counts[max(wanted, key=lambda split: wanted[split] * parts - counts[split])] += 1
    return [split for split, count in counts.items() for _ in range(count)]
