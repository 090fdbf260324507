"""The parameters of control arms, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.runs import ARMS
from audio_reasoning.core.typed import Name, Samples, Strict, Variants, unique


class Arms(Strict):
    """Control arms: the same questions with something taken away or moved."""

    variants: Variants
    kinds: Annotated[list[Name], Field(min_length=1), AfterValidator(unique)]
    permutations: Samples
    seed: int
    others: dict[Name, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kinds_known(self) -> "Arms":
        for kind in self.kinds:
            if kind not in ARMS and kind not in self.others:
                hint = nearest(kind, [*ARMS, *self.others])
                raise ValueError(f"kinds: no control arm is called {kind!r}; {hint} (arms.others adds more)")
        return self
