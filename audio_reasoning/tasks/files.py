"""Questions and audio files on this machine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, sha256_json
from audio_reasoning.tasks.clips import locate_all, questions_by_clip, refusal, transcode
from audio_reasoning.tasks.mmar_schema import SPLITS, Row, read_rows
from audio_reasoning.tasks.params import FilesSource, Shares
from audio_reasoning.tasks.published import limited


def load(source: FilesSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Read the questions file, transcode the audio files that it names.

    Raises UserError for what `check_pinned` and `transcode` refuse.
    """
    check_pinned(source)
    rows = limited(_read(source, dropped), source.limit)
    return transcode(rows, Path(source.audio), folder, source.invalid, dropped, source.audio)


def fingerprint(source: FilesSource) -> str:
    """The SHA-256, in hex, of the questions file and of every audio file that it names, with the files' paths.

    Audio that is missing or outside the audio folder counts as absent where the source drops what is invalid, and is
    a UserError elsewhere; so is what `read_rows` refuses, and a blank choice.
    """
    root = Path(source.audio)
    ids = questions_by_clip(_read(source, []))
    files, problems = locate_all(root, sorted(ids))
    audio: dict[str, str | None] = dict.fromkeys(problems)
    for path, file in files.items():
        try:
            audio[path] = sha256_file(file)
        except OSError as error:
            audio[path], problems[path] = None, f"cannot be read ({error.strerror})"
    if problems and source.invalid == "stop":
        raise refusal(problems, ids, source.audio)
    return sha256_json({"questions": sha256_file(Path(source.questions)), "audio": audio})


def check_pinned(source: FilesSource) -> None:
    """Raise UserError if the content is not what the source's `sha256` names: DVC tracks that, not the files."""
    sha256 = fingerprint(source)
    if sha256 != source.sha256:
        why = "it or audio that it names has changed" if source.sha256 else "this source's sha256 was never set"
        raise UserError(
            f"{source.questions}: {why}; if its content is as you want it, set the source's sha256 to {sha256}: "
            "`audio-reasoning fingerprint NAME --write` does, with this source's NAME"
        )


def questions_by_split(source: FilesSource) -> dict[str, int]:
    """How many questions a source has by split, their own or else the source's; UserError as `fingerprint`.

    Where the source gives shares instead of a split, about so many.
    """
    by_split = Counter(row.split for row in limited(_read(source, []), source.limit))
    rest = by_split.pop(None, 0)
    if isinstance(source.split, Shares):
        shares = {split: getattr(source.split, split) for split in SPLITS}
    else:
        shares = {source.split: 1.0}
    return {split: by_split.get(split, 0) + round(shares.get(split, 0.0) * rest) for split in SPLITS}


def _read(source: FilesSource, dropped: list[dict[str, str]]) -> list[Row]:
    rows = read_rows(Path(source.questions), dropped if source.invalid == "drop" else None)
    for row in rows:
        if row.blank_choices:
            raise UserError(f"{source.questions}: id {row.id!r} has a blank choice; remove it")
    return rows
