"""The bytes of a file that may be larger than memory: sliced as `bytes` are, and read as an open file is."""

from typing import IO

_CHUNK = 1 << 20


class Content:
    """What lies in an open file from `start` to `end`; only what is asked for is read.

    It has no name on purpose: a decoder that is given one lets the suffix decide.
    """

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file, self._start, self._end, self._at = file, start, end, 0

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, span: slice) -> bytes:
        """The bytes of a slice without a step; raises OSError where the file cannot be read."""
        start, end, _ = span.indices(len(self))
        self._file.seek(self._start + start)
        return self._file.read(max(end - start, 0))

    def part(self, start: int, end: int) -> "Content":
        """The same file from `start` to `end` of this part."""
        return Content(self._file, self._start + start, self._start + end)

    def is_blank(self, start: int) -> bool:
        """Whether nothing but zeros follows."""
        return not any(self[at : at + _CHUNK].strip(b"\0") for at in range(start, len(self), _CHUNK))

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that follow."""
        data = self[self._at : len(self) if size < 0 else self._at + size]
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset from the start (0), from here (1) or from the end (2); returns where that is."""
        self._at = max(offset + (0, self._at, len(self))[whence], 0)
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seekable(self) -> bool:
        """True: a decoder may go back."""
        return True
