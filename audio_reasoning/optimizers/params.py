"""The parameters of a search for a prompt, typed; `conf/optimize/defaults.yaml` documents them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audio_reasoning.core.run_names import SearchStart
from audio_reasoning.core.typed import Count, Strict
from audio_reasoning.optimizers.budget import least_budget

Searches = Literal["mipro", "gepa"]


class ProposerParams(Strict):
    """What writes new instructions, and how it is asked; a bank is not asked at all."""

    kind: Literal["bank", "served", "endpoint"]
    model: str
    temperature: Annotated[float, Field(ge=0, le=2)]
    max_tokens: Count

    @model_validator(mode="after")
    def _endpoint_named(self) -> "ProposerParams":
        if self.kind == "endpoint" and not self.model:
            raise ValueError("kind endpoint needs model, the model's name at the endpoint")
        return self


class DemonstrationParams(Strict):
    """How many worked examples a prompt may have, and whether their clips are sent with them."""

    count: Annotated[int, Field(ge=0)]
    audio: bool


class SearchParams(SearchStart):
    """One search for a prompt."""

    model_config = Strict.model_config

    optimizer: Searches
    proposer: ProposerParams
    seed: Annotated[int, Field(ge=0)]
    train: Count
    validation: Count
    heldout: Count
    minibatch: Count
    candidates: Annotated[int, Field(ge=2)]
    budget: int
    demonstrations: DemonstrationParams
    silence_feedback: bool

    @model_validator(mode="after")
    def _minibatches_fit(self) -> "SearchParams":
        # MIPROv2 draws minibatches from the validation questions, GEPA from the train questions.
        source, size = ("validation", self.validation) if self.optimizer == "mipro" else ("train", self.train)
        if self.minibatch > size:
            raise ValueError(f"{source} {size} is smaller than one minibatch of {self.minibatch}")
        return self

    @model_validator(mode="after")
    def _budget_suffices(self) -> "SearchParams":
        least = least_budget(self.optimizer, self.asked_first, self.validation, self.minibatch)
        if self.budget < least:
            raise ValueError(
                f"a budget of {self.budget} answers does not suffice for the start and one minibatch; it takes {least}"
            )
        return self

    @model_validator(mode="after")
    def _demonstrations_possible(self) -> "SearchParams":
        if self.demonstrations.count and self.optimizer == "gepa":
            raise ValueError("gepa writes instructions alone; set demonstrations.count to 0, or optimizer to mipro")
        return self

    @property
    def asked_first(self) -> int:
        """How many answers the start gives to train questions before the search, those to silence included."""
        return self.train * (2 if self.silence_feedback else 1)
