"""Where questions come from, question by question, and a source's summary of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

UNKNOWN = "unknown"


def provenance(license: str, revision: str, made: str) -> dict[str, str]:
    """What a row says of its origin in its field `provenance`; its `url` and `timestamp` are fields of MMAR's schema.

    `license` is of the audio and its annotations, as the source names it ("" where it names none), `revision` the state
    of the source, `made` how the question came about: "as published", or what it was made from.
    """
    return {"license": license or UNKNOWN, "revision": revision, "made": made}


def summary(
    rows: Sequence[dict[str, Any]], dropped: Sequence[dict[str, str]], by_rule: Iterable[dict[str, str]]
) -> dict[str, Any]:
    """Counts of a source's questions by licence, revision and making, and of what is not among them by the reason."""
    origins = [row["provenance"] for row in rows if "provenance" in row]
    return {
        "questions": len(rows),
        "licenses": _counts([origin["license"] for origin in origins], len(rows)),
        "revisions": _counts([origin["revision"] for origin in origins], len(rows)),
        "made": _counts([origin["made"] for origin in origins], len(rows)),
        "dropped": len(dropped),
        "left_out": _counts([entry["why"] for entry in by_rule]),
    }


def _counts(values: list[str], total: int = 0) -> dict[str, int]:
    counts = Counter(values)
    if total > len(values):
        counts[UNKNOWN] += total - len(values)
    return dict(sorted(counts.items()))


def with_provenance(rows: Iterable[dict[str, Any]], license: str, revision: str, made: str) -> Iterator[dict[str, Any]]:
    """The rows, each with the same provenance."""
    origin = provenance(license, revision, made)
    for row in rows:
        yield {**row, "provenance": origin}


def annotated(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The row with those of its fields under `annotations`: they tell of the answer, and no question shows them."""
    apart = {name: row[name] for name in names if name in row}
    return {**{name: value for name, value in row.items() if name not in apart}, "annotations": apart}
