"""Large folders: written whole or not at all, with room for them looked for first."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_reasoning.core.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GB = 1e9


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which becomes `path` if the block ends without an error, and goes otherwise.

    It is `.<name>.partial` beside `path`: what a killed run left there is removed first. Raises UserError where `path`
    is there already, another run is writing it, or the disk is full or not writable.
    """
    _refuse(path)
    scratch = path.absolute().parent / f".{path.name}.partial"
    with filling(path):
        scratch.mkdir(parents=True, exist_ok=True)
        claim = os.open(scratch, os.O_RDONLY)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            raise UserError(
                f"{path}: another run is writing it just now; wait for it, or give another folder"
            ) from None
        try:
            for left in scratch.iterdir():
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
            yield scratch
            _refuse(path)
            scratch.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(claim)


def check_room(size: int, target: Path) -> None:
    """Raise UserError unless the disk of `target`, which need not be there yet, has room for so many bytes."""
    place = next(path for path in (target, *target.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    if size > free:
        raise UserError(
            f"{place}: {size / _GB:.1f} GB are to be written there, {free / _GB:.1f} GB are free; make room, or give "
            "a folder on a larger disk"
        )


@contextmanager
def filling(target: Path) -> Iterator[None]:
    """Make what a disk that is full, or not writable, does in the block one message about `target`."""
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{target}: cannot be written there ({error.strerror}: {error.filename})") from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(f"{target}: the disk is full ({error.strerror}); make room, nothing of it was kept") from None


def _refuse(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UserError(f"{path}: exists already; give a folder that does not")
