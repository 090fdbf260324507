"""How differences are tested, wherever one is: a part of the group `compare`."""

from typing import Annotated

from pydantic import Field

from audio_reasoning.core.typed import Part


class Resampling(Part):
    """How differences are tested."""

    resamples: Annotated[int, Field(ge=1000)]
    seed: int
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(gt=0, lt=1)]
