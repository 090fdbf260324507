"""What ratings say of a run: MMAR-Rubrics' score in both forms, its interval, and what stands behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from stages.common.records import Question, Response
from stages.evaluate.stats import LEVEL, bootstrap_differences
from stages.judge.ratings import Rating, Row, agreement, failed_as, per_item, per_run


@dataclass(frozen=True)
class Answer:
    """A run's answer to a question, its text as `submitted`, and whether it is right: strictly, and by MMAR's match.

    Wrong answers score 0 and nobody is asked about them: only those that are right in one way have `ratings`, None
    for one that failed, and a `why` for each: what the judge said of the items, or why the rating failed.
    """

    run: str
    question: Question
    response: Response
    submitted: str
    strict: bool
    official: bool
    ratings: tuple[Rating | None, ...] = ()
    why: tuple[tuple[str, ...] | str, ...] = ()

    @property
    def is_rated(self) -> bool:
        """Whether a judge has to rate it."""
        return self.strict or self.official


def question_scores(answers: Sequence[Answer], raters: int) -> dict[str, float]:
    """Each question's score in [0, 1] by id, in order: the mean over its answers of their trimmed mean rating.

    Wrong answers and failed ratings count as 0.
    """
    found: dict[str, list[float]] = {}
    for answer, score in zip(answers, per_item(failed_as(0.0, _rows(answers, raters))), strict=True):
        found.setdefault(answer.question.id, []).append(score or 0.0)
    return {name: fmean(scores) for name, scores in found.items()}


def metrics_of_run(answers: Sequence[Answer], raters: int, resamples: int, seed: int) -> dict[str, Any]:
    """The figures of one run; `score` is the one to quote, and the others say how it came about.

    - `score`, with its 95 % interval `low` to `high` (bootstrap over clips): trimmed per item, as MMAR's script does;
      `score_per_run`: trimmed over whole runs, as its website says.
    - `score_excluded`, `score_per_run_excluded`: without failed ratings, which the others count as 0; `score_at_most`
      counts them as 1, so whatever they would have been, the score lies between `score` and this.
    - `score_official`: where MMAR's own match decides which answers are right.
    - `trace_quality`: the mean score of right answers alone, so free of accuracy.
    - `ratings`, `failed`: ratings asked for, and those of them that failed for good.
    - `kappa`, `unanimous`: how far the ratings agree (see `agreement`).
    """
    rows = _rows(answers, raters)
    official = [_row(answer, answer.official, raters) for answer in answers]
    right = [row for row, answer in zip(rows, answers, strict=True) if answer.strict]
    ratings = [answer.ratings for answer in answers if answer.is_rated]
    scores = question_scores(answers, raters)
    low, high = _interval(scores, {answer.question.id: answer.question.group for answer in answers}, resamples, seed)
    kappa, unanimous = agreement(ratings)
    figures = {
        "n": len(scores),
        "acc_strict": fmean(answer.strict for answer in answers),
        "acc_official": fmean(answer.official for answer in answers),
        "score": fmean(scores.values()),
        "low": low,
        "high": high,
        "score_per_run": per_run(failed_as(0.0, rows)),
        "score_excluded": _mean(per_item(rows)),
        "score_at_most": _mean(per_item(failed_as(1.0, rows))),
        "score_per_run_excluded": per_run(rows),
        "score_official": _mean(per_item(failed_as(0.0, official))),
        "trace_quality": _mean(per_item(failed_as(0.0, right))),
        "ratings": sum(len(row) for row in ratings),
        "failed": sum(rating is None for row in ratings for rating in row),
        "kappa": kappa,
        "unanimous": unanimous,
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}


def items_met(answers: Sequence[Answer]) -> list[float]:
    """The share of right answers' ratings that meet each item, in the order of the items."""
    ratings = [rating for answer in answers if answer.strict for rating in answer.ratings if rating is not None]
    return [round(fmean(item), 4) for item in zip(*ratings, strict=True)]


def _rows(answers: Sequence[Answer], raters: int) -> list[Row]:
    return [_row(answer, answer.strict, raters) for answer in answers]


def _row(answer: Answer, right: bool, raters: int) -> Row:
    if not right:
        return [0.0] * raters
    return [None if rating is None else fmean(rating) for rating in answer.ratings]


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def _interval(
    scores: dict[str, float], groups: dict[str, str], resamples: int, seed: int
) -> tuple[float | None, float | None]:
    """The percentile interval of the mean score; unknown with fewer than two clips."""
    names = [groups[name] for name in scores]
    if len(set(names)) < 2:
        return None, None
    means = bootstrap_differences(list(scores.values()), names, resamples, seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
