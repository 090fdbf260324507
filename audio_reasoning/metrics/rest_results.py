"""What the files under metrics/rest/ hold that tell of iterations of self-training."""

from pydantic import Field

from audio_reasoning.metrics.results import AccuracyRow, Group, Judged, Result


class OfPrompt(Result):
    """What is said of one prompt."""

    prompt: str


class ModelComparison(Judged, OfPrompt):
    """Two models, `a` and `b`, under one prompt."""


class VersusBase(ModelComparison):
    """An iteration against the base model, with its sub-categories and the names of those that rise and fall surely."""

    rise: list[str]
    fall: list[str]
    sub_categories: list[Group]


class Refused(Result):
    """That an iteration could not go on: the stage that said so, everything that was wrong, and what could be done."""

    stage: str
    reasons: list[str]
    ways_out: list[str]


class GateVerdict(Result):
    """Whether an iteration was accepted, at which scale of its adapter, and why; None is the scale of a refused one."""

    accepted: bool
    scale: float | None
    reason: str
    refused: Refused | None = None


class Sized(Result):
    """How many questions something was found on."""

    n: int


class GateOutcome(GateVerdict):
    """The same with the accuracies on dev that decided, as far as they were measured."""

    dev_before: float | None = None
    dev_after: float | None = None
    dev: Sized | None = None


class Gate(Result):
    """The same beside the iteration's name and the model that it started from."""

    iteration: str
    start: str = Field(validation_alias="from", serialization_alias="from")
    accepted: bool
    scale: float | None
    reason: str
    refused: Refused | None = None


class RestSummary(Result):
    """metrics/rest/summary.json: iterations of self-training against the base and against where they started."""

    profile: str
    preset: str
    seed: int
    last: str
    gain: dict[str, float]  # by prompt
    falls: dict[str, int]
    versus_base: list[VersusBase]
    versus_predecessor: list[ModelComparison]
    gate: list[Gate]
    notes: list[str]


class ModelAccuracy(Result):
    """A model's accuracy under a prompt."""

    profile: str
    iteration: str
    prompt: str
    acc: float


class ModelRow(AccuracyRow, ModelAccuracy):
    """A row of metrics/rest/compare.json."""


class PassRate(Result):
    """A row of what `rest_select` writes: how many problems have a pass rate, and how hard they are called."""

    pass_rate: float
    category: str
    problems: int


class OfIteration(Result):
    """An iteration of self-training, and the model before it that samples."""

    profile: str
    iteration: str
    sampler: str


class PassRateRow(PassRate, OfIteration):
    """A row of metrics/rest/pass_rates.json."""
