"""What the sources that others publish have in common: questions checked, cut to a limit, and left out by a rule.

What becomes of a source's content is told in three ways. A question that is wrong (no right choice, audio that cannot
be read) is dropped. What a stated rule of the source does not ask about, such as a visual question, is left out by that
rule. What lies beyond the source's limit is counted alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import scratch_dir
from audio_reasoning.tasks.mmar_schema import Row, checked_rows
from audio_reasoning.tasks.source_params import Published

BY_RULE = "by rule"  # the value of an entry's "left out" where a rule left it out, instead of a mistake


def leave_out(dropped: list[dict[str, str]], name: str, rule: str) -> None:
    """Note that a rule of the source, told in words that fit every case of it, leaves something out."""
    dropped.append({"id": name, "why": rule, "left out": BY_RULE})


def ready(
    objects: Iterable[tuple[str, dict[str, Any]]], source: Published, dropped: list[dict[str, str]], label: str
) -> list[Row]:
    """The questions that the source gives, checked, and no more than its limit; `label` is what they are read from.

    Raises UserError as `checked_rows` does, and where none is left.
    """
    rows = checked_rows(objects, dropped if source.invalid == "drop" else None)
    if not rows:
        first = next((f"; the first was: {entry['why']}" for entry in dropped), "")
        raise UserError(f"{label}: gives no question; {len(dropped)} were dropped or left out by a rule{first}")
    return limited(rows, source.limit)


def limited(rows: list[Row], limit: int | None) -> list[Row]:
    """At most `limit` of the rows, in their order: the same whenever it is called, sub-categories as even as they can.

    A row more elsewhere changes little: within a sub-category, those with the smallest hash of their id are taken.
    """
    if limit is None or len(rows) <= limit:
        return rows
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest(), reverse=True):
        waiting[row.sub_category].append(row)
    taken: set[str] = set()
    while len(taken) < limit:
        for of_one in waiting.values():
            if of_one and len(taken) < limit:
                taken.add(of_one.pop().id)
    return [row for row in rows if row.id in taken]


@contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of `folder`, gone at the end of the block."""
    with scratch_dir(folder.parent / "extracted") as scratch:
        yield scratch
