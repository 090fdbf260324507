"""What the comparison of two prediction files tells."""

from pydantic import Field

from audio_reasoning.metrics.results import Breakdown, Judged, Result


class FileRun(Result):
    """One of two prediction files: its accuracy, and the shares of its responses that are no answers."""

    name: str
    samples: int
    acc: float
    low: float
    high: float
    truncated: float
    no_answer: float
    error: float


class Settings(Result):
    """How two files were compared, and where that is from."""

    resamples: int
    seed: int
    false_discovery_rate: float
    margin: float
    source: str = Field(validation_alias="from", serialization_alias="from")


class TwoFiles(Result):
    """Two prediction files, by which score they are compared, and how many questions neither answers."""

    score: str
    left_out: int
    runs: list[FileRun] = Field(min_length=2, max_length=2)


class FileComparison(Judged, TwoFiles):
    """What `compare A B --json` prints; `basis` tells what the verdict rests on."""

    basis: str
    category: Breakdown
    sub_category: Breakdown
    warnings: list[str]
    settings: Settings
