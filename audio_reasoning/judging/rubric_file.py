"""Rubrics: what a good trace for one question says, in five items that are met or not (MMAR-Rubrics).

The format is that of MMAR's own `MMAR-meta.jsonl` (https://github.com/ddlBoJack/MMAR), of which three fields are
read: `id`, `thinking` (a reference trace) and `rubric`, five items that are texts or objects with a `scoring_point`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import read_json, read_jsonl, read_text

ITEMS = 5


@dataclass(frozen=True)
class Evidence:
    """What a clip of MMAR-mini holds: the units that are `heard`, in order, of all of their kind, the `vocabulary`."""

    heard: tuple[str, ...]
    vocabulary: tuple[str, ...]


@dataclass(frozen=True)
class Rubric:
    """Five items in words, a reference trace, and for MMAR-mini the evidence that a rule can check."""

    items: tuple[str, ...]
    reference: str
    evidence: Evidence | None = None


def read_rubrics(path: Path) -> dict[str, Rubric]:
    """Read rubrics by question id, from JSON lines or a JSON array; fields that are not needed may be there.

    An entry whose rubric is null has none. Raises UserError, with the entry and its id, for an entry without an id, an
    id that occurs twice, and a rubric that is not five items scored 0 or 1.
    """
    rubrics: dict[str, Rubric] = {}
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}: entry {number}"
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise UserError(f"{where}: a rubric needs the 'id' of its question")
        if row["id"] in rubrics:
            raise UserError(f"{where}: {row['id']} has two rubrics; keep one")
        where = f"{where} (id {row['id']!r})"
        if row.get("rubric", "") is not None:
            rubrics[row["id"]] = replace(rubric_from(row, where), evidence=_evidence(row.get("evidence"), where))
    return rubrics


def rubric_from(row: dict[str, Any], where: str) -> Rubric:
    """The items and the reference of one rubric, checked; `where` begins the messages of the UserErrors."""
    if "rubric" not in row:
        raise UserError(f"{where}: has no field 'rubric'; {nearest('rubric', row)}")
    if not isinstance(row["rubric"], list) or len(row["rubric"]) != ITEMS:
        raise UserError(f"{where}: 'rubric' must be a list of {ITEMS} items, found {_shown(row['rubric'])}")
    reference = row.get("thinking") or ""
    if not isinstance(reference, str):
        raise UserError(f"{where}: 'thinking' must be a text, found {_shown(reference)}")
    items = tuple(_item(item, f"{where}, item {number}") for number, item in enumerate(row["rubric"], start=1))
    return Rubric(items, reference)


def to_row(question_id: str, rubric: Rubric) -> dict[str, Any]:
    """The rubric as an entry of a file."""
    row: dict[str, Any] = {
        "id": question_id,
        "thinking": rubric.reference,
        "rubric": [{"scoring_point": item, "choices": [0, 1]} for item in rubric.items],
    }
    if rubric.evidence:
        row["evidence"] = {"heard": list(rubric.evidence.heard), "vocabulary": list(rubric.evidence.vocabulary)}
    return row


def _rows(path: Path) -> Iterator[Any]:
    if not read_text(path).lstrip().startswith("["):
        yield from read_jsonl(path)
        return
    yield from read_json(path)


def _item(item: object, where: str) -> str:
    text = item.get("scoring_point") if isinstance(item, dict) else item
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{where}: needs a text, or an object with a 'scoring_point', found {_shown(item)}")
    choices = item.get("choices", [0, 1]) if isinstance(item, dict) else [0, 1]
    if not isinstance(choices, list) or sorted(choices, key=str) != [0, 1]:
        raise UserError(f"{where}: must be scored 0 or 1, found the scores {_shown(choices)}")
    return text.strip()


def _evidence(row: object, where: str) -> Evidence | None:
    if row is None:
        return None
    lists = [row.get(name) if isinstance(row, dict) else None for name in ("heard", "vocabulary")]
    if not all(isinstance(units, list) and units and all(isinstance(unit, str) for unit in units) for units in lists):
        raise UserError(f"{where}: 'evidence' must hold the lists of texts 'heard' and 'vocabulary'")
    heard, vocabulary = (tuple(units) for units in lists if units)
    return Evidence(heard, vocabulary)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:120]
