"""The records that travel between stages, one JSON object a line."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from audio_reasoning.core.choices import kept_choices
from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import read_jsonl, read_text

Status = Literal["ok", "truncated", "no_answer", "error"]


@dataclass(frozen=True)
class Audio:
    """One clip: `path` relative to `data/audio`, the SHA-256 of its file, and its length."""

    path: str
    sha256: str
    duration_s: float


# In place of a clip: ask in text alone. Known by identity, so that no line of a file can say it by mistake.
NO_AUDIO = Audio(path="", sha256="", duration_s=0.0)


@dataclass(frozen=True)
class Question:
    """One multiple-choice question about one clip.

    `answer` is the index of the right choice; `choices` are kept verbatim. `group` names the source
    clip: questions of one group stay in one split, and bootstraps resample groups.
    """

    id: str
    audio: Audio
    question: str
    choices: tuple[str, ...]
    answer: int
    category: str
    sub_category: str
    modality: str
    language: str | None
    source: str
    group: str


@dataclass(frozen=True)
class Response:
    """One sampled answer to one question.

    `text` is the model's whole output; `answer` is a choice index, or None unless `status` is "ok";
    `extraction` names the rule that found it; `error` is the reason where `status` is "error".
    Token ids are kept where they were asked for. `forced` responses were cut off and then made to answer;
    `reasked_chars` is the length of a first trace that was too long, after which the question was asked again
    (see audio_reasoning/engines/thinking.py).
    """

    question_id: str
    sample_index: int
    status: Status
    text: str
    thinking: str
    answer: int | None
    extraction: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str = ""
    prompt_token_ids: tuple[int, ...] | None = None
    completion_token_ids: tuple[int, ...] | None = None
    forced: bool = False
    reasked_chars: int | None = None


RARE = ("prompt_token_ids", "completion_token_ids", "forced", "reasked_chars")  # left out of a file where not set


@dataclass(frozen=True)
class Comparison:
    """Run b against run a on the same questions; `difference` is b - a, in fractions of one.

    `low` and `high` bound the 95 % interval, `p` is two-sided, `only_a` and `only_b` count the
    questions that only one of the runs answered correctly.
    """

    a: str
    b: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    only_a: int
    only_b: int
    method: str


def to_dict(record: Question | Response | Comparison) -> dict[str, Any]:
    """The record as a JSON object, without the rare fields of a response that are not set."""
    row = asdict(record)
    if isinstance(record, Response):
        row = {name: value for name, value in row.items() if name not in RARE or value not in (None, False)}
    return row


def _checked(cls: type, row: dict[str, Any], where: str) -> dict[str, Any]:
    known = {f.name: f for f in fields(cls)}
    for name in row:
        if name not in known:
            raise UserError(f"{where}: unknown field {name!r} of {cls.__name__}; {nearest(name, known)}")
    missing = [name for name, f in known.items() if name not in row and f.default is MISSING]
    if missing:
        raise UserError(f"{where}: {cls.__name__} needs the field {missing[0]!r}")
    return row


def question_from(row: dict[str, Any], where: str = "question") -> Question:
    """Build a Question from a JSON object.

    Raises UserError, prefixed by `where`, for an unknown or missing field, a value of the wrong type, choices
    that are blank, fewer than two or alike up to outer spaces, and an answer that is not the index of one.
    """
    row = _checked(Question, row, where)
    _check_texts(Question, row, where)
    choices, answer = kept_choices(row["choices"], where), row["answer"]
    if len(choices) < len(row["choices"]):
        raise UserError(f"{where}: 'choices' must not hold a blank text, found {json.dumps(row['choices'])}")
    if type(answer) is not int or not 0 <= answer < len(choices):  # a bool is an int to isinstance
        raise UserError(
            f"{where}: 'answer' must be the index of a choice, 0–{len(choices) - 1}, found {json.dumps(answer)}"
        )
    return Question(**{**row, "audio": _audio_from(row["audio"], f"{where}: audio"), "choices": choices})


def _audio_from(row: object, where: str) -> Audio:
    if not isinstance(row, dict):
        raise UserError(f"{where} must be an object, found {json.dumps(row)}")
    row = _checked(Audio, row, where)
    _check_texts(Audio, row, where)
    duration = row["duration_s"]
    if type(duration) not in (int, float) or not 0 <= duration < float("inf"):
        raise UserError(f"{where}: 'duration_s' must be a length in seconds, found {json.dumps(duration)}")
    return Audio(**row)


def _check_texts(cls: type, row: dict[str, Any], where: str) -> None:
    for f in fields(cls):
        if f.name not in row:
            continue  # one that has a default
        if f.type is str and not isinstance(row[f.name], str):
            raise UserError(f"{where}: {f.name!r} must be a text, found {json.dumps(row[f.name])}")
        if f.type == str | None and not isinstance(row[f.name], str | None):
            raise UserError(f"{where}: {f.name!r} must be a text or null, found {json.dumps(row[f.name])}")


def response_from(row: dict[str, Any], where: str = "response") -> Response:
    """Build a Response from a JSON object; raise UserError, prefixed by `where`, on a wrong shape."""
    row = dict(_checked(Response, row, where))
    _check_texts(Response, row, where)
    for name in ("prompt_token_ids", "completion_token_ids"):
        if row.get(name) is not None:
            row[name] = tuple(row[name])
    return Response(**row)


def read_questions(path: Path) -> list[Question]:
    """Read a questions file that the `questions` stage wrote."""
    lines = [number for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    return [question_from(row, f"{path}:{line}") for line, row in zip(lines, read_jsonl(path), strict=True)]
