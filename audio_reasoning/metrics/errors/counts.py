"""Questions that ask how many: which number is right, and which was chosen. Pure.

A question counts if each of its choices is one number with the same words beside it ("4 times", "Three times",
"Once"), up to LARGEST: beyond, numbers are tempi, years and distances, which nobody arrives at by counting.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audio_reasoning.metrics.errors.breakdowns import share
from audio_reasoning.metrics.errors.results import Confusion, Counts

LARGEST = 20
NUMBERS = {
    **{"no": 0, "none": 0, "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7},
    **{"eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15},
    **{"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20},
}
TIMES = {"once": 1, "twice": 2, "thrice": 3}


@dataclass(frozen=True)
class Counted:
    """One answer to a question of how many; `chosen` is None where there is no valid answer."""

    right: int
    chosen: int | None


def numbers_of(choices: Sequence[str]) -> tuple[int, ...] | None:
    """The number that each choice is, or None unless all are numbers of the same thing, and all different.

    >>> numbers_of(["Once", "Three times", "2 times"]), numbers_of(["None", "One"])
    ((1, 3, 2), (0, 1))
    >>> numbers_of(["3 birds", "2 dogs"]), numbers_of(["70 BPM", "160 BPM"]), numbers_of(["Yes", "No"])
    (None, None, None)
    """
    readings = [_reading(choice) for choice in choices]
    numbers = tuple(reading[0] for reading in readings if reading)
    things = {reading[1] for reading in readings if reading}
    return numbers if len(set(numbers)) == len(choices) and len(things) == 1 else None


def _reading(choice: str) -> tuple[int, tuple[str, ...]] | None:
    """The one number in a choice and the words beside it, without the plural's s."""
    words = [word.strip(".,:;!?()[]\"'“”‘’*") for word in choice.casefold().split()]
    words = [part for word in words for part in ((str(TIMES[word]), "time") if word in TIMES else (word,))]
    numbers = [NUMBERS[word] if word in NUMBERS else int(word) for word in words if _is_number(word)]
    if len(numbers) != 1 or numbers[0] > LARGEST:
        return None
    return numbers[0], tuple(word.removesuffix("s") for word in words if not _is_number(word))


def _is_number(word: str) -> bool:
    return word in NUMBERS or re.fullmatch(r"\d{1,3}", word) is not None


def confusion(answers: Iterable[Counted]) -> list[Confusion]:
    """How often each number was chosen for each right one; `chosen` None, last, is no valid answer.

    >>> confusion([Counted(2, 3), Counted(2, None), Counted(2, 3)])
    [Confusion(right=2, chosen=3, n=2), Confusion(right=2, chosen=None, n=1)]
    """
    table = Counter((answer.right, answer.chosen) for answer in answers)
    keys = sorted(table, key=lambda key: (key[0], key[1] is None, key[1] or 0))
    return [Confusion(right=right, chosen=chosen, n=table[right, chosen]) for right, chosen in keys]


def summary(answers: Sequence[Counted]) -> Counts:
    """How far off the counts are, over all answers; a figure of no answers at all is None.

    `mean_error` is chosen minus right over valid answers: below zero, too few were counted. `off_by_one` is the
    share of wrong answers, invalid ones included, that are one too many or too few.
    """
    errors = [answer.chosen - answer.right for answer in answers if answer.chosen is not None]
    wrong = sum(answer.chosen != answer.right for answer in answers)
    return Counts(
        n=len(answers),
        accuracy=share(len(answers) - wrong, len(answers)),
        valid=len(errors),
        mean_error=round(sum(errors) / len(errors), 4) if errors else None,
        too_few=share(sum(error < 0 for error in errors), len(answers)),
        too_many=share(sum(error > 0 for error in errors), len(answers)),
        wrong=wrong,
        off_by_one=share(sum(abs(error) == 1 for error in errors), wrong),
        confusion=confusion(answers),
    )
