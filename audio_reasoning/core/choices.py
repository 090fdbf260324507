"""What makes a set of choices one that a single right answer can be picked from."""

import json
from collections.abc import Sequence


def kept_choices(choices: Sequence[str]) -> tuple[str, ...]:
    """The choices verbatim, without blank ones, which nobody can choose.

    Raises ValueError unless at least two are not blank, and none is given twice up to outer spaces.

    >>> kept_choices(["rain ", "wind", ""])
    ('rain ', 'wind')
    """
    kept = tuple(choice for choice in choices if choice.strip())
    stripped = [choice.strip() for choice in kept]
    for choice in stripped:
        if stripped.count(choice) > 1:
            raise ValueError(f"the choice {choice!r} is given twice")
    if len(kept) < 2:
        raise ValueError(f"a question needs at least two choices, found {json.dumps(list(choices))}")
    return kept


def right_choice(choices: Sequence[str], answer: str) -> int:
    """The index of the choice that `answer` gives verbatim or, failing that, up to outer spaces.

    Raises ValueError if there is none.

    >>> right_choice(["No", "no "], "no")
    1
    """
    if answer in choices:
        return choices.index(answer)
    stripped = [choice.strip() for choice in choices]
    if answer.strip() in stripped:
        return stripped.index(answer.strip())
    raise ValueError(f"the answer {answer!r} is not one of the choices {json.dumps(choices, ensure_ascii=False)}")
