"""Ratings: read strictly, trimmed in two ways, compared; and the figures of a run made of them."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.records import Audio, Question, Response
from audio_reasoning.judging.ratings import agreement, failed_as, parse_reply, per_item, per_run, trimmed_mean
from audio_reasoning.judging.scores import Answer, items_met, metrics_of_run
from audio_reasoning.metrics.stats import wilson
from tests.fake_judge import reply

ALL, NONE = (1, 1, 1, 1, 1), (0, 0, 0, 0, 0)


# ── Replies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        reply(1, 0, 1, 1, 0),
        f"\n {reply(1, 0, 1, 1, 0)}\n",
        f"```json\n{reply(1, 0, 1, 1, 0)}\n```",
        f"<think>Item 1 is {{met}}.</think>\n{reply(1, 0, 1, 1, 0)}",
    ],
)
def test_a_reply_in_the_form_that_was_asked_for_is_read(text: str) -> None:
    assert parse_reply(text).rating == (1, 0, 1, 1, 0)


def test_what_the_judge_says_of_each_item_is_kept_as_far_as_it_is_a_text() -> None:
    whys = ["so", "two\nlines \ud800", None, 3]
    items = [{"item": n, "met": 1, "why": why} for n, why in enumerate(whys, start=1)]
    assert parse_reply(json.dumps({"items": [*items, {"item": 5, "met": 0}]})).why == ("so", "two lines", "", "", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("All five are met.", "not JSON"),
        (f"Here it is: {reply(1, 1, 1, 1, 1)}", "not JSON"),
        (reply(1, 1, 1, 1, 1)[:-3], "not JSON"),
        ("[" * 5000, "not JSON"),
        ("[1, 1, 1, 1, 1]", "not 5 items"),
        ('{"items": null}', "not 5 items"),
        (reply(1, 1, 1, 1), "not 5 items"),
        (reply(1, 1, 1, 1, 1, 1), "not 5 items"),
        (reply(1, 1, 1, 1, 1, first=0), "entry 1 is not item 1"),
        (reply(1, 1, 0.5, 1, 1), "item 3 must be 0 or 1, found 0.5"),
        (reply(1, 1, "1", 1, 1), 'found "1"'),
        (reply(1, 1, True, 1, 1), "found true"),
        (reply(1, 1, 2, 1, 1), "found 2"),
        (reply(1, 1, None, 1, 1), "found null"),
        (json.dumps({"items": [1, 1, 1, 1, 1]}), "entry 1 is not item 1"),
    ],
)
def test_any_other_reply_is_no_rating(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_reply(text)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_reply_whatever_breaks_the_reader(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|not 5 items"):
        parse_reply(text)


# ── Trimming ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ROWS = [[0.2, 0.4, 0.6, 0.8, 1.0], [1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]


def test_per_item_trims_each_answers_ratings() -> None:
    # (.4 + .6 + .8) / 3, (1 + 1 + 1) / 3, 0
    assert per_item(ROWS) == pytest.approx([0.6, 1.0, 0.0])


def test_per_run_trims_the_means_of_whole_runs() -> None:
    # Raters' means: 1.2/3, 1.4/3, 1.6/3, 1.8/3, 1.0/3; of these the middle three are 1.2/3, 1.4/3 and 1.6/3.
    assert per_run(ROWS) == pytest.approx(1.4 / 3)
    assert per_run(ROWS) != pytest.approx(sum(x for x in per_item(ROWS) if x) / 3)


def test_a_failed_rating_counts_as_zero_or_not_at_all() -> None:
    rows = [[None, 0.4, 0.6, 0.8, 1.0], [None] * 5]
    assert per_item(failed_as(0.0, rows)) == pytest.approx([0.6, 0.0])  # 0 and 1 go, .4, .6, .8 stay
    assert per_item(rows) == [pytest.approx(0.7), None]  # .4 and 1 go, .6 and .8 stay
    assert per_run(rows) == pytest.approx(0.7)
    assert per_run([[None, None]]) is None


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1))
def test_whatever_failed_ratings_would_have_been_the_score_lies_between_the_bounds(
    row: list[float | None], guess: float
) -> None:
    low, true, high = (per_item(failed_as(value, [row]))[0] or 0.0 for value in (0.0, guess, 1.0))
    assert low <= true + 1e-9 and true <= high + 1e-9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_a_trimmed_mean_lies_within_its_values_and_knows_no_order(values: list[float]) -> None:
    trimmed = trimmed_mean(values)
    assert min(values) - 1e-9 <= trimmed <= max(values) + 1e-9
    assert trimmed == pytest.approx(trimmed_mean(values[::-1]))


# ── Agreement ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_agreement_is_fleiss_kappa_over_items() -> None:
    # Of five items two raters agree on four: 4/5 observed, 1/2 by chance (five of ten votes are 1).
    kappa, unanimous = agreement([[(1, 1, 0, 1, 0), (1, 1, 0, 0, 0)]])
    assert kappa == pytest.approx((0.8 - 0.5) / (1 - 0.5))
    assert unanimous == pytest.approx(0.8)


def test_agreement_needs_two_raters_and_different_ratings() -> None:
    assert agreement([[ALL]]) == (None, None)
    assert agreement([]) == (None, None)
    assert agreement([[ALL, None]]) == (None, None)
    assert agreement([[ALL, ALL], [ALL, ALL]]) == (None, 1.0)
    assert agreement([[ALL, ALL], [NONE, NONE]]) == (pytest.approx(1.0), 1.0)


# ── A run ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(name: str, right: bool, ratings: Any = (), official: bool | None = None, sample: int = 0) -> Answer:
    question = Question(name, Audio("a", "b", 1.0), "?", ("x", "y"), 0, "c", "s", "m", None, "mini", name)
    response = Response(name, sample, "ok", "", "", 0 if right else 1, "", "stop", 0, 0)
    return Answer("run", question, response, "x", right, right if official is None else official, tuple(ratings))


def test_wrong_answers_score_zero_and_quality_looks_at_right_ones_alone() -> None:
    answers = [
        answer("1", True, [ALL] * 5),
        answer("2", True, [(1, 1, 1, 0, 0)] * 5),
        *(answer(n, False) for n in "34"),
    ]
    figures = metrics_of_run(answers, 5, 1000, 0)
    assert figures.score == figures.score_per_run == figures.score_official == 0.4
    assert figures.trace_quality == 0.8 and figures.acc_strict == 0.5
    assert figures.low <= 0.4 <= figures.high
    assert (figures.ratings, figures.failed, figures.n) == (10, 0, 4)
    assert items_met(answers) == [1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_official_match_may_count_other_answers_as_right() -> None:
    answers = [answer("1", True, [ALL] * 3), answer("2", False, [ALL] * 3, official=True)]
    figures = metrics_of_run(answers, 3, 1000, 0)
    assert (figures.score, figures.score_official, figures.ratings) == (0.5, 1.0, 6)


def test_failed_ratings_stay_in_the_denominator_and_what_they_could_have_been_is_told() -> None:
    answers = [answer("1", True, [ALL, ALL, ALL]), answer("2", True, [None, None, None]), answer("3", False)]
    figures = metrics_of_run(answers, 3, 1000, 0)
    assert figures.score == figures.score_per_run == pytest.approx(1 / 3, abs=1e-4)
    assert figures.score_excluded == figures.score_per_run_excluded == 0.5  # one of the two that are known
    assert figures.score_at_most == pytest.approx(2 / 3, abs=1e-4)
    assert figures.failed == 3


def test_several_answers_to_a_question_share_its_weight() -> None:
    answers = [
        answer("1", True, [ALL] * 3),
        answer("1", False, sample=1),
        answer("2", False),
        answer("2", False, sample=1),
    ]
    figures = metrics_of_run(answers, 3, 1000, 0)
    assert (figures.n, figures.score) == (2, 0.25)


def test_a_run_without_a_right_answer_has_no_trace_quality() -> None:
    figures = metrics_of_run([answer("1", False)], 5, 1000, 0)
    assert figures.score == 0.0 and (figures.low, figures.high) == (0.0, 1.0)  # one clip tells nothing
    assert (figures.score_per_run_low, figures.score_per_run_high) == (0.0, 1.0)
    assert figures.trace_quality is figures.trace_quality_low is figures.trace_quality_high is None


@pytest.mark.parametrize("right", [False, True])
def test_scores_that_are_all_alike_have_an_interval_of_some_width(right: bool) -> None:
    answers = [answer(str(i), right, [ALL] * 5 if right else ()) for i in range(20)]
    figures = metrics_of_run(answers, 5, 1000, 0)
    low, high = (round(bound, 4) for bound in wilson(20 * right, 20))
    assert figures.score == right and (figures.low, figures.high) == (low, high)
    for key in ("score_per_run", "score_excluded", "score_official", *(["trace_quality"] if right else [])):
        assert (getattr(figures, f"{key}_low"), getattr(figures, f"{key}_high")) == (low, high)


def test_intervals_go_by_clips_and_trim_each_resample_anew() -> None:
    rng = np.random.default_rng(6)
    answers = []
    for i in range(40):  # ten clips, each all right or all wrong, and three raters of whom the second is generous
        ratings = [(1, *rng.integers(2, size=4)), ALL, (0, *rng.integers(2, size=4))]
        one = answer(str(i), i % 20 < 12, ratings if i % 20 < 12 else ())
        answers.append(replace(one, question=replace(one.question, group=f"clip {i // 4}")))
    figures = metrics_of_run(answers, 3, 500, 9)
    rows = [[sum(r) / 5 for r in one.ratings] or [0.0] * 3 for one in answers]
    drawn = np.random.default_rng(9).integers(10, size=(500, 10))
    resampled = [per_run([rows[4 * clip + k] for clip in row for k in range(4)]) for row in drawn]
    low, high = np.quantile(np.asarray(resampled, dtype=float), [0.025, 0.975])
    assert (figures.score_per_run_low, figures.score_per_run_high) == pytest.approx((low, high), abs=1e-4)
    assert (low, high) != pytest.approx((figures.low, figures.high), abs=1e-3)


def test_several_right_answers_to_a_question_are_no_more_evidence_than_one() -> None:
    once = [answer(str(i), True, [ALL] * 3) for i in range(10)]
    twice = [answer(str(i), True, [ALL] * 3, sample=k) for i in range(10) for k in (0, 1)]
    bounds = [metrics_of_run(answers, 3, 1000, 0).trace_quality_low for answers in (once, twice)]
    assert bounds[0] == bounds[1] == round(wilson(10, 10)[0], 4)
