"""Writing sound such that a full disk is noticed: libsndfile tells of none of what fails as it closes a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

import soundfile as sf
from numpy.typing import NDArray


@contextmanager
def sound_file(path: Path, rate_hz: int, format: str) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Open a mono 16-bit file of libsndfile's `format`; yield what writes samples to it, integers or floats in [-1, 1].

    Raises OSError where the disk takes no more; then, and where the block raises, `path` holds half a file.
    """
    # Without a buffer: what is left in one would be written, and fail, where only libsndfile looks.
    with path.open("w+b", buffering=0) as file:
        checked = _Checked(file)
        sound = sf.SoundFile(checked, "w", rate_hz, 1, "PCM_16", format=format)

        def write(samples: NDArray[Any]) -> None:
            try:
                sound.write(samples)
            except (sf.LibsndfileError, AssertionError):
                if checked.error is None:
                    raise
                raise checked.error from None

        try:
            yield write
        finally:
            sound.close()
        if checked.error is not None:
            raise checked.error


class _Checked:
    """A file that keeps the error of a write: one that is raised through libsndfile is lost."""

    def __init__(self, file: RawIOBase) -> None:
        self.error: OSError | None = None
        self.seek, self.tell, self.readinto = file.seek, file.tell, file.readinto
        self._file = file

    def write(self, data: bytes) -> int:
        """Write all of `data`, or nothing more."""
        left = memoryview(data)
        try:
            while left and self.error is None:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.error = error
        return len(data) - len(left)
