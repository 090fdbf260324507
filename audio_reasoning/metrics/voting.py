"""Several samples of one question: what they are worth one by one, together, and as a confidence. Pure.

All functions start from `Votes`, one question's samples counted by choice. A sample without an answer (truncated, no
answer, failed) does not vote, but is still a sample: it counts in every denominator.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.records import Response

BINS = 10  # of the calibration, equally wide


@dataclass(frozen=True)
class Votes:
    """One question's samples: those with the right answer, those with each wrong one, and those without any."""

    right: int
    wrong: tuple[int, ...]  # per choice that got a vote, largest first
    silent: int

    @property
    def n(self) -> int:
        """All samples."""
        return self.right + sum(self.wrong) + self.silent

    @property
    def most(self) -> int:
        """The votes for the answer that most samples gave; 0 where none answered."""
        return max((self.right, *self.wrong))

    @property
    def winners(self) -> int:
        """How many answers have that many votes: more than one is a tie."""
        return (self.right, *self.wrong).count(self.most) if self.most else 0


def count_votes(responses: Sequence[Response], answer: int) -> Votes:
    """The votes of one question's samples, of which `answer` is the right choice."""
    counts = Counter(response.answer for response in responses)
    silent, right = counts.pop(None, 0), counts.pop(answer, 0)
    return Votes(right, tuple(sorted(counts.values(), reverse=True)), silent)


def vote_score(votes: Votes) -> float:
    """Whether the majority is right, from 0 to 1: winners of a tie share it, and no votes at all are wrong.

    >>> vote_score(Votes(right=3, wrong=(2,), silent=1)), vote_score(Votes(2, (2,), 0)), vote_score(Votes(0, (), 4))
    (1.0, 0.5, 0.0)
    """
    return 1 / votes.winners if votes.right and votes.right == votes.most else 0.0


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that at least one of `k` of the `n` samples is right: 1 - C(n - right, k) / C(n, k).

    Unbiased for k draws from the model (Chen et al. 2021, https://arxiv.org/abs/2107.03374, section 2.1).
    Raises ValueError unless 1 <= k <= n and 0 <= right <= n.

    >>> pass_at_k(4, 1, 1), pass_at_k(4, 1, 2), pass_at_k(4, 1, 4)
    (0.25, 0.5, 1.0)
    """
    if not (1 <= k <= n and 0 <= right <= n):
        raise ValueError(f"pass@{k} of {right} right ones among {n}")
    return 1 - comb(n - right, k) / comb(n, k)


@cache
def vote_curve(votes: Votes) -> tuple[float, ...]:
    """The expected `vote_score` of k samples drawn from these without replacement, for k = 1 … n. Exact.

    A multivariate hypergeometric expectation, summed by generating functions instead of over all draws. Say that the
    right answer gets m votes. Then the draws in which no other answer gets more are the coefficients of a product
    over the other answers of sum_{a <= m} C(wrong, a) x^a and, of the silent samples, of (1 + x)^silent. Ties, where
    a = m, are counted apart, because they share. Every term is positive, so floating point loses nothing to speak of.
    """
    n = votes.n
    draws = np.zeros(n + 1)  # [k]: draws of k samples, each weighted by the score of its vote
    for m in range(1, votes.right + 1):
        ways = np.zeros((len(votes.wrong) + 1, n + 1))  # [ties][x]: draws of x samples, none of them right
        ways[0, : votes.silent + 1] = [comb(votes.silent, x) for x in range(votes.silent + 1)]
        for wrong in votes.wrong:
            before, ways = ways, np.zeros_like(ways)
            for a in range(min(wrong, m) + 1):
                tie = int(a == m)
                ways[tie:, a:] += float(comb(wrong, a)) * before[: len(ways) - tie, : n + 1 - a]
        shares = 1 / np.arange(1, len(ways) + 1)
        draws[m:] += float(comb(votes.right, m)) * (shares @ ways)[: n + 1 - m]
    return tuple(float(draws[k]) / comb(n, k) for k in range(1, n + 1))


@dataclass(frozen=True)
class Bin:
    """Questions whose agreement lies in (low, high]: how many, their mean agreement, and the share the vote gets."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def calibration(questions: Sequence[Votes], bins: int = BINS) -> list[Bin]:
    """Agreement against accuracy in equally wide bins, empty ones left out.

    Agreement is the share of all samples that gave the voted answer, unanswered ones included below the line; the
    first bin also holds agreement 0, where nothing was answered.
    """
    by_bin: dict[int, list[Votes]] = {}
    for votes in questions:
        by_bin.setdefault(_bin(votes, bins), []).append(votes)
    return [
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            n=len(inside),
            confidence=sum(votes.most / votes.n for votes in inside) / len(inside),
            accuracy=sum(map(vote_score, inside)) / len(inside),
        )
        for index, inside in sorted(by_bin.items())
    ]


def _bin(votes: Votes, bins: int) -> int:
    # In integers, so that 7 of 10 falls into (0.6, 0.7] and not, by a rounding error, above it.
    return max(0, -(-votes.most * bins // votes.n) - 1)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean distance of confidence and accuracy, bins weighted by their questions.

    Naeini, Cooper and Hauskrecht 2015 (https://doi.org/10.1609/aaai.v29i1.9602); in the form of Guo et al. 2017
    (https://arxiv.org/abs/1706.04599, equation 3).
    """
    return sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / sum(b.n for b in bins)


def calibration_gaps(questions: Sequence[Votes], bins: int = BINS) -> NDArray[np.float64]:
    """What each question adds to each bin's distance of accuracy and agreement; shape [bins, questions].

    The calibration error is the sum over the bins of the distance of their row's mean from zero, whatever the
    questions: which makes it quick to resample.
    """
    gaps = np.zeros((bins, len(questions)))
    for index, votes in enumerate(questions):
        gaps[_bin(votes, bins), index] = vote_score(votes) - votes.most / votes.n
    return gaps


def brier_losses(questions: Sequence[Votes]) -> list[float]:
    """Each question's squared distance of agreement and outcome (Brier 1950); a tie's is its mean over who wins it.

    The Brier score is their mean.
    """

    def one(votes: Votes) -> float:
        confidence, score = votes.most / votes.n, vote_score(votes)
        return score * (1 - confidence) ** 2 + (1 - score) * confidence**2

    return [one(votes) for votes in questions]
