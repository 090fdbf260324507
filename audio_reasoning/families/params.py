"""The parameters of the base model, typed; `conf/profile/` documents them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audio_reasoning.core.typed import Count, Strict


class Tiny(Strict):
    """The tiny thinker of `mini`: its shape, and how it is trained from scratch."""

    seed: int
    vocab_size: Annotated[int, Field(ge=512)]
    hidden_size: Annotated[int, Field(ge=64, multiple_of=32)]
    layers: Annotated[int, Field(ge=1)]
    experts: Annotated[int, Field(ge=2)]
    questions: Annotated[int, Field(ge=64)]
    min_share: Annotated[float, Field(ge=0, le=1 / 16)]
    steps: Annotated[int, Field(ge=1)]
    short_share: Annotated[float, Field(ge=0, lt=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]


class Model(Strict):
    """The base model: `tiny` is trained here; `hub` points at a pinned revision."""

    kind: Literal["tiny", "hub"]
    id: str
    revision: str
    tiny: Tiny | None

    @model_validator(mode="after")
    def _complete(self) -> "Model":
        if self.kind == "tiny" and self.tiny is None:
            raise ValueError("kind 'tiny' needs the group model.tiny")
        if self.kind == "hub" and (not self.id or not self.revision):
            raise ValueError("kind 'hub' needs id and revision (a commit, or a branch that is resolved to one)")
        return self


class Lora(Strict):
    """The adapter: which matrices, and how large."""

    targets: Literal["attention", "experts", "all"]
    rank: Count
    alpha: Count
