"""Archives of audio, unpacked by hand: nothing lands outside, and what is broken is never half used.

Debian 12's Python 3.11.2 lacks the extraction filters of PEP 706.
"""

import errno
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from audio_reasoning.core.errors import DamagedError, UserError, no_room

_CHUNK = 1 << 20
# (name, whether it is a file or a folder, its content or None where it is a folder)
_Member = tuple[str, bool, IO[bytes] | None]


def extract(archive: Path, folder: Path, wanted: Collection[str] | None = None) -> None:
    """Unpack the regular files of a tar or zip archive below `folder`.

    With `wanted`, only members whose path ends in one of these, under that shorter path. Raises UserError for a member
    that is a link or would land elsewhere, DamagedError for a broken archive, NoRoomError for a full
    disk.
    """
    root = folder.resolve()
    paths = None if wanted is None else {_composed(path) for path in wanted}
    try:
        for name, plain, content in _members(archive):
            if not plain or not (root / name).resolve().is_relative_to(root):
                raise UserError(f"{archive}: refused, it holds an unsafe member: {name!r}")
            if content is None:  # a folder; files make their own
                continue
            short = name if paths is None else _shortened(name, paths)
            if short is not None:
                _write(root / short, content)
    except RuntimeError as error:  # a zip archive that asks for a password, or a way of packing that is not known
        raise UserError(f"{archive}: cannot be unpacked ({error})") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        if (full := no_room(error, folder)) is not None:
            raise full from None
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the archive
            raise UserError(f"{archive}: cannot be unpacked to {folder} ({error.strerror})") from None
        first = str(error).partition("\n")[0].removesuffix(":")
        raise DamagedError(f"{archive}: cannot be unpacked ({first}); delete it and run the stage again") from None


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
                yield member.filename, plain, None if member.is_dir() or not plain else file.open(member)
        return
    with tarfile.open(archive) as tar:
        for entry in tar:
            plain = entry.isfile() or entry.isdir()
            yield entry.name, plain, tar.extractfile(entry) if plain else None
        # A broken header counts as the end for tarfile; the checksum behind the last byte tells it from a true one.
        while tar.fileobj and tar.fileobj.read(_CHUNK):
            pass


def _shortened(name: str, wanted: set[str]) -> str | None:
    """The path in `wanted` that a member's path ends in, the longest; None if there is none."""
    parts = PurePosixPath(_composed(name)).parts
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in wanted), None)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # archives made on a Mac take accents apart


def _write(target: Path, content: IO[bytes]) -> None:
    with content:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("wb")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return  # one such file must not stop the others: a question about it is told that it is missing
        with file:
            shutil.copyfileobj(content, file)
