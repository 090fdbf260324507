"""What the recipes of all methods have in common, typed; `conf/` documents them, `conf/rest.yaml` for one."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from audio_reasoning.core.typed import Count, Fraction, Name, Positive, Samples, Share, Strict, unique
from audio_reasoning.training.params import Train

Seed = Annotated[int, Field(ge=0)]


class Generate(Strict):
    """How problems are sampled."""

    problems: Annotated[int, Field(ge=0)]
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


class Controls(Strict):
    """The dev questions that are sampled for the check before a training."""

    control_questions: Count
    control_n: Samples


class Check(Controls):
    """What is tried before a training."""

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


class Recipe(Strict):
    """How a model is made of the one that it starts from; a method adds what it alone asks."""

    prompt: Name
    seed: Seed
    learning_rate: Positive
    generate: Generate
    train: Train
    check: Check
    gate: Gate
