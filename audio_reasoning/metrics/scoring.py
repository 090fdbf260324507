"""From samples to metrics: two accuracies, and what became of the rest.

The metrics, all fractions of one over *all* questions (a question's score is the mean over its samples):
`acc_strict` (the chosen choice is the answer), `acc_official` (MMAR's string match), `truncated`, `no_answer`,
`error` and `missing`; also `n`, and per response the mean `thinking_chars` and `completion_tokens`. Where there are
any, `forced` and `reasked` are the shares of responses that took a second request.
`category`, `sub_category` and `modality` hold `acc_strict`. The list `detail` repeats them with exact names, both
accuracies and Wilson's 95 % interval of each (`low` to `high` is that of `acc_strict`), the list `missing_ids` names
the questions without a prediction, `dropped_ids`, where there are any, those that have no right choice and are not
counted, and the list `run` tells what made the predictions: in lists, since DVC shows none,
which keeps `dvc metrics show` narrow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from audio_reasoning.core.labels import Spellings, slug
from audio_reasoning.core.records import Question
from audio_reasoning.metrics.inputs import Questions, Sample, Samples
from audio_reasoning.metrics.results import Accuracy, Manifest, Metrics
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.tasks.official import official_match
from audio_reasoning.tasks.reward import correct

BREAKDOWNS: dict[str, Callable[[Question], str]] = {
    "category": lambda question: question.category,
    "sub_category": lambda question: question.sub_category,
    "modality": lambda question: question.modality,
}
FATES = ("truncated", "no_answer", "error")


@dataclass(frozen=True)
class Score:
    """One question's score: shares of its samples, so 0 or 1 where there is one sample."""

    strict: float
    official: float
    fates: tuple[float, ...]  # in the order of FATES
    missing: bool


def score_question(question: Question, samples: Sequence[Sample]) -> Score:
    """Score one question on all its samples; without any it is wrong, and missing."""
    if not samples:
        return Score(0.0, 0.0, (0.0,) * len(FATES), missing=True)
    right = question.choices[question.answer]
    return Score(
        strict=fmean(correct(question, sample.response) for sample in samples),
        official=fmean(official_match(sample.submitted, right, question.choices) for sample in samples),
        fates=tuple(fmean(sample.response.status == fate for sample in samples) for fate in FATES),
        missing=False,
    )


def metrics_of(questions: Questions, samples: Samples, run: Sequence[Manifest] = ()) -> Metrics:
    """All metrics of a set of predictions, and what made them; see the module's text for the keys.

    Raises UserError for two names of a category, sub-category or modality that would be one metric.
    """
    spellings = Spellings()
    for question in questions.values():
        spellings.add(((by, name_of(question)) for by, name_of in BREAKDOWNS.items()), f"question {question.id!r}")
    scored = [(question, score_question(question, samples.get(name, ()))) for name, question in questions.items()]
    scores = [score for _, score in scored]
    every = [sample for several in samples.values() for sample in several]
    detail = [_row("all", "all", scores)]
    tables: dict[str, Any] = {}
    for by, name_of in BREAKDOWNS.items():
        tables[by] = {}
        for name in sorted({name_of(question) for question in questions.values()}):
            row = _row(by, name, [score for question, score in scored if name_of(question) == name])
            tables[by][slug(name)] = row.acc_strict
            detail.append(row)
    shares: dict[str, Any] = {fate: _mean([score.fates[i] for score in scores]) for i, fate in enumerate(FATES)}
    rare: dict[str, Any] = {**_lengths(every), **_second_requests(every)}
    made_by: dict[str, Any] = {"run": list(run)} if run else {}
    return Metrics(
        acc_strict=detail[0].acc_strict,
        acc_official=detail[0].acc_official,
        n=len(questions),
        **shares,
        missing=_mean([score.missing for score in scores]),
        **rare,
        **tables,
        detail=detail,
        missing_ids=[name for name in questions if name not in samples],
        **made_by,
    )


def _row(by: str, name: str, scores: Sequence[Score]) -> Accuracy:
    strict = [score.strict for score in scores]
    official = [score.official for score in scores]
    low, high = wilson(sum(strict), len(scores))
    official_low, official_high = wilson(sum(official), len(scores))
    return Accuracy(
        by=by,
        name=name,
        n=len(scores),
        acc_strict=_mean(strict),
        acc_official=_mean(official),
        low=round(low, 4),
        high=round(high, 4),
        official_low=round(official_low, 4),
        official_high=round(official_high, 4),
    )


def _lengths(samples: Sequence[Sample]) -> dict[str, float]:
    """Mean lengths over the responses that have one: requests that failed have none, nor have files from elsewhere."""
    arrived = [sample.response for sample in samples if sample.response.status != "error"]
    tokens = [response.completion_tokens for response in arrived if response.completion_tokens]
    means = {"thinking_chars": [len(response.thinking) for response in arrived], "completion_tokens": tokens}
    return {key: round(fmean(values), 1) for key, values in means.items() if values}


def _second_requests(samples: Sequence[Sample]) -> dict[str, float]:
    """The shares of responses that took a second request, where there are any (audio_reasoning/engines/thinking.py)."""
    shares = {
        "forced": [sample.response.forced for sample in samples],
        "reasked": [sample.response.reasked_chars is not None for sample in samples],
    }
    return {key: _mean(values) for key, values in shares.items() if any(values)}


def _mean(values: Sequence[float]) -> float:
    return round(fmean(values), 4)
