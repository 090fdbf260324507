"""The recipe of supervised fine-tuning on given traces, typed; `conf/sft.yaml` documents it."""

from typing import Annotated, Literal

from pydantic import Field

from audio_reasoning.algorithms.params import Recipe
from audio_reasoning.core.typed import Strict

Form = Literal["heard", "structured", "free", "none"]


class Select(Strict):
    """Which traces are learnt, and in which form."""

    form: Form
    limit: Annotated[int, Field(ge=1)] | None
    max_per_sub_category: Annotated[int, Field(ge=1)] | None


class Sft(Recipe):
    """Supervised fine-tuning: no sampling but of the check's dev questions."""

    select: Select
