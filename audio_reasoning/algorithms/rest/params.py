"""The parameters of self-training (ReST), typed; `conf/rest/` documents them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import IterationNames, Start
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Count, Fraction, Name, Positive, Samples, Share, Strict, unique
from audio_reasoning.training.params import Train

FEWEST_SILENT = 4  # samples that make a pass rate: one would be right or wrong, and nothing between


class Iteration(Start):
    """One round of self-training, from the model that `from` names."""

    model_config = Strict.model_config

    learning_rate: Positive
    # What trains on the bank: one of algorithms/algorithm.py, or module:object of anybody's, and what that alone reads.
    method: Annotated[str, Field(pattern=r"^(rest|[\w.]+:\w+)$")] = "rest"
    options: dict[str, Any] = Field(default_factory=dict)


class Generate(Strict):
    """How problems are sampled."""

    problems: Count
    fresh: bool
    n: Samples
    requests: Count
    temperature: Annotated[float, Field(gt=0, le=2)]
    top_p: Fraction
    max_tokens: Count
    shuffle_choices: bool
    silence_n: Annotated[int, Field(ge=0, le=256)]

    @model_validator(mode="after")
    def _divides(self) -> "Generate":
        if self.n % self.requests:
            raise ValueError(f"n ({self.n}) must be a multiple of requests ({self.requests})")
        return self


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


class Check(Strict):
    """What is tried before a training."""

    control_questions: Count
    control_n: Samples
    overfit_steps: Count
    overfit_learning_rate: Positive


class Gate(Strict):
    """When a trained adapter is accepted."""

    enabled: bool
    backend: Literal["vllm", "transformers"]
    scales: Annotated[list[Fraction], Field(min_length=1), AfterValidator(unique)]
    epsilon: Share
    max_retention_loss: Share
    retention_n: Samples
    parity_questions: Count
    parity_tokens: Count
    parity_share: Fraction


class Rest(IterationNames):
    """Self-training: sample, keep what is right, train on it, again."""

    model_config = Strict.model_config

    preset: Name
    prompt: Name
    seed: Annotated[int, Field(ge=0)]
    iterations: dict[Name, Iteration]
    generate: Generate
    select: Select
    train: Train
    check: Check
    gate: Gate

    @field_validator("iterations")
    @classmethod
    def _chained(cls, iterations: dict[str, Iteration]) -> dict[str, Iteration]:
        """Each iteration starts from the base or from an earlier entry, so there are no cycles."""
        if BASE in iterations:
            raise ValueError(f"an iteration must not be called {BASE!r}, the model that all start from")
        names = [BASE, *iterations]
        for position, (name, iteration) in enumerate(iterations.items()):
            earlier = names[: position + 1]
            if iteration.start not in names:
                raise ValueError(
                    f"{name} starts from the unknown {iteration.start!r}; {nearest(iteration.start, earlier)}"
                )
            if iteration.start not in earlier:
                raise ValueError(
                    f"{name} starts from {iteration.start!r}, which is not listed before it; "
                    f"an iteration starts from {BASE} or from an earlier one: {', '.join(earlier)}"
                )
        return iterations

    @model_validator(mode="after")
    def _silence_tried(self) -> "Rest":
        if self.select.max_silence_rate is not None and self.generate.silence_n < FEWEST_SILENT:
            raise ValueError(
                "select.max_silence_rate is compared with a pass rate on silence, which generate.silence_n "
                f"{self.generate.silence_n} does not give: raise it to {FEWEST_SILENT}, or set max_silence_rate to null"
            )
        return self
