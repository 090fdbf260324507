"""Intervals, paired tests and adjustments against scipy, published values and definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from stages.evaluate.stats import bootstrap_differences, compare_runs, detectable, holm, mcnemar_mid_p, wilson


@given(st.integers(1, 2_000), st.data())
def test_wilson_is_scipys(n, data):
    successes = data.draw(st.integers(0, n))
    reference = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_within_bounds(n, share):
    low, high = wilson(share * n, n)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1


def test_wilson_refuses_what_is_no_proportion():
    for successes, n in [(1, 0), (-1, 5), (6, 5)]:
        with pytest.raises(ValueError):
            wilson(successes, n)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mid_p_is_its_definition_in_scipys_terms(only_a, only_b):
    n, fewer = only_a + only_b, min(only_a, only_b)
    reference = 2 * scipy_stats.binom.cdf(fewer, n, 0.5) - scipy_stats.binom.pmf(fewer, n, 0.5)
    p = mcnemar_mid_p(only_a, only_b)
    assert p == pytest.approx(reference, rel=1e-9)
    assert p == mcnemar_mid_p(only_b, only_a) and 0 < p <= 1


def test_mid_p_of_a_published_table():
    # Airway hyper-responsiveness before and after transplantation, Fagerland et al. 2013, tables 3 and 5: 1 against 7.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)


def runs(n, seed, gain=0.1):
    rng = np.random.default_rng(seed)
    a = rng.random(n) < 0.6
    b = np.where(rng.random(n) < 0.25, rng.random(n) < 0.6 + gain, a)
    return a.astype(float).tolist(), b.astype(float).tolist()


def test_difference_and_discordant_questions_are_counted_from_b_to_a():
    c = compare_runs("x", "y", [1, 1, 0, 0], [1, 0, 1, 1], list("abcd"))
    assert (c.a, c.b, c.n, c.difference, c.only_a, c.only_b) == ("x", "y", 4, 0.25, 1, 2)


def test_swapping_the_runs_mirrors_the_comparison():
    a, b = runs(300, 1)
    groups = [str(i // 2) for i in range(300)]
    there, back = compare_runs("a", "b", a, b, groups), compare_runs("b", "a", b, a, groups)
    assert there.p == back.p
    assert (there.difference, there.low, there.high) == pytest.approx((-back.difference, -back.high, -back.low))


def test_the_same_run_twice_differs_by_nothing():
    a, _ = runs(50, 2)
    c = compare_runs("a", "a2", a, a, [str(i) for i in range(50)])
    assert (c.difference, c.low, c.high, c.p, c.only_a, c.only_b) == (0, 0, 0, 1, 0, 0)


def test_a_comparison_is_the_same_each_time_and_another_with_another_seed():
    a, b = runs(200, 3)
    groups = [str(i) for i in range(200)]
    assert compare_runs("a", "b", a, b, groups) == compare_runs("a", "b", a, b, groups)
    differences = np.subtract(b, a)
    first, second = (bootstrap_differences(differences, groups, 100, seed) for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_the_interval_is_that_of_the_paired_standard_error_when_groups_are_single_questions():
    a, b = runs(1_000, 4)
    c = compare_runs("a", "b", a, b, [str(i) for i in range(1_000)])
    error = np.std(np.subtract(b, a)) / np.sqrt(1_000)
    assert (c.high - c.low) / (2 * 1.96) == pytest.approx(error, rel=0.03)
    assert detectable(c) == pytest.approx(2.8016 * error, rel=0.03)


def test_the_interval_is_scipys_bootstrap_over_groups_of_one_size():
    a, b = runs(120, 5)
    groups = [str(i % 40) for i in range(120)]
    c = compare_runs("a", "b", a, b, groups)
    per_group = np.subtract(b, a).reshape(3, 40).mean(axis=0)
    reference = scipy_stats.bootstrap((per_group,), np.mean, n_resamples=10_000, method="percentile", rng=0)
    assert (c.low, c.high) == pytest.approx(tuple(reference.confidence_interval), abs=0.01)


def test_questions_that_share_a_clip_count_as_less_evidence():
    a, b = runs(100, 6)
    copies = [str(i // 4) for i in range(400)]
    single = [str(i) for i in range(400)]
    a4, b4 = np.repeat(a, 4), np.repeat(b, 4)
    clustered, naive = compare_runs("a", "b", a4, b4, copies), compare_runs("a", "b", a4, b4, single)
    assert clustered.high - clustered.low == pytest.approx(2 * (naive.high - naive.low), rel=0.1)


def test_groups_of_unequal_size_keep_every_question_equally_heavy():
    means = bootstrap_differences([1, 1, 1, 0], ["a", "a", "a", "b"], 4_000, 0)
    assert set(np.round(means, 6)) == {0.0, 0.75, 1.0}


@pytest.mark.parametrize("gain", [0.0, 0.3])
def test_several_samples_take_p_from_the_bootstrap_in_step_with_the_interval(gain):
    rng = np.random.default_rng(7)
    a = rng.binomial(4, 0.5, 200) / 4
    b = rng.binomial(4, 0.5 + gain, 200) / 4
    c = compare_runs("a", "b", a.tolist(), b.tolist(), [str(i) for i in range(200)])
    assert c.method.startswith("bootstrap p")
    assert 0 < c.p <= 1
    assert (c.low > 0 or c.high < 0) == (c.p < 0.05)


def test_one_group_says_nothing_about_the_spread():
    c = compare_runs("a", "b", [0, 0], [1, 1], ["g", "g"])
    assert (c.difference, c.low, c.high, c.p) == (1, -1, 1, 1)


def test_runs_of_different_lengths_are_refused():
    for a, b, groups in [([1], [1, 0], ["g", "h"]), ([1], [1], []), ([], [], [])]:
        with pytest.raises(ValueError):
            compare_runs("a", "b", a, b, groups)


def test_false_alarms_of_the_paired_test_stay_near_five_percent():
    def level(n):
        return sum(scipy_stats.binom.pmf(k, n, 0.5) for k in range(n + 1) if mcnemar_mid_p(k, n - k) < 0.05)

    levels = [level(n) for n in range(20, 150, 10)]
    assert max(levels) < 0.07 and 0.04 < np.mean(levels) < 0.05


def test_holm_gives_the_published_adjustment():
    # R: p.adjust(c(.01, .02, .03, .04, .05), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    adjusted = holm(p_values)
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if (len(p_values) - rank) * p_values[index] > level:
            break
        rejected.add(index)
    assert rejected == {i for i, p in enumerate(adjusted) if p <= level}
