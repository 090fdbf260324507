"""MMAR's question schema, read strictly (Ma et al., "MMAR", arXiv 2505.13032; BoJack/MMAR on the Hugging Face hub)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from audio_reasoning.core.choices import kept_choices, right_choice
from audio_reasoning.core.clips import source_video
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, read_jsonl, read_text

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
_TEXTS = ("id", "audio_path", "question", "answer", "modality", "category", "sub-category")
_OPTIONAL_TEXTS = ("language", "source", "url", "timestamp", "group", "split")


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

    Raises UserError, with file, line (or index in the array) and id, for a field that is missing or of
    the wrong type, duplicate ids, duplicate choices, fewer than two choices, an answer that is not a
    choice, and an audio path that leaves its folder. With a list for `dropped`, such a question is left
    out instead, and its id and the message are appended there.
    """
    first_seen: dict[str, str] = {}
    rows = []
    for where, raw in _objects(path):
        try:
            row = parse_row(raw, where)
            if row.id in first_seen:
                raise UserError(f"{where}: id {row.id!r} is taken by {first_seen[row.id]}; ids must be unique")
        except UserError as error:
            if dropped is None:
                raise
            dropped.append({"id": str(raw.get("id")), "why": str(error).replace(str(path), path.name)})
            continue
        first_seen[row.id] = where
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: holds no questions")
    return rows


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix == ".json":
        values = read_json(path)
        if not isinstance(values, list):
            raise UserError(f"{path}: expected a JSON array of questions, found {type(values).__name__}")
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise UserError(f"{path}[{index}]: expected a JSON object, found {type(value).__name__}")
            yield f"{path}[{index}]", value
    else:
        lines = [number for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
        for number, value in zip(lines, read_jsonl(path), strict=True):
            yield f"{path}:{number}", value


def parse_row(raw: dict[str, Any], where: str) -> Row:
    """Check one question; `where` begins the messages of the UserErrors."""
    if isinstance(raw.get("id"), str):
        where = f"{where} (id {raw['id']!r})"
    for name in _TEXTS:
        if name not in raw:
            raise UserError(f"{where}: the field {name!r} is missing")
        if not isinstance(raw[name], str) or not raw[name].strip():
            raise UserError(f"{where}: {name!r} must be a text that is not blank, found {json.dumps(raw[name])}")
    for name in _OPTIONAL_TEXTS:
        if not isinstance(raw.get(name), str | None):
            raise UserError(f"{where}: {name!r} must be a text or null, found {json.dumps(raw[name])}")
    if raw.get("split") not in (None, *SPLITS):
        raise UserError(f"{where}: 'split' must be one of {', '.join(SPLITS)}, found {raw['split']!r}")
    choices = kept_choices(raw.get("choices"), where)
    return Row(
        raw=raw,
        id=raw["id"],
        audio_path=_inside(raw["audio_path"], where),
        question=raw["question"],
        choices=choices,
        answer=right_choice(choices, raw["answer"], where),
        blank_choices=len(raw["choices"]) - len(choices),
        category=raw["category"],
        sub_category=raw["sub-category"],
        modality=raw["modality"],
        language=raw.get("language"),
        group=raw.get("group") or source_video(raw["id"]) or raw["audio_path"],
        split=raw.get("split"),
    )


def _inside(audio_path: str, where: str) -> str:
    """The path without "./"; refused if it is absolute or climbs out of its folder."""
    path = PurePosixPath(audio_path)
    if path.is_absolute() or ".." in path.parts or "\\" in audio_path or "\0" in audio_path:
        raise UserError(f"{where}: 'audio_path' must lie inside the audio folder, found {audio_path!r}")
    return str(path)
