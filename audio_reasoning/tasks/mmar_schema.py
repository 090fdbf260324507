"""MMAR's question schema, read strictly; audio_reasoning/core/mmar.py types it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from audio_reasoning.core.choices import kept_choices, right_choice
from audio_reasoning.core.clips import source_video
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_rows as read_objects
from audio_reasoning.core.labels import Spellings
from audio_reasoning.core.mmar import AskedRow, Split
from audio_reasoning.core.validate import validated

SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Row:
    """One question as its source gives it.

    `raw` is the JSON object itself. `choices` are verbatim, without blank ones, which `blank_choices`
    counts (MMAR has four); `answer` is the index of the right one. `group` is the source's own, or the
    video that the clip was cut from, or the clip. `split` is None where the source has no splits.
    """

    raw: dict[str, Any]
    id: str
    audio_path: str
    question: str
    choices: tuple[str, ...]
    answer: int
    blank_choices: int
    category: str
    sub_category: str
    modality: str
    language: str | None
    group: str
    split: Split | None


def read_rows(path: Path, dropped: list[dict[str, str]] | None = None) -> list[Row]:
    """Read a JSON array or JSON lines of questions in MMAR's schema.

    Raises UserError as `checked_rows` does.
    """
    rows = checked_rows(read_objects(path), dropped, path)
    if not rows:
        raise UserError(f"{path}: holds no questions")
    return rows


def checked_rows(
    objects: Iterable[tuple[str, dict[str, Any]]], dropped: list[dict[str, str]] | None, path: Path | None = None
) -> list[Row]:
    """Check questions in MMAR's schema, each given with its place, which begins the messages about it.

    Raises UserError, with the place and the id, for a field that is missing or of the wrong type, duplicate ids,
    duplicate choices, fewer than two choices, an answer that is not a choice, and an audio path that leaves
    its folder. With a list for `dropped`, such a question is left out instead, and its id, its split and the
    message, with the name of `path` alone, are appended there. Labels in two spellings are refused in any case.
    """
    first_seen: dict[str, str] = {}
    spellings = Spellings()
    rows = []
    for where, raw in objects:
        try:
            row = parse_row(raw, where)
            if row.id in first_seen:
                raise UserError(f"{where}: id {row.id!r} is taken by {first_seen[row.id]}; ids must be unique")
        except UserError as error:
            if dropped is None:
                raise
            row_split = raw.get("split")
            split = {"split": row_split} if row_split in SPLITS else {}
            why = str(error).replace(str(path), path.name) if path else str(error)
            dropped.append({"id": str(raw.get("id")), "why": why, **split})
            continue
        spellings.add(labels_of(row), f"{where} (id {row.id!r})")
        first_seen[row.id] = where
        rows.append(row)
    return rows


def labels_of(row: Row) -> list[tuple[str, str]]:
    """The labels that the question is counted under, as `Spellings` takes them."""
    return [("category", row.category), ("sub-category", row.sub_category), ("modality", row.modality)]


def parse_row(raw: dict[str, Any], where: str) -> Row:
    """Check one question; `where` begins the messages of the UserErrors."""
    if isinstance(raw.get("id"), str):
        where = f"{where} (id {raw['id']!r})"
    fields = validated(AskedRow, raw, where)
    try:
        choices = kept_choices(fields.choices)
        answer = right_choice(choices, fields.answer)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    return Row(
        raw=raw,
        id=fields.id,
        audio_path=_inside(fields.audio_path, where),
        question=fields.question,
        choices=choices,
        answer=answer,
        blank_choices=len(fields.choices) - len(choices),
        category=fields.category,
        sub_category=fields.sub_category,
        modality=fields.modality,
        language=fields.language,
        group=fields.group or source_video(fields.id) or fields.audio_path,
        split=fields.split,
    )


def _inside(audio_path: str, where: str) -> str:
    """The path without "./"; refused if it is absolute or climbs out of its folder."""
    path = PurePosixPath(audio_path)
    if path.is_absolute() or ".." in path.parts or "\\" in audio_path or "\0" in audio_path:
        raise UserError(f"{where}: 'audio_path' must lie inside the audio folder, found {audio_path!r}")
    return str(path)
