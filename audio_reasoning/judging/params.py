"""The parameters of judging, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from audio_reasoning.core.runs import RunName
from audio_reasoning.core.typed import Count, Share, Strict, unique


class Judge(Strict):
    """Rubric judging, MMAR-Rubrics' protocol."""

    kind: Literal["evidence", "endpoint"]
    runs: Annotated[list[RunName], AfterValidator(unique)]
    rubrics: Annotated[str, Field(min_length=1)]
    model: str
    ratings: Annotated[int, Field(ge=1, le=100)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    seed: int
    max_tokens: Count
    max_calls: Count
    max_error_rate: Share

    @model_validator(mode="after")
    def _model_named(self) -> "Judge":
        if self.kind == "endpoint" and not self.model:
            raise ValueError("kind endpoint needs judge.model, the judge's name at the endpoint")
        return self
