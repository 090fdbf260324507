"""What metrics/arms.json and metrics/audio_gain.json hold; stages/arms.py explains the figures."""

from pydantic import ConfigDict, Field

from audio_reasoning.metrics.results import Group, Judged, OfVariant, Result


class OfArm(OfVariant):
    """What is said of one prompt variant in one control arm."""

    arm: str


class ArmComparison(Judged, OfArm):
    """The ordinary run (b) against one arm (a)."""


class ArmGroup(Group, OfArm):
    """The same within a sub-category."""


class ArmFigures(Result):
    """A run's accuracy and the shares of its responses that are no answers; `audio_gain` where there is one."""

    acc: float
    truncated: float
    no_answer: float
    error: float
    audio_gain: float | None = None

    @property
    def failed(self) -> float:
        """The share of responses that are no answers."""
        return self.truncated + self.no_answer + self.error


class Consistency(Result):
    """The share of questions with the same choice in all orders, and of those with no answer in some."""

    consistency: float
    unanswered: float
    consistency_low: float
    consistency_high: float


class OrderFigures(Consistency, ArmFigures):
    """The arm `permuted`: the same with what the orders of the choices tell; see audio_reasoning/metrics/places.py."""

    place_statistic: float
    place_freedom: int
    place_p: float | None
    place_picks: int
    place_left_out: int


class VariantFigures(Result):
    """A variant's ordinary run, what guessing would give, and each arm by its name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, OrderFigures | ArmFigures]

    n: int
    chance: float
    acc: float
    truncated: float
    no_answer: float
    error: float

    @property
    def arms(self) -> dict[str, OrderFigures | ArmFigures]:
        """The figures of each arm."""
        return self.__pydantic_extra__

    @property
    def ordinary(self) -> ArmFigures:
        """The ordinary run's figures alone."""
        return ArmFigures(acc=self.acc, truncated=self.truncated, no_answer=self.no_answer, error=self.error)


class OfChoices(OfVariant):
    """The questions with so many `choices`; `orders` is how many each was asked in."""

    choices: int
    n: int
    orders: int


class ChoicesConsistency(Consistency, OfChoices):
    """Their consistency."""


class Place(OfVariant):
    """A place (from 1) in lists of so many choices: accuracy where the right answer stands there, share of picks."""

    choices: int
    place: int
    right_here: int
    acc: float | None
    picks: int
    share: float | None
    expected: float


class ArmsSummary(Result):
    """metrics/arms.json."""

    profile: str
    false_discovery_rate: float
    variants: dict[str, VariantFigures]
    comparisons: list[ArmComparison]
    sub_categories: list[ArmGroup]
    unanswered: list[OfArm] = Field(default_factory=list)
    consistency: list[ChoicesConsistency]
    places: list[Place]


class AudioGain(Result):
    """A row of metrics/audio_gain.json: what hearing the clip brings, in all questions or in a sub-category."""

    profile: str
    variant: str
    arm: str
    name: str
    n: int
    low: float
    high: float
    gain: float
    significant: bool
