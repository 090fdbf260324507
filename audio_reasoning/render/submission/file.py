"""The challenge's file format: how a submission is packed, and everything that can be wrong with one.

A submission is a zip that holds one file, `result.jsonl`, at its top level: one JSON object a line with the texts
`id`, `thinking_prediction` and `answer_prediction`, each question once (https://audio-reasoning-challenge.github.io).
"""

import io
import json
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audio_reasoning.metrics.inputs import Questions, Unanswerable
from audio_reasoning.render.submission.results import Accuracies
from audio_reasoning.tasks.official import Asked, official_match

MEMBER = "result.jsonl"
FIELDS = ("id", "thinking_prediction", "answer_prediction")
MAX_BYTES = 256 * 2**20  # ten times what 1,000 of the longest traces take; a zip bomb is larger
BOM = b"\xef\xbb\xbf"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 120
# All that `zipfile` raises over bytes that are no sound zip.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True)
class Entry:
    """One line of a submission; a text is empty where the model gave none."""

    id: str
    thinking: str
    answer: str


@dataclass(frozen=True)
class Problem:
    """What is wrong and where; some kinds have a remedy of their own.

    These are a text left empty, a trace too long, and a question that was dropped for want of a right choice.
    """

    where: str
    what: str
    kind: Literal["", "empty", "long", "dropped"] = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


Rows = list[tuple[int, Any]]  # line number and JSON value


def pack(entries: Iterable[Entry]) -> bytes:
    """The zip of these entries. The same entries give the same bytes: time, permissions and system are fixed."""
    lines = (
        json.dumps(dict(zip(FIELDS, (entry.id, entry.thinking, entry.answer), strict=True)), ensure_ascii=False)
        for entry in entries
    )
    member = zipfile.ZipInfo(MEMBER, EPOCH)
    member.create_system = 3  # Unix, wherever this runs
    member.external_attr = 0o644 << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        # Half of a surrogate pair is no UTF-8; escaped, it is valid JSON, and `check` can name its line.
        text = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
        archive.writestr(member, text, compresslevel=9)
    return data.getvalue()


def unpack(data: bytes) -> tuple[bytes | None, list[Problem]]:
    """The bytes of `result.jsonl` in a zip, None if they cannot be read, and what is wrong with the zip."""
    problems: list[Problem] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            problems += [_stray(member) for member in members if member.filename != MEMBER]
            matches = [member for member in members if member.filename == MEMBER]
            if len(matches) != 1:
                problems.append(Problem("zip", f"must hold one {MEMBER} at its top level, found {len(matches)}"))
            elif matches[0].flag_bits & 1:
                problems.append(Problem("zip", f"{MEMBER} is encrypted"))
            elif matches[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                problems.append(Problem("zip", f"{MEMBER} is neither stored nor deflated, which not everyone can read"))
            elif matches[0].file_size > MAX_BYTES:
                problems.append(Problem("zip", f"{MEMBER} has {matches[0].file_size:,} bytes; at most {MAX_BYTES:,}"))
            else:
                with archive.open(matches[0]) as file:  # which reads no more than the size it declares
                    return file.read(), problems
    except ZIP_ERRORS as error:
        problems.append(Problem("zip", f"is broken: {error}"))
    return None, problems


def _stray(member: zipfile.ZipInfo) -> Problem:
    if member.filename.endswith("/"):
        return Problem("zip", f"holds the folder {member.filename!r}; {MEMBER} must be alone in it")
    if member.filename.replace("\\", "/").rpartition("/")[2] == MEMBER:
        return Problem("zip", f"holds {member.filename!r}; {MEMBER} must be at the top level, in no folder")
    return Problem("zip", f"holds {member.filename!r} too; {MEMBER} must be alone in it")


def parse(data: bytes) -> tuple[Rows, list[Problem]]:
    """The JSON values of a JSONL file with their line numbers, and what is wrong with its encoding and syntax."""
    problems = []
    if data.startswith(BOM):
        problems.append(Problem("line 1", "starts with a byte order mark (BOM); write plain UTF-8"))
        data = data.removeprefix(BOM)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()  # the end of the last line
    crlf = [number for number, line in enumerate(lines, start=1) if line.endswith(b"\r")]
    if crlf:
        problems.append(Problem(f"line {crlf[0]}", f"ends with CRLF, as do {len(crlf)} lines in all; write LF alone"))
    rows: Rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append((number, _value(line.removesuffix(b"\r").decode("utf-8"))))
        except UnicodeDecodeError as error:
            problems.append(Problem(f"line {number}", f"is not UTF-8 (byte {error.start} of the line)"))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(f"line {number}", f"is not valid JSON ({error})" if line.strip() else "is empty"))
    return rows, problems


def _value(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict[str, Any]()
    for name, value in pairs:
        if name in row:
            raise ValueError(f"the field {_short(name)} occurs twice")
        row[name] = value
    return row


def check(rows: Rows, questions: Mapping[str, Asked], max_trace_chars: int) -> tuple[list[Entry], list[Problem]]:
    """The entries that could be read, and everything that is wrong with the rows, in their order.

    A trace must have fewer than `max_trace_chars` characters (code points, after JSON's escapes are resolved).
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        name = row.get("id") if isinstance(row, dict) else None
        where = f"line {number}" + (f", id {name!r}" if isinstance(name, str) else "")
        problems += [Problem(where, what) for what in _misshapen(row)]
        if not isinstance(name, str):
            continue
        if name in seen:
            problems.append(Problem(where, f"is already on line {seen[name]}"))
        seen.setdefault(name, number)
        if name not in questions:
            problems.append(Problem(where, "no question has this id"))
        elif isinstance(row.get("thinking_prediction"), str) and isinstance(row.get("answer_prediction"), str):
            entry = Entry(name, row["thinking_prediction"], row["answer_prediction"])
            problems += _wrong(entry, questions[name], max_trace_chars, where)
            entries.append(entry)
    if seen and not seen.keys() & questions.keys():
        return [], [Problem("ids", f"all {len(seen)} are of other questions than these {len(questions)}")]
    absent = [question for name, question in questions.items() if name not in seen]
    return entries, [*problems, *(_unanswered(question) for question in absent)]


def _unanswered(question: Asked) -> Problem:
    where = f"id {question.id!r}"
    if isinstance(question, Unanswerable):
        return Problem(where, "no line answers this question, whose metadata names no right choice", "dropped")
    return Problem(where, "no line answers this question")


def _misshapen(row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield f"must be a JSON object, found {_short(row)}"
        return
    for name in FIELDS:
        if name not in row:
            yield f"lacks the field {name!r}"
        elif not isinstance(row[name], str):
            yield f"{name!r} must be a text, found {_short(row[name])}"
        elif _surrogates(row[name]):
            yield f"{name!r} holds half of a surrogate pair, which UTF-8 cannot express"
    for name in row:
        if name not in FIELDS:
            yield f"has the field {_short(name)}, which the challenge does not know"


def _wrong(entry: Entry, question: Asked, max_trace_chars: int, where: str) -> Iterator[Problem]:
    """What is wrong with an entry's texts."""
    if not entry.answer.strip():
        yield Problem(where, "the answer is empty", "empty")
    elif entry.answer not in question.choices:
        near = [choice for choice in question.choices if choice.strip().casefold() == entry.answer.strip().casefold()]
        hint = f"; {_short(near[0])} is one, to the letter" if near else f"; choices: {_short(list(question.choices))}"
        yield Problem(where, f"the answer {_short(entry.answer)} is no choice{hint}")
    if not entry.thinking.strip():
        yield Problem(where, "the trace is empty", "empty")
    elif len(entry.thinking) >= max_trace_chars:
        length = len(entry.thinking)
        yield Problem(
            where, f"the trace has {length:,} characters; it must have fewer than {max_trace_chars:,}", "long"
        )


def accuracies(entries: Sequence[Entry], questions: Questions) -> Accuracies:
    """Both accuracies over all questions that have a right choice, from nothing but what is submitted."""
    right = [(entry.answer, questions[entry.id]) for entry in entries if entry.id in questions]
    strict = sum(answer == question.choices[question.answer] for answer, question in right)
    official = sum(official_match(answer, q.choices[q.answer], q.choices) for answer, q in right)
    n = len(questions)
    return Accuracies(acc_strict=round(strict / n, 4), acc_official=round(official / n, 4))


def _surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _short(value: object) -> str:
    """A value in a message: a model's text can be of any length, and a list of any depth."""
    return SHORT.repr(value)
