"""What metrics/errors.json holds; docs/error-analysis.md explains the figures."""

from pydantic import Field

from audio_reasoning.metrics.results import Result

Share = float | None  # None of nothing


class Bounded(Result):
    """An accuracy and its interval; None where there is nothing to be right about."""

    acc: Share
    low: Share
    high: Share


class QuestionGroup(Result):
    """Accuracy by what a question asks for."""

    by: str
    name: str
    n: int
    acc: Share
    low: Share
    high: Share
    chance: float
    truncated: Share
    no_answer: Share
    error: Share


class ResponseGroup(Result):
    """Accuracy by what a response looks like; `share` is of all responses."""

    by: str
    name: str
    n: int
    share: Share
    acc: Share
    low: Share
    high: Share
    truncated: Share
    no_answer: Share
    error: Share


class Confusion(Result):
    """How often a number was chosen for the right one; `chosen` None is no valid answer."""

    right: int
    chosen: int | None
    n: int


class Counts(Result):
    """How far off the answers to questions of how many are; see audio_reasoning/metrics/errors/counts.py."""

    n: int
    accuracy: Share
    valid: int
    mean_error: float | None
    too_few: Share
    too_many: Share
    wrong: int
    off_by_one: Share
    confusion: list[Confusion]


class LoopFate(Result):
    """What became of the responses whose thinking loops, or does not."""

    n: int
    share: Share
    acc: Share
    low: Share
    high: Share
    truncated: Share


class Loop(Result):
    """A response that repeats itself: the words, and how often."""

    id: str
    sample: int
    times: int
    words: str


class Thinking(Result):
    """Second thoughts and loops in a run's thinking."""

    words: int
    mean_words: float | None
    per_1000_words: dict[str, float | None]
    looping: LoopFate
    others: LoopFate
    loops: list[Loop]


class Example(Result):
    """A response without a valid answer, and what shows why."""

    id: str
    sample: int
    rule: str
    text: str
    choices: str


class Invalid(Result):
    """Responses without a valid answer, by what became of them."""

    status: str
    n: int
    share: Share
    rules: dict[str, int]
    examples: list[Example]


class RunErrors(Result):
    """What goes wrong in one run."""

    run: str
    n: int
    responses: int
    acc: Share
    low: Share
    high: Share
    chance: float
    groups: list[QuestionGroup]
    chosen_positions: dict[str, float]
    thinking_length: list[ResponseGroup]
    rules: list[ResponseGroup]
    counts: Counts
    thinking: Thinking
    invalid: list[Invalid]

    def of(self, by: str) -> list[QuestionGroup]:
        """The rows of one breakdown by question."""
        return [row for row in self.groups if row.by == by]


class Hard(Result):
    """A question that no run gets right, and the wrong choice that most responses agree on."""

    id: str
    sub_category: str
    question: str
    right: str
    chosen: str | None
    times: int
    responses: int


class Limits(Result):
    """When thinking counts as looping."""

    loop_ngram: int
    loop_repeats: int


class ErrorAnalysis(Result):
    """metrics/errors.json: each run, and all of them together."""

    questions: int
    invalid: Share
    looping: Share
    none_right: Share
    all_right: Share
    hardest: list[Hard]
    easiest: list[str]
    params: list[Limits] = Field(min_length=1, max_length=1)
    notes: list[str]
    runs: list[RunErrors]
