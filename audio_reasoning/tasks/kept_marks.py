"""Fingerprints that are kept by the hash of their clip: to read one takes a hundredth of the time to make it."""

import time
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from audio_reasoning.core.files import atomic_path, sha256_file
from audio_reasoning.tasks import fingerprint
from audio_reasoning.tasks.fingerprint import Landmarks, landmarks

_MOST_BYTES = 4 * 2**30  # of clips that last 250 hours together
_UNFINISHED_S = 86_400.0  # after which a file that was begun belongs to nobody


def samples_of(path: Path) -> NDArray[np.float32]:
    """A clip's 16 kHz mono samples."""
    return np.asarray(sf.read(path, dtype="float32")[0], np.float32)


def landmarks_of(path: Path, sha256: str, folder: Path | None) -> Landmarks:
    """The landmarks of the clip at `path`, whose bytes have this hash; kept in `folder`, where one is given.

    Safe under several processes. Raises NoRoomError on a full disk.
    """
    if folder is None or not sha256:
        return landmarks(samples_of(path))
    kept = folder / sha256[:2] / f"{sha256}.{_code()}.npy"
    try:
        keys, frames = np.load(kept, allow_pickle=False)
        return Landmarks(keys, frames.view(np.int32))
    except (OSError, ValueError, EOFError):  # none, or half of one, which a power cut may leave
        marks = landmarks(samples_of(path))
    with atomic_path(kept) as beside, beside.open("wb") as file:
        np.save(file, np.stack([marks.keys, marks.frames.view(np.uint32)]))
    return marks


def prune(folder: Path) -> None:
    """Delete the oldest beyond 4 GiB, and what killed processes left."""
    total = 0
    files = [(file.stat(), file) for file in folder.glob("*/*")]
    for stat, file in sorted(files, key=lambda entry: -entry[0].st_mtime):
        total += stat.st_size
        began = file.name.startswith(".")
        if total > _MOST_BYTES or (began and stat.st_mtime < time.time() - _UNFINISHED_S):
            file.unlink(missing_ok=True)


@cache
def _code() -> str:
    """What decides the landmarks besides the clip."""
    return sha256_file(Path(fingerprint.__file__))[:12]
