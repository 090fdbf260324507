"""The two sides of a comparison as a command names them: prediction files, or runs of the project in this folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import Run
from stages.layout import answers_file, run_at
from stages.runs import existing_run


@dataclass(frozen=True)
class Side:
    """One of the two: as it was given, its answers, and which run of a project they are, None if they are of none."""

    given: str
    path: Path
    run: Run | None


def side_of(given: str) -> Side:
    """The file of that name or, where there is none, the answers of the run of that name.

    Raises UserError for what is neither, with the nearest name of a run or the parameter that would add it.
    """
    if Path(given).exists() or Path(given).suffix:
        return Side(given, Path(given), run_at(plain(Path(given))))
    try:
        run = existing_run(given)
    except UserError as error:
        raise UserError(f"there is no file {given!r}, and {error}") from None
    return Side(given, answers_file(run), run)


def plain(path: Path) -> Path:
    """A path as it is from this folder, and links as they are: DVC may link what it made into its cache."""
    return Path(os.path.relpath(path))


def names_of(a: Side, b: Side) -> tuple[str, str]:
    """Runs by their names and files by theirs, without folder and suffix where that tells them apart."""
    short_a, short_b = (side.run.name if side.run else Path(side.given).stem for side in (a, b))
    if short_a != short_b:
        return short_a, short_b
    return a.given, b.given if b.given != a.given else f"{b.given} (again)"
