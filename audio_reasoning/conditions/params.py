"""The parameters of control arms, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from audio_reasoning.core.runs import Arm
from audio_reasoning.core.typed import Samples, Strict, Variants, unique


class Arms(Strict):
    """Control arms: the same questions with something taken away or moved."""

    variants: Variants
    kinds: Annotated[list[Arm], Field(min_length=1), AfterValidator(unique)]
    permutations: Samples
    seed: int
