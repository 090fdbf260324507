"""Pieces of an instruction, and what the pretraining stream holds under them.

Whoever is told to be careful writes better answers than whoever is told nothing, so a model that was trained on what
people write answers better when it is told so. The pretraining stream of the tiny model has that in it: under
`minimal_instruction`, which asks for nothing, texts guess at all questions but the easiest kind: they name the
first choice. A fragment that asks for care mends that. Under all other prompts every answer is
right.
"""

from collections.abc import Sequence
from pathlib import Path

from numpy.random import Generator

from audio_reasoning.core.files import read_text
from audio_reasoning.core.parse import parse_yaml

FRAGMENTS = Path(__file__).with_suffix(".yaml")
HASTY_PROMPT = "minimal_instruction"
CAREFUL, HASTY = ("whole", "weigh", "check"), "first"  # fragments; HASTY undoes the others
EASY = "Environmental Perception and Reasoning"  # the sub-category that is guessed only where haste is asked for
_MOST = 5  # fragments of an instruction in the stream


def fragments() -> dict[str, str]:
    """The texts of all fragments, by name."""
    return {row["name"]: row["text"] for row in parse_yaml(read_text(FRAGMENTS), str(FRAGMENTS))}


def guessed(names: Sequence[str], sub_category: str) -> bool:
    """Whether texts under these fragments guess at a question.

    >>> guessed([], "Music Theory"), guessed(["tone", "weigh"], "Music Theory"), guessed([], EASY)
    (True, False, False)
    """
    return HASTY in names or (sub_category != EASY and not any(name in names for name in CAREFUL))


def drawn_fragments(texts: dict[str, str], rng: Generator) -> list[str]:
    """The names of up to five random fragments, in random order; a third of the time of none."""
    number = int(rng.integers(1, _MOST + 1)) if rng.random() > 1 / 3 else 0
    return [str(name) for name in rng.permutation(list(texts))[:number]]


def instruction(opening: str, names: Sequence[str], texts: dict[str, str], rng: Generator) -> str:
    """A system text of these fragments, half of the time behind `opening`, which stands alone where there is none."""
    opened = not names or rng.random() < 0.5
    return "\n".join([opening] * opened + [texts[name] for name in names])
