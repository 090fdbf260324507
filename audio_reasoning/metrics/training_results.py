"""What the files under metrics/training/ hold that tell of trained models."""

from pydantic import Field

from audio_reasoning.metrics.results import AccuracyRow, Group, Judged, Result


class OfPrompt(Result):
    """What is said of one prompt."""

    prompt: str


class ModelComparison(Judged, OfPrompt):
    """Two models, `a` and `b`, under one prompt."""


class VersusBase(ModelComparison):
    """A trained model against the base model, its sub-categories, and the names of those that rise and fall surely."""

    rise: list[str]
    fall: list[str]
    sub_categories: list[Group]


class Refused(Result):
    """That a model could not be trained: the stage that said so, everything that was wrong, and what could be done."""

    stage: str
    reasons: list[str]
    ways_out: list[str]


class GateVerdict(Result):
    """Whether a model was accepted, at which scale of its adapter, and why; None is the scale of a refused one."""

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
    """The same beside the model's name and the model that it started from."""

    model: str
    start: str = Field(validation_alias="from", serialization_alias="from")
    accepted: bool
    scale: float | None
    reason: str
    refused: Refused | None = None


class TrainingSummary(Result):
    """metrics/training/summary.json: trained models against the base and against where they started."""

    profile: str
    preset: str
    leaves: list[str]  # models that no other one starts from
    gain: dict[str, dict[str, float]]  # by model and prompt
    falls: dict[str, dict[str, int]]
    versus_base: list[VersusBase]
    versus_predecessor: list[ModelComparison]
    gate: list[Gate]
    notes: list[str]


class ModelAccuracy(Result):
    """A model's accuracy under a prompt."""

    profile: str
    model: str
    prompt: str
    acc: float


class ModelRow(AccuracyRow, ModelAccuracy):
    """A row of metrics/training/compare.json."""


class PassRate(Result):
    """A row of what `training_select` writes: how many problems have a pass rate, and how hard they are called."""

    pass_rate: float
    category: str
    problems: int


class OfModel(Result):
    """A trained model, and the one before it, which samples."""

    profile: str
    model: str
    sampler: str


class PassRateRow(PassRate, OfModel):
    """A row of metrics/training/pass_rates.json."""
