"""Parquet files that hold audio inline: their rows without it, and the audio of the rows that are wanted."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import DamagedError, UserError

_AT_ONCE = 64  # rows with their audio in memory


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, row) of each row, with these columns alone.

    Raises DamagedError for a file that is broken or cut short, UserError for one without these columns.
    """
    number = 0
    for batch in _batches(path, columns):
        for row in batch:
            yield number, row
            number += 1


def write_inline(path: Path, column: str, targets: Mapping[int, Path]) -> None:
    """Write the audio file of each row whose number is in `targets` to its path there; rows without any are passed.

    The column holds {bytes, path}, as the hub's `datasets` writes audio, or bytes. Raises as `parquet_rows` does.
    """
    for number, row in parquet_rows(path, [column]) if targets else ():
        audio = row[column]
        content = audio.get("bytes") if isinstance(audio, dict) else audio
        if number in targets and isinstance(content, bytes):
            targets[number].parent.mkdir(parents=True, exist_ok=True)
            targets[number].write_bytes(content)


def _batches(path: Path, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            absent = [column for column in columns if column not in file.schema_arrow.names]
            if absent:
                there = ", ".join(file.schema_arrow.names)
                raise UserError(f"{path.name}: has no column {', '.join(absent)}; it has {there}")
            for batch in file.iter_batches(_AT_ONCE, columns=list(columns)):
                yield batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        first = str(error).partition("\n")[0]
        raise DamagedError(f"{path}: is broken or cut short ({first}); delete it and run the stage again") from None
