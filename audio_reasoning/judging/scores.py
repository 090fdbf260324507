"""What ratings say of a run: MMAR-Rubrics' score in both forms, its interval, and what stands behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from audio_reasoning.core.records import Question, Response
from audio_reasoning.judging.ratings import Rating, Row, agreement, failed_as, per_item, per_run
from audio_reasoning.metrics.judge_results import RunScores
from audio_reasoning.metrics.stats import at_least_wilson, bootstrap_means, mean_interval

INTERVALS = ("trace_quality", "score_per_run", "score_excluded", "score_official")
Bounds = tuple[float | None, float | None]


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
    by_question: dict[str, list[float]] = {}
    for answer, score in zip(answers, per_item(failed_as(0.0, _rows(answers, raters))), strict=True):
        by_question.setdefault(answer.question.id, []).append(score or 0.0)
    return {name: fmean(scores) for name, scores in by_question.items()}


def metrics_of_run(answers: Sequence[Answer], raters: int, resamples: int, seed: int) -> RunScores:
    """The figures of one run; `score` is the one to quote, and the others say how it came about.

    - `score`, with its 95 % interval `low` to `high` (see `mean_interval`): trimmed per item, as MMAR's script does;
      `score_per_run`: trimmed over whole runs, as its website says. INTERVALS names the figures whose intervals are
      `<key>_low` to `<key>_high`.
    - `score_excluded`, `score_per_run_excluded`: without failed ratings, which the others count as 0; `score_at_most`
      counts them as 1, so whatever they would have been, the score lies between `score` and this.
    - `score_official`: where MMAR's own match decides which answers are right.
    - `trace_quality`: the mean score of right answers alone, so free of accuracy.
    - `ratings`, `failed`: ratings asked for, and those of them that failed for good.
    - `kappa`, `unanimous`: how far the ratings agree (see `agreement`).
    """
    rows = _rows(answers, raters)
    official = [_row(answer, answer.official, raters) for answer in answers]
    trimmed = per_item(failed_as(0.0, rows))
    means = {  # of the answers that they are known of
        "trace_quality": [score if answer.strict else None for score, answer in zip(trimmed, answers, strict=True)],
        "score_excluded": per_item(rows),
        "score_official": per_item(failed_as(0.0, official)),
    }
    ratings = [answer.ratings for answer in answers if answer.is_rated]
    scores = question_scores(answers, raters)
    groups = {answer.question.id: answer.question.group for answer in answers}
    low, high = mean_interval(list(scores.values()), [groups[name] for name in scores], resamples, seed)
    kappa, unanimous = agreement(ratings)
    figures: dict[str, Any] = {
        "n": len(scores),
        "acc_strict": fmean(answer.strict for answer in answers),
        "acc_official": fmean(answer.official for answer in answers),
        "score": fmean(scores.values()),
        "low": low,
        "high": high,
        "score_per_run": per_run(failed_as(0.0, rows)),
        "score_excluded": _mean(means["score_excluded"]),
        "score_at_most": _mean(per_item(failed_as(1.0, rows))),
        "score_per_run_excluded": per_run(rows),
        "score_official": _mean(means["score_official"]),
        "trace_quality": _mean(means["trace_quality"]),
        "ratings": sum(len(row) for row in ratings),
        "failed": sum(rating is None for row in ratings for rating in row),
        "kappa": kappa,
        "unanimous": unanimous,
    }
    bounds = {key: _interval(values, answers, resamples, seed) for key, values in means.items()}
    bounds["score_per_run"] = _per_run_interval(rows, answers, resamples, seed)
    for key in INTERVALS:
        figures[f"{key}_low"], figures[f"{key}_high"] = bounds[key]
    rounded: dict[str, Any] = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    return RunScores(**rounded)


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


def _interval(values: Sequence[float | None], answers: Sequence[Answer], resamples: int, seed: int) -> Bounds:
    """The 95 % interval of the mean over the answers that have a value; None without any."""
    known = [(value, answer.question) for value, answer in zip(values, answers, strict=True) if value is not None]
    if not known:
        return None, None
    n = len({question.id for _, question in known})
    groups = [question.group for _, question in known]
    return mean_interval([value for value, _ in known], groups, resamples, seed, n)


def _per_run_interval(rows: Sequence[Row], answers: Sequence[Answer], resamples: int, seed: int) -> Bounds:
    """The 95 % interval of `score_per_run`: of each resample, the trimmed mean of the raters' means."""
    groups, n = [answer.question.group for answer in answers], len({answer.question.id for answer in answers})
    if len(set(groups)) < 2:
        return 0.0, 1.0
    complete = failed_as(0.0, rows)
    drawn = np.sort(bootstrap_means([*zip(*complete, strict=True)], groups, resamples, seed), axis=0)
    kept = drawn[1:-1] if len(drawn) > 2 else drawn
    return at_least_wilson(kept.mean(axis=0), (per_run(complete) or 0.0) * n, n)
