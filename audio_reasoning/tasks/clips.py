"""The audio files that questions name: found under any Unicode form, turned into FLAC; those that cannot be, named."""

import hashlib
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import joblib
from joblib import Parallel, delayed

from audio_reasoning.core.errors import NoRoomError, UserError
from audio_reasoning.core.progress import progress
from audio_reasoning.tasks.kept import kept_in, transcoded
from audio_reasoning.tasks.mmar_schema import Row

Invalid = Literal["stop", "drop"]
# The longest name, in bytes, that common file systems take; longer ones are cut and told apart by a hash.
_NAME_BYTES, _KEPT_BYTES = 255, 200
_LISTED = 20
_WORTH_PROCESSES = 500  # clips
_AT_ONCE = 4  # clips that a process is given


def transcode(
    rows: list[Row], root: Path, folder: Path, invalid: Invalid, dropped: list[dict[str, str]], label: str
) -> Iterator[dict[str, Any]]:
    """Write each row's audio, found under `root`, as FLAC under `folder`; yield the rows with the new paths.

    Audio that cannot be used is told at the end, all of it in one UserError; or, where `invalid` is "drop", its
    questions are left out and appended to `dropped`. `label` stands for `root` in messages. What is odd about a
    file is told on stderr with the questions that ask about it. Within `kept.keeping`, what was transcoded before,
    in a run that was interrupted too, is not transcoded again; the files are the same. A full disk is a NoRoomError.
    """
    _check_folder(root)
    ids = questions_by_clip(rows)
    files, problems = locate_all(root, ids)
    targets = flac_paths(files)
    first = {target: path for path, target in reversed(targets.items())}

    asking: dict[str, list[str]] = {}  # the paths of each target
    for path, target in targets.items():
        asking.setdefault(target, []).append(path)
    warnings: list[str] = []
    n_kept = 0
    # Packets are short, and threads wait for one another between them; a process takes a second to start.
    prefer, at_once = ("processes", _AT_ONCE) if len(first) >= _WORTH_PROCESSES else ("threads", 1)
    run = Parallel(joblib.cpu_count(), prefer=prefer, batch_size=at_once, return_as="generator")
    keep = kept_in()  # here: jobs are made in a thread, which knows nothing of it
    jobs = (delayed(_attempt)(files[path], folder / target, keep) for target, path in first.items())
    with progress(len(first), "clip", "transcoding") as bar:
        for target, (clip_warnings, was_kept, error) in zip(first, run(jobs), strict=True):
            for path in asking[target]:
                if error:
                    problems[path] = str(error).removeprefix(f"{files[first[target]]}: ")
                warnings += [f"{label}/{path}: {warning} ({named(ids[path])})" for warning in clip_warnings]
            n_kept += was_kept
            bar.update()
    if n_kept:
        print(f"{n_kept} of {len(first)} clips had been transcoded before", file=sys.stderr)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if problems and (invalid == "stop" or len(problems) == len(ids)):
        raise refusal(problems, ids, label)
    for row in rows:
        if row.audio_path in problems:
            dropped.append({"id": row.id, "why": f"{row.audio_path}: {problems[row.audio_path]}"})
        else:
            yield {**row.raw, "audio_path": targets[row.audio_path]}


def _attempt(path: Path, target: Path, folder: Path | None) -> tuple[tuple[str, ...], bool, UserError | None]:
    """Transcode one file: its warnings, whether it was kept, and why it cannot be used."""
    try:
        return *transcoded(path, target, folder), None
    except NoRoomError:
        raise
    except UserError as error:
        return (), False, error


def questions_by_clip(rows: Iterable[Row]) -> dict[str, list[str]]:
    """The ids of the questions about each audio path."""
    ids: dict[str, list[str]] = {}
    for row in rows:
        ids.setdefault(row.audio_path, []).append(row.id)
    return ids


def refusal(problems: dict[str, str], ids: dict[str, list[str]], label: str) -> UserError:
    """One message for all audio that cannot be used: path -> reason."""
    lines = [f"{label}/{path}: {why} ({named(ids[path])})" for path, why in sorted(problems.items())]
    way_out = "`invalid: drop` in the source leaves such questions out and records them"
    if len(lines) == 1:
        return UserError(f"{lines[0]}; {way_out}")
    more = [f"… and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    head = f"{len(lines)} of {len(ids)} audio files cannot be used; {way_out}:"
    return UserError("\n  ".join([head, *lines[:_LISTED], *more]))


def named(ids: list[str]) -> str:
    """The questions of one clip, for a message.

    >>> named(["q1"]), named(["q1", "q2", "q3", "q4", "q5"])
    ("question 'q1'", "questions 'q1', 'q2', 'q3' and 2 more")
    """
    listed = ", ".join(repr(name) for name in ids[:3])
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"question{'s' if len(ids) > 1 else ''} {listed}{more}"


def locate_all(root: Path, paths: Iterable[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Where each path's file lies, and why not; UserError if there is no such folder at all."""
    _check_folder(root)
    files: dict[str, Path] = {}
    problems: dict[str, str] = {}
    for path in paths:
        try:
            files[path] = locate(root, path)
        except UserError as error:
            problems[path] = str(error)
    return files, problems


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        raise UserError(f"{root}: no such audio folder")


def locate(root: Path, path: str) -> Path:
    """The file that `path` names under `root`, also where the disk has its name in another Unicode form.

    Raises UserError, without the path, if there is none, or it is a link to outside.
    """
    try:
        file = root / path
        if not file.is_file():
            file = _in_any_form(root, path)
        if not file.is_file():
            raise UserError("no such audio file")
        if not file.resolve().is_relative_to(root.resolve()):
            raise UserError("is a link to outside the audio folder; copy the file there")
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})") from None
    return file


def _in_any_form(root: Path, path: str) -> Path:
    """Follow `path` by names that are equal once normalised: macOS and some archives take accents apart."""
    at = root
    for part in PurePosixPath(path).parts:
        if part.isascii() or (at / part).exists() or not at.is_dir():
            at /= part
            continue
        same = [entry for entry in at.iterdir() if _composed(entry.name) == _composed(part)]
        if len(same) > 1:
            raise UserError(f"{len(same)} files have this name in different Unicode forms; keep one")
        at = same[0] if same else at / part
    return at


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def flac_paths(files: dict[str, Path]) -> dict[str, str]:
    """Each path with its FLAC's, in composed form; UserError if two files would get the same."""
    targets: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path, file in files.items():
        target = _flac_path(path)
        other = sources.setdefault(target, path)
        if other != path and not files[other].samefile(file):
            raise UserError(f"{other} and {path} would both become {target}; rename one of them")
        targets[path] = target
    return targets


def _flac_path(path: str) -> str:
    target = PurePosixPath(_composed(path)).with_suffix(".flac")
    if len(target.name.encode()) > _NAME_BYTES:
        kept = target.stem.encode()[:_KEPT_BYTES].decode(errors="ignore")
        target = target.with_name(f"{kept}-{hashlib.sha256(path.encode()).hexdigest()[:12]}.flac")
    return str(target)
