"""Intervals and paired tests for accuracies.

Two runs on the same questions are compared question by question, which sees differences about half the
size that two independent accuracies could show (Miller 2024, https://arxiv.org/abs/2411.00640). Questions about
one clip are not independent, so intervals resample clips, not questions. docs/statistics.md tells which is used where.

Only NumPy is imported. SciPy and statsmodels have Wilson's interval for whole counts alone, McNemar's test without
the mid-p, and no paired test of equivalence by cluster; Holm's and Benjamini and Hochberg's adjustments they do have,
but importing them takes longer than a whole comparison. The tests hold every function here against theirs.
"""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.common.records import Comparison

LEVEL = 0.95
ALPHA = 0.05  # an adjusted p below it is called significant
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
POWER = 0.8
CHUNK = 1_000  # resamples drawn at once, which keeps memory near 10 MB for a thousand groups


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion (1927), in fractions of one.

    `successes` may be fractional: the sum of per-question means of several samples.

    >>> low, high = wilson(0, 10)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.278)
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    share = successes / n
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
    sums, sizes = _group_sums(differences, groups)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        drawn = rng.integers(len(sizes), size=(min(CHUNK, resamples - start), len(sizes)))
        means[start : start + CHUNK] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


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

    Scores are per question, in [0, 1]: 0 or 1 for one sample, the mean for several. The interval is the
    percentile interval of a paired cluster bootstrap over `groups`. The p value is McNemar's mid-p where
    every score is 0 or 1, else the bootstrap's: twice the share of resamples beyond zero. With fewer than
    two groups nothing is known about the spread: the interval is [-1, 1] and p is 1.
    """
    first, second = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    if not len(first) == len(second) == len(groups) > 0:
        raise ValueError(f"{len(first)} scores, {len(second)} scores and {len(groups)} groups")
    differences = second - first
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    clusters = len(set(groups))
    interval = f"95 % interval: paired bootstrap over {clusters} groups, {resamples} resamples, seed {seed}"
    low, high, p = -1.0, 1.0, 1.0
    method = "fewer than two groups"
    if clusters > 1:
        means = bootstrap_differences(differences, groups, resamples, seed)
        low, high = (float(x) for x in np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
        if np.isin([first, second], (0, 1)).all():
            p, method = mcnemar_mid_p(only_a, only_b), f"mid-p McNemar; {interval}"
        else:
            p, method = _bootstrap_p(means), f"bootstrap p; {interval}"
    return Comparison(a, b, len(groups), float(differences.mean()), low, high, p, only_a, only_b, method)


def _bootstrap_p(means: NDArray[np.float64]) -> float:
    # One is added to both counts, so that p is never zero (Davison and Hinkley 1997, section 4.2).
    beyond = min((means <= 0).sum(), (means >= 0).sum())
    return min(1.0, 2 * (int(beyond) + 1) / (len(means) + 1))


def detectable(comparison: Comparison, tests: int = 1) -> float:
    """The smallest true difference that a comparison as wide as this one would call significant in 80 % of runs.

    Takes the standard error from the width of the interval, clusters included; with two runs that hardly differ,
    it is not below that of one question more going each way. The level is 5 % over `tests`: what Holm's first
    step asks of each of so many contrasts. In fractions of one, at most 1.
    """
    error = max((comparison.high - comparison.low) / (2 * Z), sqrt(2) / (comparison.n + 2))
    return min(1.0, (NormalDist().inv_cdf(1 - ALPHA / (2 * tests)) + NormalDist().inv_cdf(POWER)) * error)


def equivalence_p(scores_a: Sequence[float], scores_b: Sequence[float], groups: Sequence[str], margin: float) -> float:
    """P value of two one-sided tests (Schuirmann 1987): below 0.05, the true difference lies within ±`margin`.

    Each side is a Wald test on the paired difference with its cluster-robust standard error over `groups`, after
    adding one question that only a got right and one that only b did, each a clip of its own: the adjustment of
    Bonett and Price (2012, https://doi.org/10.3102/1076998611411915), without which a few questions on which two
    runs agree would prove them equal. Raises ValueError for a margin that is not between 0 and 1.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin}")
    differences = np.subtract(scores_b, scores_a)
    difference, error = clustered_mean([*differences, 1, -1], [*(f"clip {g}" for g in groups), "only b", "only a"])
    return NormalDist().cdf((abs(difference) - margin) / error)


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
