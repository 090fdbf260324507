"""What metrics/judge.json holds; audio_reasoning/judging/summary.py and scores.py explain the figures."""

from pydantic import Field

from audio_reasoning.metrics.results import Adjusted, Manifest, Result


class OfRun(Result):
    """What is said of one run."""

    run: str


class RunScores(Result):
    """The figures of one run; see `metrics_of_run`."""

    n: int
    acc_strict: float
    acc_official: float
    score: float
    low: float
    high: float
    score_per_run: float | None
    score_excluded: float | None
    score_at_most: float | None
    score_per_run_excluded: float | None
    score_official: float | None
    trace_quality: float | None
    ratings: int
    failed: int
    kappa: float | None
    unanimous: float | None
    trace_quality_low: float | None
    trace_quality_high: float | None
    score_per_run_low: float | None
    score_per_run_high: float | None
    score_excluded_low: float | None
    score_excluded_high: float | None
    score_official_low: float | None
    score_official_high: float | None
    items_met: dict[str, float] = Field(default_factory=dict)


class RunRow(RunScores, OfRun):
    """The same under the run's name."""


class JudgeSummary(Result):
    """metrics/judge.json; of the two scores by run there is the one of the judge that judged."""

    judge: str
    note: str
    questions: int
    left_out: int
    evidence_score: dict[str, float] = Field(default_factory=dict)
    rubrics_score: dict[str, float] = Field(default_factory=dict)
    runs: list[RunRow]
    comparisons: list[Adjusted]
    made_by: list[Manifest]
