"""The parameters of the text-only probe, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated

from pydantic import Field

from audio_reasoning.core.typed import Count, Strict


class Probe(Strict):
    """The text-only probe."""

    folds: Annotated[int, Field(ge=2, le=20)]
    least: Annotated[int, Field(ge=20)]
    resamples: Count
    seed: Annotated[int, Field(ge=0)]
