"""The parameters of what turns answers into evidence, typed; `conf/evidence.yaml` documents them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stages.common.typed import Count, Fraction, Name, Samples, Share, Strict, unique

Arm = Literal["silence", "mismatched", "text_only", "permuted"]


def _run_name(name: str) -> str:
    if not re.fullmatch(r"([a-z][a-z0-9_]*/)?[a-z][a-z0-9_]*|[a-z][a-z0-9_]*@[a-z_]+", name):
        raise ValueError(
            "a run is called <variant>, <variant>@<condition> or <iteration>/<variant>; arms, samples and votes are "
            "of the base model alone"
        )
    return name


RunName = Annotated[str, AfterValidator(_run_name)]  # see stages/evaluate/runs.py
Variants = Annotated[list[Name], AfterValidator(unique)]  # may be empty: none


class Arms(Strict):
    """Control arms: the same questions with something taken away or moved."""

    variants: Variants
    kinds: Annotated[list[Arm], Field(min_length=1), AfterValidator(unique)]
    permutations: Samples
    seed: int


class Vote(Strict):
    """Several samples a test question, and the answer that most of them give."""

    variants: Variants
    n: Samples
    temperature: Annotated[float, Field(gt=0, le=2)]
    top_p: Fraction
    seed: int
    trace: Literal["first", "median", "shortest"]
    max_trace_chars: Count


class Thinking(Strict):
    """What is done about thinking that does not end, or is too long to submit."""

    force_answer: bool
    force_answer_tokens: Count
    closing: Annotated[str, Field(pattern="</think>")]
    reask_over_chars: Count | None
    reask_max_tokens: Count


class Contrast(Strict):
    """One declared comparison: run `b` against run `a`."""

    a: RunName
    b: RunName

    @model_validator(mode="after")
    def _differ(self) -> "Contrast":
        if self.a == self.b:
            raise ValueError(f"a contrast compares two runs, and both are {self.a!r}")
        return self


def _one_way(contrasts: list[Contrast]) -> list[Contrast]:
    for contrast in contrasts:
        if Contrast(a=contrast.b, b=contrast.a) in contrasts:
            raise ValueError(f"{contrast.a!r} and {contrast.b!r} are compared both ways, which is one comparison")
    return contrasts


class Compare(Strict):
    """Which differences are tested, and how."""

    each_with_first: bool
    contrasts: Annotated[list[Contrast], AfterValidator(unique), AfterValidator(_one_way)]
    resamples: Annotated[int, Field(ge=1000)]
    seed: int
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(gt=0, lt=1)]


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


def _one_answer(name: str) -> str:
    if "@" in name and not name.endswith("@vote"):
        raise ValueError(
            "arms and samples cannot be submitted: give <variant>, <variant>@vote or <iteration>/<variant>"
        )
    return name


class Submission(Strict):
    """What is submitted to the challenge."""

    run: Annotated[RunName, AfterValidator(_one_answer)]
    max_trace_chars: Count
    empty: Literal["refuse", "allow"]


class Errors(Strict):
    """Error analysis."""

    loop_ngram: Annotated[int, Field(ge=1)]
    loop_repeats: Annotated[int, Field(ge=2)]
