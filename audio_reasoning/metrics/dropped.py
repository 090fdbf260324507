"""Questions of the benchmark that were left out when it was gathered: whoever tells a figure names them."""

from pathlib import Path

from audio_reasoning.core.files import read_json
from audio_reasoning.core.shown import printable


def dropped_ids(folder: Path, split: str = "test") -> list[str]:
    """The ids of the questions that a split in `folder` lacks, by the manifest beside it; none where there is none."""
    path = folder / "manifest.json"
    rows = read_json(path)["dropped"] if path.is_file() else []
    left_out = [row for row in rows if row["what"] == "the question" and row.get("split", split) == split]
    return list(dict.fromkeys(row["id"] for row in left_out))


def dropped_notes(ids: list[str]) -> list[str]:
    """What to keep in mind about figures that some questions are missing from: nothing, or one note with their ids."""
    if not ids:
        return []
    named = ", ".join(map(printable, ids))
    return [
        f"{len(ids)} questions of the test set are dropped, since they are invalid (data/questions/manifest.json says "
        f"why): {named}; no figure counts them, and none compares with one on all questions"
    ]
