"""Tables of comma-separated values, with a heading."""

import csv
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_text


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a UTF-8 table, with these columns alone, as texts; a value that a short row lacks is "".

    Raises UserError for a file that is no such table, or lacks one of the columns.
    """
    try:
        reader = csv.DictReader(read_text(path).splitlines(keepends=True), restval="", strict=True)
        absent = [column for column in columns if column not in (reader.fieldnames or ())]
        if absent:
            raise UserError(
                f"{path.name}: has no column {', '.join(absent)}; it has {', '.join(reader.fieldnames or ())}"
            )
        return [{column: row[column] for column in columns} for row in reader]
    except csv.Error as error:
        raise UserError(f"{path.name}: is no table of comma-separated values ({error})") from None
