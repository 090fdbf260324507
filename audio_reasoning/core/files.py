"""Files that are whole or absent: everything is written beside its target and moved into place."""

import codecs
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from audio_reasoning.core.errors import UserError, no_room
from audio_reasoning.core.parse import parse_json, parse_json_rows

_SCRATCH = ".unfinished"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield the name of an empty file, which replaces `path` only if the block ends without an error.

    The name is nobody else's: of processes that write one file at once, each has its own, and the last to end stays.
    Raises NoRoomError where the disk is full.
    """
    with _told_if_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            beside.chmod(0o644)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[str]]:
    """Open a text file that replaces `path` only if the block ends without an error; NoRoomError for a full disk."""
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file; NoRoomError if the disk is full."""
    with atomic_path(path) as beside:
        beside.write_bytes(data)


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` only if the block ends without an error.

    Raises NoRoomError where the disk is full.
    """
    with _told_if_full(path), scratch_dir(path) as scratch:
        yield scratch
        scratch.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        scratch.replace(path)


@contextmanager
def scratch_dir(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, gone at the end of the block.

    Those that processes left which were killed are deleted first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_SCRATCH}"):
        with _locked(left, fcntl.LOCK_NB) as is_ours:
            if is_ours:
                shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as stack:
        while True:  # until no other process has deleted it before it was locked
            scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_SCRATCH))
            stack.enter_context(_locked(scratch))
            if scratch.is_dir():
                break
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[bool]:
    """Hold the folder's lock, which ends with this process however that ends; yield whether it is held.

    It never is where the file system has no locks: nothing is deleted there.
    """
    handle = -1
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | how)
        held = True
    except OSError:
        held = False
    try:
        yield held
    finally:
        if handle >= 0:
            os.close(handle)


@contextmanager
def _told_if_full(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if (full := no_room(error, path)) is None:
            raise
        raise full from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON. NaN is refused: DVC reads it as changed for ever."""
    with atomic_write(path) as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON value; a missing or broken file is a UserError."""
    return parse_json(read_text(path), str(path))


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield one object a line; a broken line is a UserError that names it."""
    for _, row in read_rows(path):
        yield row


def read_rows(path: Path, label: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of JSON lines or of a JSON array, whatever the file's name ends in, each with its place.

    The place, "file:line" and in an array the item, begins a message; `label` stands there for the file. Raises
    UserError for a file that is missing or broken, and for a value that is no object.
    """
    for where, row in parse_json_rows(read_text(path), label or str(path)):
        if not isinstance(row, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(row).__name__}")
        yield where, row


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark; a missing or undecodable one is a UserError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (is an earlier stage still to run? `dvc repro`)") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a file") from None
    except UnicodeDecodeError:
        raise UserError(_undecodable(path)) from None
    if "\0" in text[:4]:  # UTF-16 of Western text without its mark is sound UTF-8 with every second character NUL
        raise UserError(_undecodable(path))
    return text


def _undecodable(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        return f"{path}:1: is UTF-16 or UTF-32 text; save it as UTF-8"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start
        line = data.count(b"\n", 0, start) + 1
        return f"{path}:{line}: not UTF-8 text (byte {start} of the file is 0x{data[start]:02x}); save it as UTF-8"
    return f"{path}: not UTF-8 text"


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """The SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
