"""Which differences are tested, and how: typed; `conf/evidence.yaml` documents it."""

from typing import Annotated

from pydantic import AfterValidator, model_validator

from audio_reasoning.core.runs import RunName
from audio_reasoning.core.typed import Strict, unique
from audio_reasoning.metrics.resampling import Resampling


class Contrast(Strict):
    """One declared comparison: run `b` against run `a`."""

    a: RunName
    b: RunName

    @model_validator(mode="after")
    def _differ(self) -> "Contrast":
        if self.a == self.b:
            raise ValueError(f"a contrast compares two runs, and both are {self.a!r}")
        return self


def _one_way(contrasts: list[Contrast]) -> list[Contrast]:
    for contrast in contrasts:
        if Contrast(a=contrast.b, b=contrast.a) in contrasts:
            raise ValueError(f"{contrast.a!r} and {contrast.b!r} are compared both ways, which is one comparison")
    return contrasts


class Compare(Resampling):
    """Which differences are tested, and how."""

    model_config = Strict.model_config

    each_with_first: bool
    contrasts: Annotated[list[Contrast], AfterValidator(unique), AfterValidator(_one_way)]
