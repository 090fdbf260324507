"""The records that travel between stages, one JSON object a line."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, Strict, model_validator
from pydantic.dataclasses import dataclass

from audio_reasoning.core.choices import kept_choices
from audio_reasoning.core.files import read_rows
from audio_reasoning.core.validate import validated

Status = Literal["ok", "truncated", "no_answer", "error"]
# What a field must be, in the words of a message. Nothing is converted: "8" is not 8.
Text = Annotated[str, Strict(), Field(description="a text")]
OptionalText = Annotated[str | None, Strict(), Field(description="a text or null")]
Whole = Annotated[int, Strict(), Field(description="a whole number")]
Number = Annotated[float, Strict(), Field(description="a number")]
OptionalWhole = Annotated[int | None, Strict(), Field(description="a whole number or null")]
Flag = Annotated[bool, Strict(), Field(description="true or false")]
TokenIds = Annotated[tuple[Annotated[int, Strict()], ...] | None, Field(description="a list of whole numbers or null")]
KNOWN_FIELDS = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=KNOWN_FIELDS)
class Audio:
    """One clip: `path` relative to `data/audio`, the SHA-256 of its file, and its length."""

    path: Text
    sha256: Text
    duration_s: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False, description="a length in seconds")]


# In place of a clip: ask in text alone. Known by identity, so that no line of a file can say it by mistake.
NO_AUDIO = Audio(path="", sha256="", duration_s=0.0)


@dataclass(frozen=True, config=KNOWN_FIELDS)
class Question:
    """One multiple-choice question about one clip.

    `answer` is the index of the right choice; `choices` are kept verbatim. `group` names the source
    clip: questions of one group stay in one split, and bootstraps resample groups.
    """

    id: Text
    audio: Annotated[Audio, Field(description="an object")]
    question: Text
    choices: Annotated[tuple[Annotated[str, Strict()], ...], Field(description="a list of texts")]
    answer: Annotated[int, Strict(), Field(description="the index of a choice")]
    category: Text
    sub_category: Text
    modality: Text
    language: OptionalText
    source: Text
    group: Text

    @model_validator(mode="after")
    def _can_be_answered(self) -> "Question":
        if len(kept_choices(self.choices)) < len(self.choices):
            raise ValueError(f"'choices' must not hold a blank text, found {json.dumps(self.choices)}")
        if not 0 <= self.answer < len(self.choices):
            last = len(self.choices) - 1
            raise ValueError(f"'answer' must be the index of a choice, 0–{last}, found {self.answer}")
        return self


@dataclass(frozen=True, config=KNOWN_FIELDS)
class Rollout:
    """One sampled answer to one question as it came: which choice is meant is read when it is scored.

    `text` is the model's whole output; `error` is the reason where there is none. `order` says in which order the
    choices were asked, where it was not the question's own: choice i was `question.choices[order[i]]`. Token ids are
    kept where they were asked for. `forced` and `reasked_chars`: see `Response`.
    """

    question_id: Text
    sample_index: Whole
    text: Text
    finish_reason: Text
    prompt_tokens: Whole
    completion_tokens: Whole
    error: Text = ""
    order: TokenIds = None
    prompt_token_ids: TokenIds = None
    completion_token_ids: TokenIds = None
    forced: Flag = False
    reasked_chars: OptionalWhole = None


@dataclass(frozen=True, config=KNOWN_FIELDS)
class Response:
    """One sampled answer to one question, read (see `audio_reasoning.tasks.extract.read_answer`).

    `text` is the model's whole output; `answer` is a choice index, or None unless `status` is "ok";
    `extraction` names the rule that found it; `error` is the reason where `status` is "error".
    Token ids are kept where they were asked for. `forced` responses were cut off and then made to answer;
    `reasked_chars` is the length of a first trace that was too long, after which the question was asked again
    (see audio_reasoning/engines/thinking.py).
    """

    question_id: Text
    sample_index: Whole
    status: Annotated[Status, Field(description="one of ok, truncated, no_answer, error")]
    text: Text
    thinking: Text
    answer: OptionalWhole
    extraction: Text
    finish_reason: Text
    prompt_tokens: Whole
    completion_tokens: Whole
    error: Text = ""
    prompt_token_ids: TokenIds = None
    completion_token_ids: TokenIds = None
    forced: Flag = False
    reasked_chars: OptionalWhole = None


RARE = (
    "order",
    "prompt_token_ids",
    "completion_token_ids",
    "forced",
    "reasked_chars",
)  # left out of a file where not set


@dataclass(frozen=True, config=KNOWN_FIELDS)
class Comparison:
    """Run b against run a on the same questions; `difference` is b - a, in fractions of one.

    `low` and `high` bound the 95 % interval, `p` is two-sided, `only_a` and `only_b` count the
    questions that only one of the runs answered correctly.
    """

    a: Text
    b: Text
    n: Whole
    difference: Number
    low: Number
    high: Number
    p: Number
    only_a: Whole
    only_b: Whole
    method: Text


def to_dict(record: Question | Rollout | Response | Comparison) -> dict[str, Any]:
    """The record as a JSON object, without the rare fields of an answer that are not set."""
    row = asdict(record)
    if isinstance(record, Rollout | Response):
        row = {name: value for name, value in row.items() if name not in RARE or value not in (None, False)}
    return row


def question_from(row: object, where: str = "question") -> Question:
    """Build a Question from a JSON object.

    Raises UserError, prefixed by `where`, for an unknown or missing field, a value of the wrong type, choices
    that are blank, fewer than two or alike up to outer spaces, and an answer that is not the index of one.
    """
    return validated(Question, row, where)


def rollout_from(row: object, where: str = "answer") -> Rollout:
    """Build a Rollout from a JSON object; raise UserError, prefixed by `where`, on a wrong shape."""
    return validated(Rollout, row, where)


def response_from(row: object, where: str = "response") -> Response:
    """Build a Response from a JSON object; raise UserError, prefixed by `where`, on a wrong shape."""
    return validated(Response, row, where)


def read_questions(path: Path) -> list[Question]:
    """Read a questions file that the `questions` stage wrote."""
    return [question_from(row, where) for where, row in read_rows(path)]
