"""Intervals and paired tests for accuracies.

Two runs on the same questions are compared question by question, which sees differences about half the
size that two independent accuracies could show (Miller 2024, https://arxiv.org/abs/2411.00640). Questions about
one clip are not independent, so what is said of a difference goes by clips: its interval resamples them, its p swaps
the runs on whole ones. Wilson's interval of one accuracy does not: it takes questions for independent, and is a little
too narrow where many share a clip. docs/statistics.md tells which is used where.

SciPy and statsmodels have no mid-p of McNemar's test and no test of equivalence by cluster. Wilson's interval and the
adjustments of Holm and of Benjamini and Hochberg they have, but importing statsmodels or `scipy.stats` takes as long as
a whole comparison, so they are written out here. The tests hold every function against theirs.
"""

from collections.abc import Sequence
from itertools import product
from math import comb, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audio_reasoning.core.records import Comparison

LEVEL = 0.95
ALPHA = 0.05  # an adjusted p below it is called significant
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
POWER = 0.8
CHUNK = 1_000  # resamples drawn at once, which keeps memory near 10 MB for a thousand groups
TIE = 1e-9  # sums of scores that are nearer than this are equal, whatever the order of adding


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion (1927), in fractions of one.

    `successes` may be fractional: the sum of per-question means of several samples, which rounding may put a hair above
    `n`. Raises ValueError for any other number that is no part of `n`.

    >>> low, high = wilson(0, 10)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.278)
    """
    if n < 1 or not 0 <= successes <= n * (1 + TIE):
        raise ValueError(f"{successes} successes of {n}")
    share = min(1.0, successes / n)
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """Two-sided mid-p value of McNemar's exact test on the questions that one run alone got right.

    The mid-p variant is neither as cautious as the exact test nor as lax as the chi-square one
    (Fagerland, Lydersen and Laake 2013, https://doi.org/10.1186/1471-2288-13-91).

    >>> mcnemar_mid_p(0, 0), mcnemar_mid_p(0, 5)
    (1.0, 0.03125)
    """
    n, fewer = int(only_a + only_b), int(min(only_a, only_b))  # NumPy's integers would overflow below
    # 2 P(X <= fewer) - P(X = fewer) for X ~ Binomial(n, 1/2), exact in integers until the division.
    tail = 2 * sum(comb(n, k) for k in range(fewer)) + comb(n, fewer)
    return tail / (1 << n)


def bootstrap_differences(
    differences: ArrayLike, groups: Sequence[str], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Mean differences under a cluster bootstrap that draws whole groups with replacement; shape [resamples]."""
    means: NDArray[np.float64] = bootstrap_means([differences], groups, resamples, seed)[0]
    return means


def bootstrap_means(rows: Sequence[ArrayLike], groups: Sequence[str], resamples: int, seed: int) -> NDArray[np.float64]:
    """The same for several rows of values of the same questions, all resampled alike; shape [rows, resamples]."""
    sums = [_group_sums(row, groups)[0] for row in rows]
    sizes = _group_sums(rows[0], groups)[1]
    rng = np.random.default_rng(seed)
    means = np.empty((len(rows), resamples))
    for start in range(0, resamples, CHUNK):
        drawn = rng.integers(len(sizes), size=(min(CHUNK, resamples - start), len(sizes)))
        drawn_sizes = sizes[drawn].sum(axis=1)
        for of_row, row in zip(means, sums, strict=True):
            of_row[start : start + CHUNK] = row[drawn].sum(axis=1) / drawn_sizes
    return means


def percentile_interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of resampled figures."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def at_least_wilson(drawn: NDArray[np.float64], successes: float, n: int) -> tuple[float, float]:
    """The percentile interval of resampled shares, and at least Wilson's: what is alike everywhere never varies."""
    low, high = percentile_interval(drawn)
    exact = wilson(successes, n)
    return min(low, exact[0]), max(high, exact[1])


def mean_interval(
    values: Sequence[float], groups: Sequence[str], resamples: int, seed: int, n: int | None = None
) -> tuple[float, float]:
    """The 95 % interval of a mean of scores in [0, 1]: of a bootstrap over groups, and at least Wilson's.

    `n` is the number of questions, if some have several values. One group alone tells nothing: (0, 1).

    >>> low, high = mean_interval([0.0] * 20, [str(clip) for clip in range(20)], 1_000, 0)
    >>> low, round(high, 3)
    (0.0, 0.161)
    """
    if len(set(groups)) < 2:
        return 0.0, 1.0
    n = n or len(values)
    drawn = bootstrap_differences(values, groups, resamples, seed)
    return at_least_wilson(drawn, sum(values) * (n / len(values)), n)


def sign_flip_p(differences: ArrayLike, groups: Sequence[str], resamples: int, seed: int) -> float:
    """Two-sided p of the randomisation test that swaps the two runs on whole groups.

    If the runs were alike, every group's sum of differences could as well have the other sign; p is the share of all
    such flips with a total at least as far from zero as the one that was seen. All flips are gone through where they
    are no more than `resamples`, else so many are drawn, and what was seen is counted among them (Phipson and Smyth
    2010, https://doi.org/10.2202/1544-6115.1585). The level holds with any number of groups: with five, p is never
    below 2 / 2**5.

    >>> sign_flip_p([0.5, 0.5, 0.25, 1, 1], list("abcde"), 10_000, 0)
    0.0625
    """
    sums, _ = _group_sums(differences, groups)
    sums = sums[np.abs(sums) > TIE]  # zero has no sign to flip
    seen = abs(sums.sum()) - TIE
    if 2 ** len(sums) <= resamples:
        flips = np.array([*product((-1, 1), repeat=len(sums))])
        return float((np.abs(flips @ sums) >= seen).mean())
    rng = np.random.default_rng(seed)
    beyond = 0
    for start in range(0, resamples, CHUNK):
        flips = 2 * rng.integers(2, size=(min(CHUNK, resamples - start), len(sums)), dtype=np.int8) - 1
        beyond += int((np.abs(flips @ sums) >= seen).sum())
    return (beyond + 1) / (resamples + 1)


def compare_runs(
    a: str,
    b: str,
    scores_a: Sequence[float],
    scores_b: Sequence[float],
    groups: Sequence[str],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare run `b` with run `a` on the same questions, in the same order.

    Scores are per question, in [0, 1]: 0 or 1 for one sample, the mean for several. The interval is the percentile
    interval of a paired cluster bootstrap over `groups`, and reaches at least as far as one question more going each
    way would put it: where nothing differs, there is nothing to resample. The p value is `sign_flip_p`; where every
    score is 0 or 1 it is McNemar's mid-p, or the larger of both if a group has several questions. With fewer than two
    groups nothing is known about the spread: the interval is [-1, 1] and p is 1.
    """
    first, second = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    n, clusters = len(groups), len(set(groups))
    if not len(first) == len(second) == n > 0:
        raise ValueError(f"{len(first)} scores, {len(second)} scores and {n} groups")
    differences = second - first
    difference = float(differences.mean())
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    low, high, p, method = -1.0, 1.0, 1.0, "fewer than two groups"
    if clusters > 1:
        means = bootstrap_differences(differences, groups, resamples, seed)
        low, high = percentile_interval(means)
        least = Z * least_error(n)
        low, high = max(-1.0, min(low, difference - least)), min(1.0, max(high, difference + least))
        mid_p = mcnemar_mid_p(only_a, only_b)
        if not np.isin([first, second], (0, 1)).all():
            p, method = sign_flip_p(differences, groups, resamples, seed), "randomisation p by group"
        elif clusters == n:
            p, method = mid_p, "mid-p McNemar"
        else:
            p = max(mid_p, sign_flip_p(differences, groups, resamples, seed))
            method = "larger p of mid-p McNemar and randomisation by group"
        method += f"; 95 % interval: paired bootstrap over {clusters} groups, {resamples} resamples, seed {seed}"
    return Comparison(a, b, n, difference, low, high, p, only_a, only_b, method)


def least_error(n: int) -> float:
    """The standard error of a difference if one question more went each way: what agreement alone cannot undercut."""
    return sqrt(2) / (n + 2)


def detectable(comparison: Comparison, tests: int = 1) -> float:
    """The smallest true difference that a comparison as wide as this one would call significant in 80 % of runs.

    Takes the standard error from the width of the interval, clusters included; with two runs that hardly differ,
    it is not below that of one question more going each way. The level is 5 % over `tests`: what Holm's first
    step asks of each of so many contrasts. In fractions of one, at most 1.
    """
    error = max((comparison.high - comparison.low) / (2 * Z), least_error(comparison.n))
    return min(1.0, (NormalDist().inv_cdf(1 - ALPHA / (2 * tests)) + NormalDist().inv_cdf(POWER)) * error)


def equivalence_p(scores_a: Sequence[float], scores_b: Sequence[float], groups: Sequence[str], margin: float) -> float:
    """P value of two one-sided tests (Schuirmann 1987): below 0.05, the true difference lies within ±`margin`.

    Each side is a Wald test on the paired difference with its cluster-robust standard error over `groups`, after
    adding one question that only a got right and one that only b did, each a clip of its own: the adjustment of
    Bonett and Price (2012, https://doi.org/10.3102/1076998611411915), without which a few questions on which two
    runs agree would prove them equal. For G groups the variance is multiplied by G / (G - 1), and t with G - 1
    degrees of freedom stands for the normal distribution (Cameron and Miller 2015,
    https://doi.org/10.3368/jhr.50.2.317). With fewer than two groups p is 1.
    Raises ValueError for a margin that is not between 0 and 1.
    """
    from scipy.special import stdtr  # Student's t; at the top it would slow down all who only count

    if not 0 < margin < 1:
        raise ValueError(f"margin {margin}")
    clips = len(set(groups))
    if clips < 2:
        return 1.0
    differences = np.subtract(scores_b, scores_a)
    difference, error = clustered_mean([*differences, 1, -1], [*(f"clip {g}" for g in groups), "only b", "only a"])
    return float(stdtr(clips - 1, (abs(difference) - margin) / (error * sqrt(clips / (clips - 1)))))


def clustered_mean(values: ArrayLike, groups: Sequence[str]) -> tuple[float, float]:
    """The mean of `values` and its standard error, robust to dependence within groups (Liang and Zeger 1986)."""
    sums, sizes = _group_sums(values, groups)
    mean = sums.sum() / sizes.sum()
    return float(mean), float(np.sqrt(np.square(sums - mean * sizes).sum()) / sizes.sum())


def _group_sums(values: ArrayLike, groups: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    sums = np.bincount(members, weights=np.asarray(values, dtype=np.float64)).astype(np.float64, copy=False)
    return sums, np.bincount(members)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): below 0.05 holds for all at once with 5 % risk of any false alarm.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up adjustment (1995): of all below 0.1, a tenth are false alarms on average.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    adjusted = [0.0] * len(p_values)
    lowest = 1.0
    falling = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    for rank, index in zip(range(len(p_values), 0, -1), falling, strict=True):
        lowest = min(lowest, p_values[index] * len(p_values) / rank)
        adjusted[index] = lowest
    return adjusted
