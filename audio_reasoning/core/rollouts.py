"""Sampled answers to training problems, and those that are trained on: the records in Parquet files."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_path
from audio_reasoning.core.records import Status

HEARD, SILENCE, DEV = "heard", "silence", "dev"  # a Sample's condition
Record = TypeVar("Record")


@dataclass(frozen=True)
class Sample:
    """One sampled answer to one problem, as it came: which choice is meant is read when it is graded.

    `condition` is "heard", "silence" (the clip was replaced by silence) or "dev" (a control question of the dev
    set). `order` maps the choices as asked to the question's own: choice i was `question.choices[order[i]]`.
    `error` is the reason where there is no answer.
    """

    problem_id: str
    condition: str
    sample_index: int
    order: tuple[int, ...]
    text: str
    finish_reason: str
    error: str
    prompt_token_ids: tuple[int, ...]
    completion_token_ids: tuple[int, ...]


@dataclass(frozen=True)
class Graded(Sample):
    """A sample, what became of it, and whether it is right."""

    status: Status
    correct: bool


@dataclass(frozen=True)
class Trace:
    """One sample that is trained on; `weight` multiplies its loss, 1 on average over a model's traces."""

    problem_id: str
    model: str
    sample_index: int
    pass_rate: float
    weight: float
    sub_category: str
    group: str
    audio_path: str
    audio_sha256: str
    duration_s: float
    text: str
    prompt_token_ids: tuple[int, ...]
    completion_token_ids: tuple[int, ...]


_TYPES = {str: pa.string(), int: pa.int32(), float: pa.float64(), bool: pa.bool_()}


def _schema(record: type) -> pa.Schema:
    def arrow(kind: Any) -> pa.DataType:
        return pa.list_(_TYPES[get_args(kind)[0]]) if get_origin(kind) is tuple else _TYPES[kind]

    return pa.schema([pa.field(f.name, arrow(f.type), nullable=False) for f in fields(record)])


def write_records(path: Path, record: type[Record], rows: Iterable[Record]) -> None:
    """Write records of one kind to a Parquet file, whole or not at all."""
    schema = _schema(record)
    table = pa.Table.from_pylist([{name: getattr(row, name) for name in schema.names} for row in rows], schema=schema)
    with atomic_path(path) as beside:
        pq.write_table(table, beside, compression="zstd")


def read_records(path: Path, record: type[Record]) -> list[Record]:
    """Read what `write_records` wrote.

    Raises UserError when the file is missing, damaged (a truncated Parquet file has no footer), or holds others.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (is an earlier stage still to run? `dvc repro`)") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path}: damaged or not Parquet ({str(error).splitlines()[0]}); delete it and run `dvc repro`: "
            "answers that were sampled are cached"
        ) from None
    if not table.schema.equals(_schema(record)):
        raise UserError(f"{path}: its columns are not those of {record.__name__}; delete it and run `dvc repro`")
    return [record(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}) for row in table.to_pylist()]
