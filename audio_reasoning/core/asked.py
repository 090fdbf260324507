"""Parts of the groups `arms` and `vote` that decide what is asked; the others concern what is made of the answers."""

from typing import Annotated

from pydantic import Field

from audio_reasoning.core.typed import Fraction, Name, Part, Samples


class Tampering(Part):
    """How control arms change questions; `others` are functions of arms that are no part of this project, by kind."""

    permutations: Samples
    seed: int
    others: dict[Name, str] = Field(default_factory=dict)


class Sampling(Part):
    """How several answers to a question are sampled."""

    n: Samples
    temperature: Annotated[float, Field(gt=0, le=2)]
    top_p: Fraction
    seed: int
