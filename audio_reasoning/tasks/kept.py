"""Transcoded clips that are kept by what they are made of, so that an interrupted stage goes on where it stopped.

DVC deletes a stage's outputs before it runs, and an interrupted stage leaves none: what is kept lies elsewhere. A clip
lies under a hash of the source file's bytes, of the code that transcodes and of its libraries' versions, so that a
changed file, or code, never finds an old one. It is linked to where it is wanted, which takes no room, or copied.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import av
import numpy
import soundfile
import soxr
from blake3 import blake3

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_path, read_json, write_json
from audio_reasoning.tasks.audio import transcode_file

_MOST_BYTES = 20 * 2**30  # of clips: some 350 hours
_CHUNK = 1 << 20
_STALE_S = 86_400.0  # after which a file that nobody finished belongs to nobody
_CODE = ("audio", "containers", "content", "decode", "levels", "sound_file")
_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Keep in `folder` what is transcoded in the block, and use what is there; the oldest beyond 20 GiB is deleted.

    Not where the block raises: what was done is to be gone on from.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)
    _prune(folder)


def kept_in() -> Path | None:
    """The folder of the innermost `keeping`; None outside of it."""
    return _folder.get()


def transcoded(path: Path, target: Path, folder: Path | None) -> tuple[tuple[str, ...], bool]:
    """Have the file at `path` as FLAC at `target`; what is odd about it, and whether it was kept in `folder` before.

    Safe under several threads and processes. Raises UserError as `transcode_file` does, NoRoomError on a full disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder is None:
        with atomic_path(target) as beside:
            return transcode_file(path, beside), False
    name = _name(path)
    clip, about = (folder / name[:2] / f"{name}{suffix}" for suffix in (".flac", ".json"))
    warnings = _read(clip, about)
    was_kept = warnings is not None
    if warnings is None:
        with atomic_path(clip) as beside:
            warnings = transcode_file(path, beside)
        write_json(about, {"blake3": _hash(clip), "warnings": warnings})
    _link(clip, target)
    return warnings, was_kept


def _name(path: Path) -> str:
    try:
        content = _hash(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return blake3(f"{content} {_code()}".encode()).hexdigest()


def _hash(path: Path) -> str:
    """BLAKE3, ten times as fast as SHA-256, which takes as long as transcoding a WAV file does."""
    digest = blake3()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@cache
def _code() -> str:
    """What decides the samples besides the file: our code, and the libraries'."""
    ours = [_hash(Path(__file__).with_name(f"{module}.py")) for module in _CODE]
    theirs = [av.__version__, numpy.__version__, soundfile.__libsndfile_version__, soxr.__version__]
    return " ".join([*ours, *theirs])


def _read(clip: Path, about: Path) -> tuple[str, ...] | None:
    """The warnings of a clip that is kept whole; None where there is none. A power cut may leave half of one."""
    if not about.is_file() or not clip.is_file():
        return None
    try:
        told = read_json(about)
        if told["blake3"] != _hash(clip):
            return None
        os.utime(about)  # the clip's own time is that of every link to it
        return tuple(told["warnings"])
    except (UserError, OSError, KeyError, TypeError):
        return None


def _link(clip: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(clip, target)
    except OSError:  # another disk, one without links, or too many of this file
        shutil.copyfile(clip, target)


def _prune(folder: Path) -> None:
    """Delete what was used longest ago beyond what may be kept, and what killed processes left."""
    total, used = 0, []
    for about in folder.glob("*/*.json"):
        try:
            used.append((about.stat().st_mtime, about.with_suffix(".flac").stat().st_size, about))
        except FileNotFoundError:  # another process prunes
            continue
    for _, size, about in sorted(used, reverse=True):
        total += size
        if total > _MOST_BYTES:
            about.unlink(missing_ok=True)
            about.with_suffix(".flac").unlink(missing_ok=True)
    for left in folder.glob("*/.*"):
        if left.stat().st_mtime < time.time() - _STALE_S:
            left.unlink(missing_ok=True)
