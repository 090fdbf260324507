"""What metrics/votes/base/<variant>.json and its two tables hold; stages/vote.py explains the figures."""

from pydantic import Field

from audio_reasoning.metrics.results import Compared, OfVariant, Result


class End(Result):
    """The accuracy of one sample or of the vote, by the name of its run."""

    name: str
    acc: float
    low: float
    high: float


class CurvePoint(Result):
    """The expected vote and pass@k of `k` samples."""

    k: int
    vote: float
    vote_low: float
    vote_high: float
    pass_at_k: float
    pass_low: float
    pass_high: float


class CalibrationBin(Result):
    """Questions whose agreement lies in (low, high]: their mean agreement, and the share that the vote gets right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


class VoteFigures(Result):
    """metrics/votes/base/<variant>.json."""

    acc_mean: float
    acc_vote: float
    pass_at_n: float
    ece: float
    brier: float
    ece_low: float
    ece_high: float
    brier_low: float
    brier_high: float
    tied: float
    unanswered: float
    n: int
    samples: int
    detail: list[End] = Field(min_length=2, max_length=2)  # single samples, the vote
    comparison: list[Compared] = Field(min_length=1, max_length=1)  # of these two
    curve: list[CurvePoint] = Field(min_length=1)
    calibration: list[CalibrationBin] = Field(min_length=1)


class CurveRow(OfVariant):
    """A row of metrics/vote_curve.json; `what` is "vote" or "pass@k"."""

    what: str
    k: int
    acc: float
    low: float
    high: float


class CalibrationRow(OfVariant):
    """A row of metrics/calibration.json, with the calibration error of the whole variant."""

    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    n: int
    ece: float
    ece_low: float
    ece_high: float
