"""The recipe of self-training (ReST), typed; `conf/rest.yaml` documents it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audio_reasoning.algorithms.params import Recipe
from audio_reasoning.core.typed import Count, Share, Strict

FEWEST_SILENT = 4  # samples that make a pass rate: one would be right or wrong, and nothing between


class Select(Strict):
    """Which samples are trained on."""

    band: Literal["learning_zone", "wide", "all"]
    traces: Literal["all", "best", "top_k"]
    k: Count
    rank: Literal["shortest", "random", "diverse"]
    max_per_sub_category: Annotated[int, Field(ge=1)] | None
    mastered_share: Annotated[float, Field(ge=0, lt=1)]
    max_silence_rate: Share | None
    accumulate: bool


class Rest(Recipe):
    """Self-training: sample, keep what is right, train on it."""

    select: Select

    @model_validator(mode="after")
    def _samples(self) -> "Rest":
        if self.generate.problems < 1:
            raise ValueError("generate.problems is 0: rest trains on what it samples")
        return self

    @model_validator(mode="after")
    def _silence_tried(self) -> "Rest":
        if self.select.max_silence_rate is not None and self.generate.silence_n < FEWEST_SILENT:
            raise ValueError(
                "select.max_silence_rate is compared with a pass rate on silence, which generate.silence_n "
                f"{self.generate.silence_n} does not give: raise it to {FEWEST_SILENT}, or set max_silence_rate to null"
            )
        return self
