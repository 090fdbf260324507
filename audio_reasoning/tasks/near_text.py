"""Near-duplicate texts: questions that say the same but for a word, an order of choices, case or punctuation.

The likeness of two questions is the share of runs of characters that they have in common (Jaccard), exact over all
pairs: the texts of a benchmark are few enough to need no sketch. What many clips' questions say alike is a form that
questions are written by, and tells nothing; likewise GPT-3's authors passed over what more than ten documents held
(Brown et al., "Language Models are Few-Shot Learners", arXiv 2005.14165, appendix C).
"""

import functools
import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RUN = 5  # characters
_ROWS = 1024  # texts that are compared at a time, which bounds memory


@dataclass(frozen=True)
class Text:
    """A question's text, the clip (or whatever counts as one) that it asks about, and the source that has it.

    Without a source it is compared with all.
    """

    question: str
    choices: tuple[str, ...]
    group: str
    source: str | None = None


@functools.lru_cache(maxsize=100_000)
def _runs(text: str) -> frozenset[str]:
    words = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
    padded = f" {words} "
    return frozenset(padded[start : start + _RUN] for start in range(max(1, len(padded) - _RUN + 1)))


def runs(text: Text) -> frozenset[str]:
    """The runs of characters in question and choices, none across two of them: their order counts for nothing."""
    return frozenset().union(_runs(text.question), *map(_runs, text.choices))


def likeness(a: Text, b: Text) -> float:
    """The share of runs that both have, of those that either has: 1 for the same words, 0 for nothing in common."""
    ours, theirs = runs(a), runs(b)
    return len(ours & theirs) / len(ours | theirs)


def near_duplicates(
    texts: Sequence[Text], known: Sequence[Text], least: float, common: int
) -> Iterator[tuple[int, int, float]]:
    """(index of a text, index of the known one that is most like it, how much), for texts at least that much alike.

    Texts of one source are not compared: a source asks different clips in the same words. And a text that is like
    known ones of more than `common` groups, or the other way round, is a form: passed over.
    """
    alike = [
        (index, other, share)
        for index, other, share in _alike(texts, known, least)
        if texts[index].source is None or texts[index].source != known[other].source
    ]
    told_of: defaultdict[int, set[str]] = defaultdict(set)
    told_by: defaultdict[int, set[str]] = defaultdict(set)
    for index, other, _ in alike:
        told_of[index].add(known[other].group)
        told_by[other].add(texts[index].group)
    best: dict[int, tuple[int, float]] = {}
    for index, other, share in alike:
        is_form = len(told_of[index]) > common or len(told_by[other]) > common
        if not is_form and share > best.get(index, (0, 0.0))[1]:
            best[index] = other, share
    for index in sorted(best):
        yield index, *best[index]


def _alike(texts: Sequence[Text], known: Sequence[Text], least: float) -> Iterator[tuple[int, int, float]]:
    columns: dict[str, int] = {}
    theirs = [runs(text) for text in known]
    for of_one in theirs:
        for run in of_one:
            columns.setdefault(run, len(columns))
    if not columns:
        return
    by_run = _table(theirs, columns).T.tocsr()
    their_sizes = _sizes(theirs)
    for start in range(0, len(texts), _ROWS):
        ours = [runs(text) for text in texts[start : start + _ROWS]]
        both = (_table(ours, columns) @ by_run).tocoo()
        share = both.data / (_sizes(ours)[both.row] + their_sizes[both.col] - both.data)
        for at in np.flatnonzero(share >= least):
            yield start + int(both.row[at]), int(both.col[at]), float(share[at])


def _sizes(found: Sequence[frozenset[str]]) -> NDArray[np.float32]:
    return np.array([len(of_one) for of_one in found], np.float32)


def _table(found: Sequence[frozenset[str]], columns: dict[str, int]) -> Any:
    """Which runs of `columns` each text has: a sparse table of ones."""
    from scipy.sparse import csr_array

    places = [[place for run in of_one if (place := columns.get(run)) is not None] for of_one in found]
    starts = np.cumsum([0, *map(len, places)])
    flat = np.fromiter(itertools.chain.from_iterable(places), np.int32, starts[-1])
    return csr_array((np.ones(len(flat), np.float32), flat, starts), shape=(len(found), len(columns)))
