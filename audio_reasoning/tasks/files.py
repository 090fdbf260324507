"""Questions and audio files on this machine."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, sha256_json
from audio_reasoning.core.progress import progress
from audio_reasoning.tasks.audio import read_audio, write_flac
from audio_reasoning.tasks.mmar_schema import Row, read_rows
from audio_reasoning.tasks.params import FilesSource


def load(source: FilesSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Read the questions file, transcode the audio files that it names.

    Raises UserError for what `check_pinned` and `read_audio` refuse.
    """
    check_pinned(source)
    return transcode(_read(source, dropped), Path(source.audio), folder)


def fingerprint(source: FilesSource) -> str:
    """The SHA-256, in hex, of the questions file and of every audio file that it names, with the files' paths.

    Raises UserError for what `read_rows` refuses, for a blank choice, and for audio that is missing or
    outside the audio folder.
    """
    root = Path(source.audio)
    paths = sorted({row.audio_path for row in _read(source, [])})
    for path in paths:
        _check_inside(root, path)
        if not (root / path).is_file():
            raise UserError(f"{root / path}: no such audio file")
    audio = {path: sha256_file(root / path) for path in paths}
    return sha256_json({"questions": sha256_file(Path(source.questions)), "audio": audio})


def check_pinned(source: FilesSource) -> None:
    """Raise UserError if the content is not what the source's `sha256` names: DVC tracks that, not the files."""
    found = fingerprint(source)
    if found != source.sha256:
        why = "it or audio that it names has changed" if source.sha256 else "this source's sha256 was never set"
        raise UserError(
            f"{source.questions}: {why}; if its content is as you want it, set the source's sha256 to {found} "
            "in conf/profile/ and run `python -m stages.compose --write`"
        )


def _read(source: FilesSource, dropped: list[dict[str, str]]) -> list[Row]:
    rows = read_rows(Path(source.questions), dropped if source.invalid == "drop" else None)
    for row in rows:
        if row.blank_choices:
            raise UserError(f"{source.questions}: id {row.id!r} has a blank choice; remove it")
    return rows


def transcode(rows: list[Row], root: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Write each row's audio, found under `root`, as FLAC under `folder`; yield the rows with the new paths."""
    targets = flac_paths(row.audio_path for row in rows)
    for path in targets:
        _check_inside(root, path)

    def convert(item: tuple[str, str]) -> None:
        path, target = item
        write_flac(folder / target, read_audio(root / path))

    with progress(len(targets), "clip", "transcoding") as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(convert, targets.items()):
            bar.update()
    for row in rows:
        yield {**row.raw, "audio_path": targets[row.audio_path]}


def flac_paths(paths: Iterable[str]) -> dict[str, str]:
    """Each distinct path with its FLAC's; UserError if two of them differ only in their suffix."""
    targets: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path in paths:
        target = str(PurePosixPath(path).with_suffix(".flac"))
        if sources.setdefault(target, path) != path:
            raise UserError(f"{sources[target]} and {path} would both become {target}; rename one of them")
        targets[path] = target
    return targets


def _check_inside(root: Path, path: str) -> None:
    if not root.is_dir():
        raise UserError(f"{root}: no such audio folder")
    if not (root / path).resolve().is_relative_to(root.resolve()):
        raise UserError(f"{root / path}: is a link to outside the audio folder; copy the file there")
