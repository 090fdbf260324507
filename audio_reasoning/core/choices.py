"""What makes a set of choices one that a single right answer can be picked from."""

import json
from collections.abc import Sequence

from audio_reasoning.core.errors import UserError


def kept_choices(choices: object, where: str) -> tuple[str, ...]:
    """The choices verbatim, without blank ones, which nobody can choose.

    Raises UserError, prefixed by `where`, unless `choices` is a list of texts of which at least two are not
    blank, and none is given twice up to outer spaces.

    >>> kept_choices(["rain ", "wind", ""], "q.jsonl:1")
    ('rain ', 'wind')
    """
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise UserError(f"{where}: 'choices' must be a list of texts, found {json.dumps(choices)}")
    kept = tuple(choice for choice in choices if choice.strip())
    stripped = [choice.strip() for choice in kept]
    for choice in stripped:
        if stripped.count(choice) > 1:
            raise UserError(f"{where}: the choice {choice!r} is given twice")
    if len(kept) < 2:
        raise UserError(f"{where}: a question needs at least two choices, found {json.dumps(choices)}")
    return kept


def right_choice(choices: Sequence[str], answer: str, where: str) -> int:
    """The index of the choice that `answer` gives verbatim or, failing that, up to outer spaces.

    Raises UserError, prefixed by `where`, if there is none.

    >>> right_choice(["No", "no "], "no", "q.jsonl:1")
    1
    """
    if answer in choices:
        return choices.index(answer)
    stripped = [choice.strip() for choice in choices]
    if answer.strip() in stripped:
        return stripped.index(answer.strip())
    raise UserError(
        f"{where}: the answer {answer!r} is not one of the choices {json.dumps(choices, ensure_ascii=False)}"
    )
