"""What metrics/optimize/<name>.json holds: how a prompt was looked for, and what it is worth.

Long texts are in lists, since DVC shows none of these. No time is among the figures, nor how many answers were cached:
the same search writes the same bytes.
"""

from typing import Literal

from audio_reasoning.metrics.results import Compared, Result

Outcome = Literal["found", "kept", "no proposal"]


class Candidate(Result):
    """An instruction that was tried: the system text of a prompt, with the ids of its demonstrations.

    `label` says how it came to be: `start`, or what its proposer says of it, such as the names of fragments.
    """

    label: str
    instruction: str
    demonstrations: list[str]


class Trial(Result):
    """One evaluation of a candidate: the accuracy `score` on so many validation questions.

    `whole` tells all validation questions from a minibatch, which may be drawn from the train questions; `best` is the
    highest score on all of them so far, and `answers` how many were asked for by then.
    """

    number: int
    candidate: int  # its place among the candidates
    score: float
    questions: int
    whole: bool
    best: float
    answers: int


class Selected(Result):
    """An accuracy on the questions that the candidate was selected by, with Wilson's interval: optimistic."""

    acc: float
    low: float
    high: float
    n: int


class Validation(Result):
    """The start and the result on the validation questions; the search saw both, so their difference is no finding."""

    start: Selected
    result: Selected


class HeldOut(Compared):
    """The result, b, against the start, a, on questions that the search never saw, with both accuracies."""

    acc_a: float
    acc_b: float


class Usage(Result):
    """What a search took, whether or not answers were cached.

    `cost` is what the proposer charged, in US dollars: nothing for a bank, None for a model, whose price nobody tells.
    """

    answers: int  # of the model that is prompted, while searching
    prompt_tokens: int
    completion_tokens: int
    proposer_calls: int
    proposer_prompt_tokens: int
    proposer_completion_tokens: int
    cost: float | None


class Optimization(Result):
    """A search for a prompt.

    `outcome` says whether a better instruction was `found`, none was better than the start (`kept`), or no proposal
    could be used at all (`no proposal`); `chosen` is the result's place among the candidates, 0 the start's.
    """

    name: str
    optimizer: Literal["mipro", "gepa"]
    start: str
    proposer: str
    seed: int
    outcome: Outcome
    chosen: int
    candidates: list[Candidate]
    trials: list[Trial]
    validation: Validation
    heldout: HeldOut
    usage: Usage
    refused: dict[str, int]  # proposals that could not be used, by reason
    notes: list[str]

    @property
    def changed(self) -> bool:
        """Whether the result is another prompt than the start."""
        return self.chosen != 0


class CurveRow(Result):
    """A row of metrics/optimize_curve.json: a search's best score by the answers that it had taken."""

    name: str
    optimizer: str
    answers: int
    best: float
