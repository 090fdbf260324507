"""Which questions a search may ask: never those of the test set, and none twice in different parts."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import NO_AUDIO, Question
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.tasks.splits import PARTS, grouped_folds, linked


@dataclass(frozen=True)
class Sets:
    """The questions of one search: to learn from, to select by, and to compare start and result on at the end."""

    train: list[Question]
    validation: list[Question]
    heldout: list[Question]


def sets_of(train: Sequence[Question], dev: Sequence[Question], test: Sequence[Question], params: SearchParams) -> Sets:
    """A sample of the train questions, and two parts of the dev questions that share no clip, drawn by the seed.

    Raises UserError for a test question among them, and where there are too few.
    """
    check_unseen(train, test, "train")
    check_unseen(dev, test, "dev")
    if params.train > len(train):
        raise UserError(f"train {params.train}: there are {len(train)} train questions; lower it, or add a source")
    drawn = np.random.default_rng(params.seed).permutation(len(train))[: params.train]
    validation, heldout = two_parts(dev, params.validation, params.heldout, params.seed)
    return Sets([train[index] for index in drawn], validation, heldout)


def check_unseen(questions: Sequence[Question], test: Sequence[Question], split: str) -> None:
    """Raise UserError, naming the first, if a question, its clip or its group is among the test questions."""
    traits: dict[str, Callable[[Question], str]] = {
        "id": lambda question: question.id,
        "group": lambda question: question.group,
        "clip": lambda question: question.audio.sha256 if question.audio is not NO_AUDIO else question.id,
    }
    for trait, of in traits.items():
        held = {of(question): question.id for question in test}
        for question in questions:
            if of(question) in held:
                raise UserError(
                    f"{question.id}: this {split} question has the {trait} of the test question {held[of(question)]}, "
                    "and a prompt must not be optimised on what it is tested with; see the splits in data.sources"
                )


def two_parts(
    questions: Sequence[Question], first: int, second: int, seed: int
) -> tuple[list[Question], list[Question]]:
    """So many questions each, sub-categories about as frequent in both; those of one clip are in one part, or in none.

    Raises UserError, saying how many there are, where they do not suffice.
    """
    groups = linked([question.group for question in questions], [question.audio.sha256 for question in questions])
    order = _mixed(groups, [question.sub_category for question in questions], seed)
    chosen = order[:first]
    used = {groups[index] for index in chosen}
    rest = [index for index in order[first:] if groups[index] not in used][:second]
    if len(chosen) < first or len(rest) < second:
        raise UserError(
            f"validation {first} and heldout {second}: of {len(questions)} dev questions {len(chosen)} and then "
            f"{len(rest)} can be had without a clip in both; lower them, or add dev questions"
        )
    return [questions[index] for index in chosen], [questions[index] for index in rest]


def _mixed(groups: Sequence[str], strata: Sequence[str], seed: int) -> list[int]:
    """All indices, such that any stretch of them has all strata about as often: fold after fold, groups together."""
    rng, order = np.random.default_rng(seed), list[int]()
    folds = min(PARTS, len(set(groups)))
    if folds < 2:
        return [*range(len(groups))]
    for _, members in grouped_folds(groups, strata, folds, seed):
        together: defaultdict[str, list[int]] = defaultdict(list)
        for index in rng.permutation(members):
            together[groups[index]].append(int(index))
        order += [index for group in together.values() for index in group]
    return order
