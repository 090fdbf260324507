"""Every parameter, typed. An unknown or mistyped key stops the run at once and names the nearest valid one.

`conf/` documents the keys; `params.yaml` holds the composed values (see `stages.common.compose`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from stages.common.data_params import Data
from stages.common.errors import UserError, nearest
from stages.common.evidence_params import Arms, Compare, Contrast, Errors, Judge, Submission, Thinking, Vote
from stages.common.parse import parse_yaml
from stages.common.rest_params import Rest
from stages.common.typed import Fraction, Name, Names, Samples, Strict

PARAMS = Path("params.yaml")


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


class Prompts(Strict):
    """Which prompt variants are compared."""

    variants: Names


class Infer(Strict):
    """How an answer is decoded."""

    backend: Literal["vllm", "openai", "transformers"]
    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Fraction
    max_tokens: Annotated[int, Field(ge=1)]
    n: Samples
    seed: int
    endpoint_model: str
    max_error_rate: Annotated[float, Field(ge=0, le=1)]

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


class Headline(Strict):
    """The variant to quote."""

    variant: Name


class Runtime(Strict):
    """What decides no result: no stage declares this group, so changing it reruns nothing."""

    concurrency: Annotated[int, Field(ge=1)]
    request_timeout_s: Annotated[float, Field(gt=0)]
    retries: Annotated[int, Field(ge=0)]
    server_start_s: Annotated[float, Field(gt=0)]
    server_idle_s: Annotated[float, Field(gt=0)]
    checkpoint_steps: Annotated[int, Field(ge=1)]


class Params(Strict):
    """The whole of `params.yaml`."""

    profile: Name
    data: Data
    model: Model
    prompts: Prompts
    infer: Infer
    thinking: Thinking
    serve: Serve
    rest: Rest
    arms: Arms
    vote: Vote
    compare: Compare
    errors: Errors
    judge: Judge
    submission: Submission
    headline: Headline
    runtime: Runtime

    @model_validator(mode="after")
    def _variants_exist(self) -> "Params":
        listed = {
            "rest.eval_prompts": self.rest.eval_prompts,
            "arms.variants": self.arms.variants,
            "vote.variants": self.vote.variants,
        }
        for key, names in listed.items():
            for name in names:
                if name not in self.prompts.variants:
                    hint = nearest(name, self.prompts.variants)
                    raise ValueError(
                        f"{key}: {name!r} is not in prompts.variants, so the base model has no answers "
                        f"to compare with; {hint}"
                    )
        return self

    @model_validator(mode="after")
    def _headline_exists(self) -> "Params":
        if self.headline.variant not in self.prompts.variants:
            hint = nearest(self.headline.variant, self.prompts.variants)
            raise ValueError(f"headline.variant {self.headline.variant!r} is not in prompts.variants; {hint}")
        return self

    @model_validator(mode="after")
    def _can_reject(self) -> "Params":
        # A p drawn from so many resamples is never below 1 / (resamples + 1), and Holm multiplies it by all contrasts.
        contrasts = len(self.contrasts())
        if self.compare.resamples < 20 * contrasts:
            raise ValueError(
                f"with {contrasts} contrasts no p from {self.compare.resamples} resamples can be below 0.05; "
                f"set compare.resamples to {200 * contrasts} or more, at least {20 * contrasts}"
            )
        return self

    @model_validator(mode="after")
    def _runs_exist(self) -> "Params":
        named = {
            "compare.contrasts": [name for contrast in self.compare.contrasts for name in (contrast.a, contrast.b)],
            "judge.runs": self.judge.runs,
            "submission.run": [self.submission.run],
        }
        for key, names in named.items():
            for name in names:
                if name not in self.run_names():
                    raise ValueError(f"{key}: no run is called {name!r}; {nearest(name, self.run_names())}")
        return self

    def run_names(self) -> list[str]:
        """Every run that the parameters ask for, prompts first, as stages/evaluate/runs.py reads them.

        Needs the groups prompts.variants, arms, vote and rest (iterations, eval_prompts).
        """
        return [
            *self.prompts.variants,
            *(f"{variant}@{kind}" for variant in self.arms.variants for kind in self.arms.kinds),
            *(f"{variant}@{condition}" for variant in self.vote.variants for condition in ("samples", "vote")),
            *(f"{iteration}/{variant}" for iteration in self.rest.iterations for variant in self.rest.eval_prompts),
        ]

    def contrasts(self) -> list[Contrast]:
        """The declared comparisons: of each variant with the first, if so asked, and those listed.

        Needs prompts.variants, compare.each_with_first and compare.contrasts.
        """
        listed = self.compare.contrasts
        first, *others = self.prompts.variants if self.compare.each_with_first else [""]
        pairs = [{contrast.a, contrast.b} for contrast in listed]
        return [*(Contrast(a=first, b=other) for other in others if {first, other} not in pairs), *listed]


def load_params(*declared: str, path: Path = PARAMS) -> Params:
    """Read and check all parameters, then keep only the `declared` dotted keys and `runtime`.

    A stage passes the keys that `dvc.yaml` declares for it. Reading any other key raises
    AttributeError (KeyError in a mapping), so no stage can depend on a parameter that DVC does not
    track for it. Without `declared`, everything is kept.

    Raises UserError for a missing file, a key that does not exist, or a value of the wrong type.
    """
    params = parse_params(_read_yaml(path), str(path))
    if not declared:
        return params
    kept = [key.split(".") for key in (*declared, "runtime")]
    for key in kept:
        _resolve(params, key)
    _prune(params, kept)
    return params


def parse_params(raw: Any, where: str) -> Params:
    """Check a composed mapping; `where` names it in the message."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise UserError("\n".join(_explain(e, where, raw) for e in error.errors())) from None


def _read_yaml(path: Path) -> Any:
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (run from the folder that holds dvc.yaml)") from None


def _explain(error: Any, where: str, raw: Any) -> str:
    # pydantic names the discriminated branch ("mini") inside the location; only real keys stay.
    location: list[str] = []
    node = raw
    for part in error["loc"]:
        known = (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int))
        if known or (error["type"] == "missing" and part == error["loc"][-1]):
            location.append(str(part))
            node = node[part] if known else None
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown parameter {key}; {nearest(location[-1], _siblings(location[:-1], raw))}"
    if error["type"] == "missing":
        return f"{where}: parameter {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if isinstance(error["input"], dict) else f" (found {error['input']!r})"
    return f"{where}: {key + ': ' if key else ''}{message}{given}"


def _siblings(path: list[str], raw: Any) -> list[str]:
    """The valid keys beside an unknown one, read off the schema."""
    models: list[type[BaseModel]] = [Params]
    for part in path:
        raw = raw[part]
        below = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if below:  # else part is a name in a mapping, whose schema is that of its values
            models = [model for annotation in below for model in _models_in(annotation)]
    loader = raw.get("loader")
    chosen = [
        m for m in models if "loader" in m.model_fields and loader in get_args(m.model_fields["loader"].annotation)
    ]
    return sorted({field.alias or name for model in chosen or models for name, field in model.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _resolve(node: Any, key: list[str]) -> None:
    for index, part in enumerate(key):
        valid = node if isinstance(node, dict) else _attributes(node)
        if part not in valid:
            raise UserError(f"no parameter {'.'.join(key[: index + 1])}; {nearest(part, valid)}")
        node = node[part] if isinstance(node, dict) else getattr(node, valid[part])


def _prune(node: Any, kept: list[list[str]]) -> None:
    values = node if isinstance(node, dict) else node.__dict__
    attributes = {name: name for name in node} if isinstance(node, dict) else _attributes(node)
    for name, attribute in attributes.items():
        below = [key[1:] for key in kept if key[0] == name]
        if not below:
            del values[attribute]
        elif all(below) and isinstance(values[attribute], (BaseModel, dict)):
            _prune(values[attribute], below)


def _attributes(node: BaseModel) -> dict[str, str]:
    """The names that a group has in `params.yaml`, and its attributes' names here, which cannot be `from`."""
    return {field.alias or name: name for name, field in type(node).model_fields.items()}
