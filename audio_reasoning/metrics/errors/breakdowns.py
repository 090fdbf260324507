"""Accuracy by what a question asks for, and by what a response looks like: pure.

Accuracy is strict. By a property of the question it is the mean of the questions' scores, a score being the mean
over the samples: a question without a prediction is wrong. By a property of the response it is the share of the
responses that are right. Either way the interval is Wilson's for so many *questions*: samples of one question are
no independent evidence. Beside it stand the shares of the group that FATES name: cut off, without an answer, failed.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean, quantiles
from typing import Any

from audio_reasoning.core.records import Question
from audio_reasoning.core.shown import printable
from audio_reasoning.metrics.errors.results import Bounded, QuestionGroup, ResponseGroup
from audio_reasoning.metrics.inputs import Questions, Sample, Samples
from audio_reasoning.metrics.scoring import FATES, Score
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.tasks.reward import correct

Answered = tuple[Question, Sample]

CLIP_EDGES_S = (2, 5, 10, 20, 30)
THINKING_BINS = 4  # quartiles
NOT_GIVEN = "not given"
NOMINAL: dict[str, Callable[[Question], str]] = {
    "sub_category": lambda question: question.sub_category,
    "modality": lambda question: question.modality,
    "language": lambda question: question.language or NOT_GIVEN,
}
ORDINAL: dict[str, Callable[[Question], tuple[int, str]]] = {
    "choices": lambda question: (len(question.choices), str(len(question.choices))),
    "clip_length": lambda question: _clip_bin(question.audio.duration_s),
    "right_position": lambda question: (question.answer, letter(question.answer)),
}


def letter(position: int) -> str:
    """The letter of a choice's position, or its number beyond Z.

    >>> letter(0), letter(26)
    ('A', '27')
    """
    return chr(ord("A") + position) if position < 26 else str(position + 1)


def by_question(questions: Questions, scores: dict[str, Score]) -> list[QuestionGroup]:
    """A row for each group of questions: names, worst first, then sizes and positions in their order."""
    rows: list[QuestionGroup] = []
    for by, name_of in NOMINAL.items():
        names = sorted({name_of(question) for question in questions.values()})
        groups = [_row(by, name, [q for q in questions.values() if name_of(q) == name], scores) for name in names]
        rows += sorted(groups, key=lambda row: row.acc or 0.0)
    for by, key_of in ORDINAL.items():
        keys = sorted({key_of(question) for question in questions.values()})
        rows += [_row(by, key[1], [q for q in questions.values() if key_of(q) == key], scores) for key in keys]
    return rows


def overall(questions: Questions, scores: dict[str, Score]) -> QuestionGroup:
    """The row of all questions."""
    return _row("all", "all", list(questions.values()), scores)


def _row(by: str, name: str, members: Sequence[Question], scores: dict[str, Score]) -> QuestionGroup:
    member_scores = [scores[question.id] for question in members]
    chance = fmean(1 / len(question.choices) for question in members)
    fates = zip(*(score.fates for score in member_scores), strict=True)
    truncated, no_answer, error = (share(sum(fate), len(members)) for fate in fates)
    return QuestionGroup(
        by=by,
        name=printable(name),
        n=len(members),
        **vars(accuracy(sum(score.strict for score in member_scores), len(members))),
        chance=round(chance, 4),
        truncated=truncated,
        no_answer=no_answer,
        error=error,
    )


def accuracy(right: float, n: int) -> Bounded:
    """Accuracy and its interval; None where there is nothing to be right about.

    >>> accuracy(0, 0)
    Bounded(acc=None, low=None, high=None)
    """
    if not n:
        return Bounded(acc=None, low=None, high=None)
    low, high = wilson(right, n)
    return Bounded(acc=round(right / n, 4), low=round(low, 4), high=round(high, 4))


def by_response(by: str, groups: dict[str, list[Answered]], total: int) -> list[ResponseGroup]:
    """A row for each group of responses, in the order given; `share` is of all `total` responses."""
    return [
        ResponseGroup(
            by=by,
            name=name,
            n=len(members),
            share=share(len(members), total),
            **vars(response_accuracy(members)),
            **_fates(members),
        )
        for name, members in groups.items()
    ]


def _fates(members: Sequence[Answered]) -> dict[str, Any]:
    statuses = Counter[str](sample.response.status for _, sample in members)
    return {fate: share(statuses[fate], len(members)) for fate in FATES}


def response_accuracy(members: Sequence[Answered]) -> Bounded:
    """The share of right responses, with an interval for as many observations as there are questions."""
    n = len({question.id for question, _ in members})
    right = sum(correct(question, sample.response) for question, sample in members)
    return accuracy(right / len(members) * n if members else 0, n)


def by_thinking_length(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Responses by the length of their thinking in characters: quartiles of the traces that there are."""
    length = [len(sample.response.thinking) for _, sample in answered]
    traces = sorted(n for n in length if n)
    edges = sorted(set(quantiles(traces, n=THINKING_BINS, method="inclusive"))) if len(traces) > 1 else []
    bins: dict[int, list[Answered]] = {}
    for n, pair in zip(length, answered, strict=True):
        bins.setdefault(bisect_right(edges, n) if n else -1, []).append(pair)
    return {_thinking_name(bins[index]): bins[index] for index in sorted(bins)}


def _thinking_name(members: Sequence[Answered]) -> str:
    lengths = [len(sample.response.thinking) for _, sample in members]
    shortest, longest = min(lengths), max(lengths)
    if not longest:
        return "none"
    return f"{shortest:,}" if shortest == longest else f"{shortest:,}–{longest:,}"


def by_rule(answered: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Responses by the extraction rule that read their answer, the most used first."""
    groups: dict[str, list[Answered]] = {}
    for pair in answered:
        groups.setdefault(pair[1].response.extraction, []).append(pair)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def chosen_positions(answered: Sequence[Answered]) -> dict[str, float]:
    """The share of all responses that chose each position, by its letter."""
    chosen = Counter(sample.response.answer for _, sample in answered if sample.response.answer is not None)
    return {letter(position): round(chosen[position] / len(answered), 4) for position in sorted(chosen)}


def pairs(questions: Questions, samples: Samples) -> list[Answered]:
    """Every response with its question, in the questions' order."""
    return [(question, sample) for name, question in questions.items() for sample in samples.get(name, ())]


def share(part: float, whole: float) -> float | None:
    """A part of a whole; None of nothing."""
    return round(part / whole, 4) if whole else None


def _clip_bin(duration_s: float) -> tuple[int, str]:
    """A clip's length in seconds, as a range; metadata without clips has none.

    >>> _clip_bin(1.5), _clip_bin(20), _clip_bin(31), _clip_bin(0)
    ((0, 'under 2 s'), (4, '20–30 s'), (5, '30 s and over'), (-1, 'not given'))
    """
    if not duration_s:
        return -1, NOT_GIVEN
    index = bisect_right(CLIP_EDGES_S, duration_s)
    if index == 0:
        return index, f"under {CLIP_EDGES_S[0]} s"
    if index == len(CLIP_EDGES_S):
        return index, f"{CLIP_EDGES_S[-1]} s and over"
    return index, f"{CLIP_EDGES_S[index - 1]}–{CLIP_EDGES_S[index]} s"
