"""The parameters of asking a model, typed; `conf/config.yaml` and `conf/evidence.yaml` document them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from audio_reasoning.core.typed import Count, Fraction, Samples, Strict

# The name of an engine of ours (engines/engine.py), or module:object of any other.
Backend = Annotated[str, Field(pattern=r"^(vllm|openai|transformers|[\w.]+:\w+)$")]


class Decoding(Strict):
    """How answers are sampled: `n` of each request, sample i with the seed `seed` + i where the engine can."""

    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Fraction
    max_tokens: Annotated[int, Field(ge=1)]
    n: Samples
    seed: int


class Infer(Strict):
    """How an answer is decoded."""

    backend: Backend
    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Fraction
    max_tokens: Annotated[int, Field(ge=1)]
    n: Samples
    seed: int
    endpoint_model: str
    max_error_rate: Annotated[float, Field(ge=0, le=1)]

    def decoding(self) -> Decoding:
        """The same as a value that an engine takes."""
        return Decoding(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, n=self.n, seed=self.seed
        )

    @model_validator(mode="after")
    def _endpoint_named(self) -> "Infer":
        if self.backend == "openai" and not self.endpoint_model:
            raise ValueError("backend openai needs infer.endpoint_model, the model's name at the endpoint")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> "Infer":
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n {self.n} at temperature 0 would be one answer {self.n} times; set a temperature")
        return self


class Serve(Strict):
    """What of the server decides answers."""

    dtype: Literal["float32", "bfloat16", "float16"]
    max_model_len: Annotated[int, Field(ge=256)]
    tensor_parallel_size: Annotated[int, Field(ge=1)]
    adapters: Literal["merge", "lora"]
    quantization: Literal["none", "nf4"] = "none"  # which revisions before it do not name


class Runtime(Strict):
    """What decides no result: no stage declares this group, so changing it reruns nothing."""

    concurrency: Annotated[int, Field(ge=1)]
    request_timeout_s: Annotated[float, Field(gt=0)]
    retries: Annotated[int, Field(ge=0)]
    server_start_s: Annotated[float, Field(gt=0)]
    server_idle_s: Annotated[float, Field(gt=0)]
    checkpoint_steps: Annotated[int, Field(ge=1)]


class Thinking(Strict):
    """What is done about thinking that does not end, or is too long to submit."""

    force_answer: bool
    force_answer_tokens: Count
    closing: Annotated[str, Field(pattern="</think>")]
    reask_truncated: bool
    reask_over_chars: Count | None
    reask_max_tokens: Count


class Asking(Strict):
    """All that asking a model takes: a stage's parameters extend it."""

    infer: Infer
    thinking: Thinking
    serve: Serve
    runtime: Runtime
