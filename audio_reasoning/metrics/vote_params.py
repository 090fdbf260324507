"""The parameters of samples and votes, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated, Literal

from pydantic import Field

from audio_reasoning.core.typed import Count, Fraction, Samples, Strict, Variants


class Vote(Strict):
    """Several samples a test question, and the answer that most of them give."""

    variants: Variants
    n: Samples
    temperature: Annotated[float, Field(gt=0, le=2)]
    top_p: Fraction
    seed: int
    trace: Literal["first", "median", "shortest"]
    max_trace_chars: Count
