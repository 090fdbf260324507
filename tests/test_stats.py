"""Intervals, paired tests and adjustments against scipy, published values and definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from audio_reasoning.core.records import Audio, Question
from audio_reasoning.metrics.paired import Method, Pair, adjusted, broken_down, judged
from audio_reasoning.metrics.stats import (
    benjamini_hochberg,
    bootstrap_differences,
    bootstrap_means,
    clustered_mean,
    compare_runs,
    detectable,
    equivalence_p,
    holm,
    mcnemar_mid_p,
    mean_interval,
    percentile_interval,
    sign_flip_p,
    wilson,
)

# Benjamini and Hochberg 1995, section 4.1: fifteen p values of a trial of rt-PA after myocardial infarction.
INFARCTION = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
]  # fmt: skip


@given(st.integers(1, 2_000), st.data())
def test_wilson_is_scipys(n, data):
    successes = data.draw(st.integers(0, n))
    reference = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_of_published_proportions(successes, n, low, high):
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, method 3.
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_fractional_successes_is_statsmodels():
    assert wilson(12.75, 40) == pytest.approx(proportion_confint(12.75, 40, method="wilson"), abs=1e-12)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_within_bounds(n, share):
    low, high = wilson(share * n, n)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1


def test_wilson_refuses_what_is_no_proportion():
    for successes, n in [(1, 0), (-1, 5), (6, 5), (5.0001, 5), (float("nan"), 5)]:
        with pytest.raises(ValueError):
            wilson(successes, n)


def test_wilson_of_scores_whose_sum_is_a_hair_above_their_number_is_that_of_all_of_them():
    assert wilson(np.nextafter(10, 11), 10) == wilson(10 + 1e-12, 10) == wilson(10, 10)


# ── The interval of a mean ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_scores_that_are_all_alike_have_the_interval_of_wilson(value):
    clips = [str(i) for i in range(20)]
    assert mean_interval([value] * 20, clips, 1_000, 0) == pytest.approx(wilson(20 * value, 20))
    assert mean_interval([value] * 40, clips * 2, 1_000, 0, n=20) == pytest.approx(wilson(20 * value, 20))


def test_one_clip_tells_nothing_of_a_mean():
    assert mean_interval([1.0, 1.0], ["x", "x"], 1_000, 0) == (0.0, 1.0)


def test_clips_answered_alike_make_the_interval_of_a_mean_wider_than_wilsons():
    scores, clips = [float(i < 100) for i in range(200)], [str(i // 10) for i in range(200)]
    low, high = mean_interval(scores, clips, 2_000, 0)
    assert low < wilson(100, 200)[0] - 0.1 and high > wilson(100, 200)[1] + 0.1
    assert (low, high) == percentile_interval(bootstrap_differences(scores, clips, 2_000, 0))


def test_rows_are_resampled_alike_and_each_as_if_it_were_alone():
    rows, clips = np.random.default_rng(19).random((3, 60)), [str(i // 2) for i in range(60)]
    drawn = bootstrap_means([*rows, rows[0] - rows[1]], clips, 1_500, 4)
    assert drawn.shape == (4, 1_500) and drawn[3] == pytest.approx(drawn[0] - drawn[1])
    assert all((drawn[i] == bootstrap_differences(rows[i], clips, 1_500, 4)).all() for i in range(3))


@given(st.integers(0, 400), st.integers(0, 400))
def test_mid_p_is_its_definition_in_scipys_terms(only_a, only_b):
    n, fewer = only_a + only_b, min(only_a, only_b)
    reference = 2 * scipy_stats.binom.cdf(fewer, n, 0.5) - scipy_stats.binom.pmf(fewer, n, 0.5)
    p = mcnemar_mid_p(only_a, only_b)
    assert p == pytest.approx(reference, rel=1e-9)
    assert p == mcnemar_mid_p(only_b, only_a) and 0 < p <= 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p_is_the_exact_test_of_statsmodels_less_half_of_what_was_seen(only_a, only_b):
    exact = mcnemar([[3, only_a], [only_b, 5]], exact=True).pvalue
    if only_a != only_b:  # there the exact p is capped at 1
        seen = scipy_stats.binom.pmf(only_a, only_a + only_b, 0.5)
        assert mcnemar_mid_p(only_a, only_b) == pytest.approx(exact - seen, rel=1e-9)


def test_mid_p_of_a_published_table():
    # Airway hyper-responsiveness before and after transplantation, Fagerland et al. 2013, tables 3 and 5: 1 against 7.
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)


def question(name):
    return Question(name, Audio("", "", 0.0), "", ("a", "b"), 0, "c", "s", "m", None, "", group=name)


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
    assert (c.difference, c.p, c.only_a, c.only_b) == (0, 1, 0, 0)


@pytest.mark.parametrize("n", [2, 50, 1_000])
def test_runs_that_agree_everywhere_have_an_interval_as_wide_as_one_question_more_each_way(n):
    c = compare_runs("a", "b", [1] * n, [1] * n, [str(i) for i in range(n)])
    seen = compare_runs("a", "b", [1] * (n - 1) + [0], [0] + [1] * (n - 1), [str(i) for i in range(n)])
    assert c.high == -c.low == pytest.approx(min(1, 1.96 * np.sqrt(2) / (n + 2)), rel=1e-4)
    assert n == 2 or c.high == pytest.approx((seen.high - seen.low) / 2, abs=1 / n)


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
def test_several_samples_take_p_from_flips_in_step_with_the_interval(gain):
    rng = np.random.default_rng(7)
    a = rng.binomial(4, 0.5, 200) / 4
    b = rng.binomial(4, 0.5 + gain, 200) / 4
    c = compare_runs("a", "b", a.tolist(), b.tolist(), [str(i) for i in range(200)])
    assert c.method.startswith("randomisation p by group; 95 % interval")
    assert 0 < c.p <= 1
    assert (c.low > 0 or c.high < 0) == (c.p < 0.05)


# ── Randomisation by clip ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("resamples", [1_000, 100_000])  # drawn, and gone through
def test_flips_of_single_questions_are_scipys_permutation_test_of_samples(resamples):
    rng = np.random.default_rng(16)
    differences = (rng.binomial(4, 0.6, 12) - rng.binomial(4, 0.4, 12)) / 4
    reference = scipy_stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    p = sign_flip_p(differences, [str(i) for i in range(12)], resamples, 0)
    assert p == pytest.approx(reference.pvalue, abs=1e-12 if resamples > 2**12 else 0.03)


def test_flips_of_zeros_and_ones_are_the_exact_binomial_test():
    differences = [1] * 9 + [-1] * 2 + [0] * 30
    reference = scipy_stats.binomtest(2, 11).pvalue
    assert sign_flip_p(differences, [str(i) for i in range(41)], 10_000, 0) == pytest.approx(reference)


def test_two_clips_prove_nothing_however_alike_they_are():
    c = compare_runs("a", "b", [0, 0], [0.5, 0.5], ["x", "y"])
    assert c.p == 0.5 and c.low < 0
    [row] = judged([Pair("a", "b", [0.0] * 40, [0.5] * 40)], [question(str(i % 2)) for i in range(40)], Method())
    assert (row.p, row.verdict) == (0.5, "not distinguishable")


def test_the_same_flips_give_the_same_p_and_runs_may_be_swapped():
    differences, groups = np.random.default_rng(17).normal(size=60), [str(i // 3) for i in range(60)]
    p = sign_flip_p(differences, groups, 500, 0)
    assert p == sign_flip_p(differences, groups, 500, 0) == sign_flip_p(-differences, groups, 500, 0)
    assert p != sign_flip_p(differences, groups, 500, 1)


def test_questions_of_one_clip_are_flipped_together():
    differences = [1] * 8 + [0] * 12  # two clips of four, both all gained: 1 of 2 flips is as far from zero
    assert sign_flip_p(differences, [str(i // 4) for i in range(20)], 10_000, 0) == 0.5
    assert sign_flip_p(differences, [str(i) for i in range(20)], 10_000, 0) == 2 / 2**8


@pytest.mark.parametrize("clips", [5, 8, 15])
@pytest.mark.parametrize("samples", [1, 4])
def test_false_alarms_stay_below_five_percent_with_few_clips(clips, samples):
    rng = np.random.default_rng(clips)
    groups = [str(i // 3) for i in range(3 * clips)]
    alarms = 0
    for _ in range(600):
        hard = np.repeat(rng.random(clips), 3)
        a, b = rng.binomial(samples, np.repeat(rng.beta(0.5, 0.5, (2, clips)), 3, axis=1) * hard) / samples
        alarms += compare_runs("a", "b", a, b, groups, resamples=1_000).p < 0.05
    assert alarms / 600 < 0.07


def test_one_group_says_nothing_about_the_spread():
    c = compare_runs("a", "b", [0, 0], [1, 1], ["g", "g"])
    assert (c.difference, c.low, c.high, c.p) == (1, -1, 1, 1)


def test_runs_of_different_lengths_are_refused():
    for a, b, groups in [([1], [1, 0], ["g", "h"]), ([1], [1], []), ([], [], [])]:
        with pytest.raises(ValueError):
            compare_runs("a", "b", a, b, groups)


# ── What a test can see ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("discordant", "points"), [(0.05, 1.98), (0.10, 2.80), (0.15, 3.43), (0.20, 3.96), (0.25, 4.42), (0.30, 4.85)]
)
def test_the_detectable_difference_is_the_closed_form_of_mcnemars_test(discordant, points):
    # Connor 1987: (z_alpha sqrt(d) + z_beta sqrt(d - delta²)) / sqrt(n) = delta, at n = 1,000.
    each = round(1_000 * discordant / 2)
    a = [1] * each + [0] * (1_000 - each)
    b = [0] * each + [1] * each + [0] * (1_000 - 2 * each)
    c = compare_runs("a", "b", a, b, [str(i) for i in range(1_000)])
    assert 100 * detectable(c) == pytest.approx(points, rel=0.03)


@pytest.mark.parametrize(("points", "power"), [(1, 0.10), (2, 0.30), (3, 0.57), (4, 0.81), (5, 0.94)])
def test_a_difference_of_the_detectable_size_is_found_in_four_of_five_runs(points, power):
    rng = np.random.default_rng(points)
    share_a, share_b = 0.1 - points / 200, 0.1 + points / 200  # of 1,000 questions, a fifth discordant
    counts = rng.multinomial(1_000, [share_a, share_b, 1 - share_a - share_b], size=2_000)
    found = np.mean([mcnemar_mid_p(only_a, only_b) < 0.05 for only_a, only_b, _ in counts])
    assert found == pytest.approx(power, abs=0.05)


def test_a_test_of_a_larger_family_sees_less():
    a, b = runs(500, 8)
    c = compare_runs("a", "b", a, b, [str(i) for i in range(500)])
    z = scipy_stats.norm.ppf
    assert detectable(c, 7) / detectable(c) == pytest.approx((z(1 - 0.025 / 7) + z(0.8)) / (z(0.975) + z(0.8)))


def test_runs_that_agree_everywhere_do_not_make_a_test_that_sees_everything():
    def seen(n):
        return detectable(compare_runs("a", "b", [1] * n, [1] * n, [str(i) for i in range(n)]))

    assert 0 < seen(1_000) < 0.005 < 0.02 < seen(100) < seen(1) == 1


# ── Equivalence ──────────────────────────────────────────────────────────────────────────────────


def test_the_clustered_standard_error_is_that_of_statsmodels():
    rng = np.random.default_rng(9)
    values, groups = rng.normal(size=300), rng.integers(60, size=300)
    fit = OLS(values, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    assert clustered_mean(values, groups.tolist()) == pytest.approx((fit.params[0], fit.bse[0]))


@pytest.mark.parametrize("gain", [0.0, 0.02, 0.2])
def test_equivalence_is_the_paired_tost_of_statsmodels_where_every_clip_has_one_question(gain):
    rng = np.random.default_rng(10)
    a = rng.binomial(16, 0.5, 2_000) / 16
    b = np.clip(a + gain + rng.normal(scale=0.2, size=2_000), 0, 1)
    reference = ttost_paired(b, a, -0.03, 0.03)[0]
    assert equivalence_p(a, b, [str(i) for i in range(2_000)], 0.03) == pytest.approx(reference, rel=0.1, abs=0.01)


def test_equivalence_adds_one_question_each_way():
    # The R package statpsych gives Bonett and Price's interval of 4 against 26 discordant of 48: 0.44, error 0.0944881.
    a, b = [1] * 4 + [0] * 26 + [1] * 18, [0] * 4 + [1] * 26 + [1] * 18
    expected = scipy_stats.t.cdf((0.44 - 0.5) / (0.09448809 * np.sqrt(48 / 47)), 47)
    assert equivalence_p(a, b, [str(i) for i in range(48)], 0.5) == pytest.approx(expected, rel=1e-6)


def test_a_few_questions_on_which_runs_agree_do_not_prove_them_equal():
    def p(n):
        return equivalence_p([1] * n, [1] * n, [str(i) for i in range(n)], 0.02)

    assert p(3) > 0.4 and p(100) > 0.05 > p(200)  # by the rule of three, 0 of 150 bounds a share by 2 %


def test_questions_that_share_a_clip_are_less_evidence_of_equivalence():
    a, b = (np.repeat(scores, 4) for scores in runs(200, 11, gain=0.0))
    single, copies = [str(i) for i in range(800)], [str(i // 4) for i in range(800)]
    assert equivalence_p(a, b, single, 0.1) < equivalence_p(a, b, copies, 0.1)


def test_a_difference_as_large_as_the_margin_is_rarely_taken_for_none():
    rng = np.random.default_rng(12)
    groups = [str(i) for i in range(400)]
    found = 0
    for only_a, only_b, _ in rng.multinomial(400, [0.05, 0.10, 0.85], size=800):  # 5 points, the margin
        b = [0] * only_a + [1] * only_b + [0] * (400 - only_a - only_b)
        found += equivalence_p([1] * only_a + [0] * (400 - only_a), b, groups, 0.05) < 0.05
    assert 0.02 < found / 800 < 0.08


def test_one_clip_proves_no_equivalence():
    assert equivalence_p([1] * 400, [1] * 400, ["one clip"] * 400, 0.05) == 1


@pytest.mark.parametrize("clips", [3, 6, 12])
def test_a_difference_as_large_as_the_margin_is_rarely_taken_for_none_with_few_clips(clips):
    rng = np.random.default_rng(clips)
    groups = np.repeat(np.arange(clips), 40).astype(str).tolist()
    found = 0
    for _ in range(600):
        gain = rng.normal(0.1, 0.1, clips)  # 10 points on average, the margin, and unlike from clip to clip
        b = np.repeat(gain, 40) + rng.normal(scale=0.05, size=40 * clips)
        found += equivalence_p(np.zeros(40 * clips), b, groups, 0.1) < 0.05
    assert found / 600 < 0.08


@pytest.mark.parametrize("margin", [0, 1, -0.1])
def test_a_margin_that_is_no_fraction_is_refused(margin):
    with pytest.raises(ValueError):
        equivalence_p([1, 0], [0, 1], ["a", "b"], margin)


# ── Verdicts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_gain_that_comes_from_one_clip_is_no_finding_anywhere():
    names = ["one clip"] * 12 + [str(i) for i in range(60)]
    asked, pair = [question(name) for name in names], Pair("a", "b", [0] * 72, [1] * 12 + [0] * 60)
    [row] = judged([pair], asked, Method())
    assert mcnemar_mid_p(0, 12) < 0.001
    assert row.p == row.p_holm == 1 and row.method.startswith("larger p of mid-p McNemar and randomisation")
    assert row.verdict == "not distinguishable"
    parts = broken_down(pair, asked, "sub_category", Method())
    assert (parts.improves, parts.rise, parts.rows[0].q) == (1, [], 1)


def test_where_every_clip_has_one_question_p_is_the_mid_p_alone():
    c = compare_runs("a", "b", [0] * 30, [1] * 6 + [0] * 24, [str(i) for i in range(30)])
    assert c.p == mcnemar_mid_p(0, 6) and c.method.startswith("mid-p McNemar; ")


def test_what_is_adjusted_over_many_says_what_a_test_among_many_can_see():
    a, b = runs(300, 18)
    c = compare_runs("a", "b", a, b, [str(i) for i in range(300)])
    alone, among = adjusted([c])[0], adjusted([c] * 6)[0]
    assert among.p_holm == pytest.approx(min(1, 6 * c.p), rel=1e-4)
    assert alone.detectable == pytest.approx(detectable(c), rel=1e-4)
    assert among.detectable == pytest.approx(detectable(c, 6), rel=1e-4)


def test_a_difference_that_holds_alone_may_not_hold_among_many():
    asked = [question(str(i)) for i in range(200)]
    pair = Pair("a", "b", [1] * 6 + [0] * 194, [0] * 6 + [1] * 18 + [0] * 176)
    alone = judged([pair], asked, Method())
    many = judged([pair] + [Pair("a", "c", [1, 0] * 100, [0, 1] * 100)] * 6, asked, Method())
    assert (alone[0].verdict, many[0].verdict) == ("better", "not distinguishable")
    assert many[0].low == alone[0].low > 0 and many[0].detectable > alone[0].detectable
    assert "this test, one of 7, can see" in many[0].verdict_text


# ── False alarms and coverage ────────────────────────────────────────────────────────────────────


def clustered_runs(rng, clips, each, gain):
    """Two runs whose questions of one clip are answered much alike."""
    hard = rng.random(clips) < 0.5
    copies = np.repeat(rng.random((clips, 2)) < np.where(hard[:, None], 0.4, [0.6, 0.6 + 2 * gain]), each, axis=0)
    noise = rng.random(copies.shape) < 0.1
    return np.where(noise, rng.random(copies.shape) < 0.5, copies).astype(float).T


def test_the_interval_covers_the_truth_in_nineteen_of_twenty_runs_only_if_clips_are_resampled():
    rng = np.random.default_rng(13)
    clips, each, gain, trials = 120, 4, 0.05, 300
    covered = {"clips": 0, "questions": 0}
    groups = {"clips": np.repeat(np.arange(clips), each).tolist(), "questions": [*range(clips * each)]}
    for _ in range(trials):
        a, b = clustered_runs(rng, clips, each, gain)
        for name, members in groups.items():
            low, high = np.quantile(bootstrap_differences(b - a, members, 400, 0), [0.025, 0.975])
            covered[name] += low <= 0.9 * gain <= high
    assert 0.90 < covered["clips"] / trials < 0.985
    assert covered["questions"] / trials < 0.85


def test_the_randomisation_p_raises_five_percent_of_false_alarms():
    rng = np.random.default_rng(14)
    groups = [str(i) for i in range(100)]
    alarms = 0
    for _ in range(400):
        a, b = rng.binomial(4, 0.5, (2, 100)) / 4
        alarms += compare_runs("a", "b", a, b, groups, resamples=400).p < 0.05
    assert 0.02 < alarms / 400 < 0.09


@pytest.mark.parametrize("each", [1, 5])  # questions a clip, all answered alike: the worst case
def test_declared_contrasts_raise_a_false_alarm_in_one_family_of_twenty_at_most(each):
    rng = np.random.default_rng(15)
    asked = [question(str(i // each)) for i in range(150)]
    judgements = adjusted_p = naive = by_question = 0
    for _ in range(150):
        scores = np.repeat(rng.random((8, 150 // each)) < 0.6, each, axis=1).astype(float)
        pairs = [Pair("0", str(i), scores[0], scores[i]) for i in range(1, 8)]
        rows = judged(pairs, asked, Method(resamples=400))
        judgements += any(row.verdict in ("better", "worse") for row in rows)
        adjusted_p += any(row.p_holm < 0.05 for row in rows)
        naive += any(row.p < 0.05 for row in rows)
        by_question += min(holm([mcnemar_mid_p(row.only_a, row.only_b) for row in rows])) < 0.05
    assert judgements <= adjusted_p and adjusted_p / 150 < 0.1 < naive / 150
    assert each == 1 or by_question / 150 > 0.3, "which is why p goes by clips"


def test_false_alarms_of_the_paired_test_stay_near_five_percent():
    def level(n):
        return sum(scipy_stats.binom.pmf(k, n, 0.5) for k in range(n + 1) if mcnemar_mid_p(k, n - k) < 0.05)

    levels = [level(n) for n in range(20, 150, 10)]
    assert max(levels) < 0.07 and 0.04 < np.mean(levels) < 0.05


def test_holm_gives_the_published_adjustment():
    # R: p.adjust(c(.01, .02, .03, .04, .05), "holm")
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


@pytest.mark.parametrize("n", [1, 2, 5, 16, 100])
def test_adjustments_are_those_of_statsmodels_and_scipy(n):
    p_values = np.random.default_rng(n).beta(0.3, 1, n).round(2).tolist()  # with ties, and with zeros
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1], abs=1e-12)
    assert benjamini_hochberg(p_values) == pytest.approx(scipy_stats.false_discovery_control(p_values), abs=1e-12)


def test_the_published_trial_has_three_findings_by_holm_and_four_by_benjamini_and_hochberg():
    assert [p for p in INFARCTION if p * 15 <= 0.05] == INFARCTION[:3]  # Bonferroni, as they tell
    assert sum(p <= 0.05 for p in holm(INFARCTION)) == 3
    assert sum(q <= 0.05 for q in benjamini_hochberg(INFARCTION)) == 4
    assert benjamini_hochberg(INFARCTION)[3] == pytest.approx(15 / 4 * 0.0095)


def test_no_p_values_need_no_adjustment():
    assert holm([]) == benjamini_hochberg([]) == []


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    adjusted = holm(p_values)
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if (len(p_values) - rank) * p_values[index] > level:
            break
        rejected.add(index)
    assert rejected == {i for i, p in enumerate(adjusted) if p <= level}
