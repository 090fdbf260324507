"""Votes, pass@k and calibration, against slow and obvious versions of themselves."""

from itertools import combinations
from math import isclose
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.records import Response
from audio_reasoning.metrics.voting import (
    Bin,
    Votes,
    brier_losses,
    calibration,
    calibration_error,
    calibration_gaps,
    count_votes,
    pass_at_k,
    vote_curve,
    vote_score,
)

ANSWERS = st.lists(st.sampled_from([0, 1, 2, 3, None]), min_size=1, max_size=9)


def responses(answers):
    return [
        Response("q", i, "no_answer" if a is None else "ok", "", "", a, "", "stop", 1, 1) for i, a in enumerate(answers)
    ]


def majority(answers, right):
    """The share of the tied winners that are right, counted one by one."""
    given_ = [a for a in answers if a is not None]
    winners = [a for a in set(given_) if given_.count(a) == max(map(given_.count, given_))]
    return (right in winners) / len(winners) if winners else 0.0


@given(ANSWERS, st.integers(0, 3))
def test_every_sample_is_counted_once(answers, right):
    votes = count_votes(responses(answers), right)
    assert votes.n == len(answers)
    assert (votes.right, votes.silent) == (answers.count(right), answers.count(None))
    assert votes.most == max([answers.count(a) for a in answers if a is not None], default=0)


@given(ANSWERS, st.integers(0, 3))
def test_the_vote_is_what_counting_by_hand_gives(answers, right):
    assert vote_score(count_votes(responses(answers), right)) == majority(answers, right)


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        ([0, 0, 1], 1.0),
        ([0, 1], 1 / 2),
        ([1, 2, 0, None], 1 / 3),
        ([1, 1, 0, None, None, None], 0.0),  # silence wins no vote
        ([0, None, None, None], 1.0),
        ([None, None], 0.0),
        ([0], 1.0),
        ([2], 0.0),
    ],
)
def test_ties_are_shared_and_silence_does_not_vote(answers, score):
    assert vote_score(count_votes(responses(answers), 0)) == score


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_sample(n, data):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = list(combinations([True] * right + [False] * (n - right), k))
    assert isclose(pass_at_k(n, right, k), sum(map(any, draws)) / len(draws), abs_tol=1e-12)


@pytest.mark.parametrize(("n", "right", "k"), [(4, 2, 0), (4, 2, 5), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_of_impossible_numbers_is_refused(n, right, k):
    with pytest.raises(ValueError, match=f"pass@{k} of {right}"):
        pass_at_k(n, right, k)


@given(ANSWERS)
def test_the_curve_is_the_mean_vote_over_all_draws(answers):
    curve = vote_curve(count_votes(responses(answers), 0))
    assert len(curve) == len(answers)
    for k, expected in enumerate(curve, start=1):
        assert isclose(expected, fmean(majority(draw, 0) for draw in combinations(answers, k)), abs_tol=1e-12)


@given(st.integers(0, 30), st.lists(st.integers(1, 30), max_size=4), st.integers(0, 20))
def test_the_curve_begins_at_the_mean_and_ends_at_the_vote(right, wrong, silent):
    votes = Votes(right, tuple(sorted(wrong, reverse=True)), silent)
    if votes.n:
        curve = vote_curve(votes)
        assert isclose(curve[0], right / votes.n)
        assert isclose(curve[-1], vote_score(votes), abs_tol=1e-9)
        assert all(0 <= x <= 1 + 1e-9 for x in curve)
    if votes.n > 1 and not silent:
        assert isclose(curve[1], curve[0])  # of two samples that differ, each wins half


def test_the_curve_of_many_samples_stays_exact():
    assert isclose(vote_curve(Votes(129, (127,), 0))[-1], 1.0)
    fair = vote_curve(Votes(64, (64, 64, 64), 0))
    assert all(isclose(x, 1 / 4, rel_tol=1e-9) for x in fair)  # by symmetry, for every k


@given(st.lists(ANSWERS, min_size=1, max_size=12))
def test_each_question_falls_into_one_bin_that_holds_its_agreement(several):
    votes = [count_votes(responses(answers), 0) for answers in several]
    bins = calibration(votes)
    assert sum(b.n for b in bins) == len(votes)
    assert all(b.low - 1e-9 <= b.confidence <= b.high + 1e-9 for b in bins)
    assert isclose(sum(b.n * b.accuracy for b in bins), sum(map(vote_score, votes)), abs_tol=1e-9)
    assert 0 <= calibration_error(bins) <= 1
    assert isclose(abs(calibration_gaps(votes).mean(axis=1)).sum(), calibration_error(bins), abs_tol=1e-9)
    assert all(0 <= loss <= 1 for loss in brier_losses(votes))


def test_agreement_on_the_edge_of_a_bin_belongs_below_it():
    (seven_of_ten,) = calibration([Votes(7, (3,), 0)])
    assert (seven_of_ten.low, seven_of_ten.high) == (0.6, 0.7)
    (nothing,) = calibration([Votes(0, (), 4)])
    assert (nothing.low, nothing.confidence, nothing.accuracy) == (0.0, 0.0, 0.0)


def test_unanswered_samples_lower_the_agreement():
    (found,) = calibration([Votes(3, (), 3)])
    assert (found.confidence, found.accuracy) == (0.5, 1.0)


def test_calibration_error_is_the_weighted_distance():
    bins = [Bin(0.4, 0.5, 3, confidence=0.5, accuracy=0.2), Bin(0.9, 1.0, 1, confidence=1.0, accuracy=0.9)]
    assert isclose(calibration_error(bins), (3 * 0.3 + 1 * 0.1) / 4)


def test_a_tie_costs_the_mean_of_winning_and_losing_it():
    lost = brier_losses([Votes(2, (2,), 0), Votes(3, (1,), 0), Votes(1, (3,), 0), Votes(0, (), 4)])
    assert lost == pytest.approx([0.25, 0.0625, 0.5625, 0.0])  # the last has confidence 0, and is wrong
