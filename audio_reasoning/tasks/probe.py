"""The text-only probe: how often a classifier that hears nothing chooses the right answer.

What it gets above chance, question and choices give away: an answer that stands first, is the longest, the odd one out,
or a favourite of whoever wrote the questions. An accuracy that audio is credited with starts there, not at chance.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from audio_reasoning.tasks.splits import grouped_folds

FEATURES = 2**16  # that hashed features share: far more than a set of questions has
PENALTY = 0.3  # scikit-learn's C: features are many and mostly rare
OPTIONS = 12  # choices seen with a question's wording; with more of them, which are missing tells nothing


class Asked(Protocol):
    """The text of a question, and what keeps questions together."""

    @property
    def question(self) -> str: ...  # noqa: D102
    @property
    def choices(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def answer(self) -> int: ...  # noqa: D102
    @property
    def sub_category(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102


def answered_right(questions: Sequence[Asked], folds: int, seed: int) -> list[bool]:
    """Whether the probe chose right, for each question: by a classifier that saw no question of the same group.

    A logistic regression tells right choices from wrong ones by `choice_features`; the choice that it scores highest is
    its answer. Raises ValueError for fewer groups than folds.
    """
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import LogisticRegression

    options = _options(questions)
    features = [names for question in questions for names in choice_features(question, options[question.question])]
    hashed = FeatureHasher(FEATURES, input_type="string").transform(features).tocsr()
    hashed = hashed[:, np.unique(hashed.indices)]  # a classifier has no use for empty columns, and pays for them
    owners = np.repeat(np.arange(len(questions)), [len(question.choices) for question in questions])
    starts = np.searchsorted(owners, np.arange(len(questions)))
    is_right = np.zeros(len(owners), dtype=bool)
    is_right[starts + np.array([question.answer for question in questions])] = True
    scores = np.zeros(len(owners))
    groups = [question.group for question in questions]
    strata = [question.sub_category for question in questions]
    for others, members in grouped_folds(groups, strata, folds, seed):
        seen, unseen = np.isin(owners, others), np.isin(owners, members)
        model = LogisticRegression(C=PENALTY, solver="liblinear", tol=1e-3).fit(hashed[seen], is_right[seen])
        scores[unseen] = model.decision_function(hashed[unseen])
    by_question = np.split(scores, starts[1:])
    return [int(np.argmax(of)) == question.answer for of, question in zip(by_question, questions, strict=True)]


def _options(questions: Sequence[Asked]) -> dict[str, set[str]]:
    """All choices that were seen with each wording of a question."""
    options: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        options[question.question].update(question.choices)
    return options


def choice_features(question: Asked, options: set[str]) -> Iterator[list[str]]:
    """The features of each choice in order: its words, place, length, likeness to the others, and the question.

    `options` are the choices that this wording of the question was seen with; which of them are left out may tell.
    """
    wording, choices = question.question, question.choices
    size = len(choices)
    words = [set(choice.lower().split()) for choice in choices]
    about = set(wording.lower().split())
    missing = options - set(choices) if len(options) <= OPTIONS else set()
    lengths = [len(choice) for choice in choices]
    alike = [sum(len(mine & other) for other in words) - len(mine) for mine in words]
    for position, choice in enumerate(choices):
        yield [
            f"choice={choice}",
            *(f"word={word}" for word in sorted(words[position])),
            f"position={position}/{size}",
            f"length={_rank(lengths, position)}/{size}",
            f"words={_rank([len(each) for each in words], position)}/{size}",
            f"alike={_rank(alike, position)}/{size}",
            f"asked={min(len(words[position] & about), 3)}",
            f"question={wording}|{choice}",
            f"question={wording}|{position}",
            *(f"with={choice}|{other}" for other in choices if other != choice),
            *(f"missing={choice}|{other}" for other in sorted(missing)),
        ]


def _rank(values: Sequence[int], position: int) -> str:
    """How many are smaller and how many larger: "0-3" is the smallest of four, alone."""
    return f"{sum(v < values[position] for v in values)}-{sum(v > values[position] for v in values)}"
