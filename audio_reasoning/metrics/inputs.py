"""Reading what is scored: our own questions and predictions, or files in the formats of MMAR and its challenge.

Every mistake in them is a UserError that names the file, the line and the id.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.choices import kept_choices, right_choice
from audio_reasoning.core.clips import source_video
from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import read_json, read_rows
from audio_reasoning.core.mmar import ScoredRow
from audio_reasoning.core.records import Audio, Question, Response, question_from, response_from, rollout_from
from audio_reasoning.core.shown import printable
from audio_reasoning.core.validate import validated
from audio_reasoning.tasks.extract import extract, read_answer, status_of
from audio_reasoning.tasks.official import Asked, submitted_text

ROUNDING = 0.00005001  # metrics hold four decimals


@dataclass(frozen=True)
class Sample:
    """A response, and the text of it that the official match is given."""

    response: Response
    submitted: str


@dataclass(frozen=True)
class Unanswerable:
    """A question of MMAR's metadata without one right choice: nothing scores on it, and `why` says what is wrong."""

    id: str
    choices: tuple[str, ...]
    why: str


Questions = dict[str, Question]
Samples = dict[str, list[Sample]]


def read_question_set(path: Path, unanswerable: dict[str, Unanswerable] | None = None) -> Questions:
    """Read questions by id: Question records, or MMAR's metadata, each as JSONL or as a JSON array.

    With a mapping for `unanswerable`, questions of MMAR's metadata that have no right choice are put there, and are a
    UserError without.
    """
    questions: Questions = {}
    left_out = {} if unanswerable is None else unanswerable
    for where, row in read_rows(path):
        ours = "audio" in row and "audio_path" not in row
        question = question_from(row, where) if ours else _question_from_mmar(row, where)
        if question.id in questions or question.id in left_out:
            raise UserError(f"{where}: question {printable(question.id)} occurs twice")
        if isinstance(question, Question):
            questions[question.id] = question
        elif unanswerable is None:
            raise UserError(question.why)
        else:
            unanswerable[question.id] = question
    if not questions:
        raise UserError(f"{path}: holds no questions" + (" that have a right choice" if left_out else ""))
    return questions


def unanswerable_notes(path: Path, unanswerable: Mapping[str, Unanswerable]) -> list[str]:
    """What to be warned of where questions of a file have no right choice: nothing, or one message with their ids."""
    if not unanswerable:
        return []
    first = next(iter(unanswerable.values()))
    return [
        f"{path}: {len(unanswerable)} questions have no right choice, so they are left out and nothing scores on them: "
        f"{', '.join(map(printable, unanswerable))} ({first.why}); corrected metadata, given by --questions, has all"
    ]


def read_samples(path: Path, questions: Mapping[str, Asked], *, complete: bool) -> Samples:
    """Read predictions by question id: Response records, or the challenge's format.

    A line of the challenge's holds `id`, `thinking_prediction` and `answer_prediction`. One without the last
    is no answer, and is warned of on stderr.

    Raises UserError for an id that is not among `questions`, a sample that occurs twice, unequal numbers
    of samples, a file in the challenge's format that nowhere has `answer_prediction` and, if `complete`,
    for a question without a prediction.
    """
    samples: Samples = {}
    challenge: list[dict[str, Any]] = []
    seen: dict[tuple[str, int], str] = {}
    for where, row in read_rows(path):
        name = row.get("question_id", row.get("id"))
        if not isinstance(name, str):
            raise UserError(f"{where}: a prediction needs a question_id (or id, in the challenge's format)")
        if name not in questions:
            raise UserError(f"{where}: no question has the id {name!r}; the predictions belong to other questions")
        build = _sample_from_record if "question_id" in row else _sample_from_challenge
        sample = build(row, questions[name], where)
        key = (name, sample.response.sample_index)
        if key in seen:
            raise UserError(
                f"{where}: sample {key[1]} of {printable(name)} is already at {seen[key]}; keep one of them"
            )
        seen[key] = where
        samples.setdefault(name, []).append(sample)
        if "question_id" not in row:
            challenge.append(row)
    _check_answers(path, challenge)
    _check_counts(path, questions, samples, complete)
    return samples


def _check_answers(path: Path, challenge: list[dict[str, Any]]) -> None:
    """Tell a misnamed field, which no line has, from answers that single lines lack."""
    without = [row["id"] for row in challenge if "answer_prediction" not in row]
    if not without:
        return
    if len(without) == len(challenge):
        others = set[str]().union(*challenge) - {"id", "thinking_prediction"}
        hint = f"; {nearest('answer_prediction', others)}" if others else ""
        raise UserError(f"{path}: no prediction has the field 'answer_prediction'{hint}")
    count = f"{path}: {len(without)} of {len(challenge)} predictions"
    print(f"warning: {count} have no answer_prediction and count as no answer: {some(without)}", file=sys.stderr)


def _check_counts(path: Path, questions: Mapping[str, Asked], samples: Samples, complete: bool) -> None:
    absent = [name for name in questions if name not in samples]
    if complete and absent:
        raise UserError(
            f"{path}: {len(absent)} of {len(questions)} questions have no prediction ({some(absent)}); "
            "`dvc repro` makes a complete file"
        )
    counts = {len(responses): name for name, responses in samples.items()}
    if len(counts) > 1:
        example = ", ".join(f"{printable(name)} has {count}" for count, name in sorted(counts.items()))
        raise UserError(f"{path}: every question needs the same number of samples, but {example}")


def check_current(metrics: Path, figures: Mapping[str, float], answers: object) -> None:
    """Raise UserError if a metrics file gives other figures than `answers`, the predictions that it was made from.

    `figures` are what these predictions give, in fractions of one by the keys of the metrics file.
    """
    recorded = read_json(metrics)
    for key, value in figures.items():
        written = recorded.get(key) if isinstance(recorded, dict) else None
        if not isinstance(written, float | int) or abs(written - value) > ROUNDING:
            raise UserError(
                f"{metrics} gives {key} {written}, but {answers} gives {value:.4f}: one of them is out of date; "
                "`dvc repro` mends it"
            )


def some(names: Sequence[str]) -> str:
    """The first few of many names, which a question's author may have chosen, as a terminal can be given them.

    >>> some(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    return ", ".join(map(printable, names[:3])) + (", …" if len(names) > 3 else "")


def _question_from_mmar(row: dict[str, Any], where: str) -> Question | Unanswerable:
    if isinstance(row.get("id"), str):
        where = f"{where} (id {row['id']!r})"
    fields = validated(ScoredRow, row, where)
    try:
        choices = kept_choices(fields.choices)
        answer = right_choice(choices, fields.answer)
    except ValueError as error:
        return Unanswerable(fields.id, tuple(fields.choices), f"{where}: {error}")
    return Question(
        id=fields.id,
        audio=Audio(path=str(row.get("audio_path", "")), sha256="", duration_s=0.0),  # scoring hears nothing
        question=str(row.get("question", "")),
        choices=choices,
        answer=answer,
        category=fields.category,
        sub_category=fields.sub_category,
        modality=fields.modality,
        language=fields.language,
        source=fields.source or "",
        group=fields.group or source_video(fields.id) or fields.id,
    )


def _sample_from_record(row: dict[str, Any], question: Asked, where: str) -> Sample:
    if "answer" not in row:  # as it came from a model: its meaning is read here
        response = read_answer(rollout_from(row, where), question.choices)
        return Sample(response, submitted_text(question, response))
    response = response_from(row, where)
    answered = response.answer is not None and 0 <= response.answer < len(question.choices)
    if answered != (response.status == "ok") or (response.answer is not None and not answered):
        raise UserError(
            f"{where}: {printable(question.id)} has status {response.status!r} and answer {response.answer!r}; "
            f"an answer is one of 0–{len(question.choices) - 1} if the status is ok, else null"
        )
    return Sample(response, submitted_text(question, response))


def _sample_from_challenge(row: dict[str, Any], question: Asked, where: str) -> Sample:
    """Scored by the official match as it is, and strictly as what a model wrote after `ANSWER:`."""
    text, thinking = row.get("answer_prediction") or "", row.get("thinking_prediction") or ""
    if not isinstance(text, str) or not isinstance(thinking, str):
        raise UserError(f"{where}: the predictions of {printable(question.id)} must be strings")
    extraction = extract(f"ANSWER: {text}", question.choices)
    response = Response(
        question_id=question.id,
        sample_index=0,
        status=status_of(extraction, "stop"),
        text=text,
        thinking=thinking or extraction.thinking,
        answer=extraction.answer,
        extraction=extraction.rule,
        finish_reason="",
        prompt_tokens=0,
        completion_tokens=0,
    )
    return Sample(response, text)
