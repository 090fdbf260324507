"""What metrics/submission.json holds."""

from typing import Literal

from audio_reasoning.metrics.results import Manifest, Result


class Accuracies(Result):
    """Both accuracies of what is submitted, over all questions."""

    acc_strict: float
    acc_official: float


class OfSubmission(Result):
    """Which run is submitted, and how many answers it has."""

    run: str
    n: int


class SubmissionManifest(Accuracies, OfSubmission):
    """A zip's manifest: scores, the texts that are empty or were asked for again, and what made the answers.

    `filled` questions were dropped, so nobody was asked them: their texts are empty since submission.missing says so.
    """

    longest_trace: int
    unanswered: int
    empty_traces: int
    dropped_traces: int
    forced: int
    reasked: int
    filled: int
    unanswered_ids: list[str]
    empty_trace_ids: list[str]
    dropped_trace_ids: list[str]
    forced_ids: list[str]
    reasked_ids: list[str]
    filled_ids: list[str]
    sha256: str
    made_by: list[Manifest]


class Unsound(Result):
    """In place of a manifest: `run` cannot be submitted as it is, how many `problems` there are, and the first."""

    run: str
    sound: Literal[False] = False
    problems: int
    first_problems: list[str]
    ways_out: list[str]
