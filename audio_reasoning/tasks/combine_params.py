"""The parameters of how sources are combined and decontaminated, typed; `conf/config.yaml` documents them."""

from typing import Annotated

from pydantic import Field, model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.taxonomy import LAYER_OF
from audio_reasoning.core.typed import Count, Fraction, Name, Positive, Share, Strict


class Part(Strict):
    """What is taken of one source, of each split alike; and what its sub-categories are called in the taxonomy."""

    share: Share = 1.0
    sub_categories: dict[str, Share] = Field(default_factory=dict)  # in place of `share`, by the taxonomy's name
    limit: Count | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_the_taxonomys(self) -> "Part":
        for label, name in self.labels.items():
            if name not in LAYER_OF:
                raise ValueError(f"labels: {label!r} is mapped to {name!r}; {nearest(name, LAYER_OF)}")
        return self


class Combine(Strict):
    """What is taken of each source; all of one that is not named, under its own labels."""

    seed: Annotated[int, Field(ge=0)] = 0
    parts: dict[Name, Part] = Field(default_factory=dict)


class SameSound(Strict):
    """What two recordings must have in common for one to be a copy of the other; all three."""

    overlap: Fraction = 0.6
    coherence: Fraction = 0.65
    distance_db: Positive = 4.0


class NearText(Strict):
    """What two questions' texts must have in common for one to be the other, and when they are a form instead."""

    likeness: Fraction = 0.8
    common: Count = 10


class Decontaminate(Strict):
    """How questions of train and dev are found that a test set holds, under whatever name."""

    enabled: bool = True
    synthetic: list[Name] = Field(default_factory=list)
    sound: SameSound | None = SameSound()  # None: sounds are not compared
    text: NearText | None = NearText()  # None: texts are not compared
