"""MMAR's own scoring, kept to the letter so that figures compare with published ones.

Follows `string_match` in `code/evaluation.py` of https://github.com/ddlBoJack/MMAR. It compares sets of
words, so it has known quirks: a wrong choice with the words of the right one in another order counts as
right ("From far to near" for "From near to far"), and an option letter alone never does. `acc_strict`
stands beside it in every file for that reason.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from audio_reasoning.core.records import Response
from audio_reasoning.tasks.extract import answer_text


class Asked(Protocol):
    """What an answer is read by: the choices that it may name."""

    @property
    def id(self) -> str:
        """The question's name."""

    @property
    def choices(self) -> tuple[str, ...]:
        """Its choices, verbatim."""


def official_match(prediction: str, answer: str, choices: Sequence[str]) -> bool:
    """Whether MMAR's script counts the text `prediction` as the choice `answer`.

    All words of the answer must occur in the prediction, and no word that only other choices have.

    >>> official_match("It is a dog.", "a dog", ["a dog", "a cat"])
    True
    >>> official_match("a dog, not a cat", "a dog", ["a dog", "a cat"])
    False
    """
    said, right = _words(prediction), _words(answer)
    if not said:
        return False
    wrong = set[str]().union(*(_words(choice) - right for choice in choices))
    return right <= said and not said & wrong


def submitted_text(question: Asked, response: Response) -> str:
    """The `answer_prediction` that would be submitted for `response`: what the official match is given.

    A choice that was found is submitted verbatim, since that is how to be scored for it. Otherwise it is
    whatever the model put in the answer's place: the text after `ANSWER:`, or all that follows its thinking.
    """
    if response.answer is not None:
        return question.choices[response.answer]
    return answer_text(response.text)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\b\w+\b", text.lower()))
