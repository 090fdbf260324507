"""What a question type is: a fact about a scene, asked with choices drawn before the sound is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from numpy.random import Generator

from audio_reasoning.tasks.mini.synth import Signal

Facts = Mapping[str, str]


@dataclass(frozen=True)
class Scene:
    """A rendered clip.

    `heard` tells, for each fact that can be asked of this scene, what in the audio decides it, in the
    order in which it is heard.
    """

    samples: Signal
    modality: str
    heard: Mapping[str, str]


# (randomness, difficulty in [0, 1], facts that must be true) -> a scene; it draws the other facts itself.
Render = Callable[[Generator, float, Facts], Scene]


@dataclass(frozen=True)
class Kind:
    """A question type.

    `fact` is what is asked of `scene`; its value will be one of the choices. `shown` of the `options`
    become the choices; of `ordered` options (numbers) they are neighbours. `targets` fill {target} in
    the question and are a fact of their own. `analysis` and `brief` may hold {answer} and {target}.
    A `free` fact is independent of every other fact of its scene, so both may be asked about one clip.
    `weight` is the type's frequency within its sub-category.
    """

    name: str
    sub_category: str
    scene: Render
    fact: str
    question: str
    options: tuple[str, ...]
    analysis: str
    brief: str
    shown: int = 4
    ordered: bool = False
    targets: tuple[str, ...] = ()
    free: bool = False
    weight: int = 1


def pick(rng: Generator, options: Sequence[str]) -> str:
    """One option, uniformly."""
    return options[int(rng.integers(len(options)))]


def some(rng: Generator, options: Sequence[str], count: int) -> list[str]:
    """`count` different options in random order."""
    return [options[i] for i in rng.permutation(len(options))[:count]]


def fact(rng: Generator, facts: Facts, name: str, options: Sequence[str]) -> str:
    """The fact that was asked for, or any."""
    return facts[name] if name in facts else pick(rng, options)
