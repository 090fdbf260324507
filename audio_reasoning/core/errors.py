"""Mistakes that a person can mend, told in one message instead of a traceback."""

import difflib
import errno
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of this user is used up",
    errno.EFBIG: "it is larger than its file system or `ulimit -f` allows",
}


class UserError(Exception):
    """Bad input or set-up: the message says what is wrong, where, and how to mend it."""


class DamagedError(UserError):
    """A file that was fetched is broken or cut short: fetching it anew may mend that."""


class NoRoomError(UserError):
    """A disk that takes no more: nothing that follows could be written either."""


def no_room(error: BaseException, path: Path | str = "") -> NoRoomError | None:
    """What to tell of an error that means that `path`, or the file that the error names, does not fit; else None.

    Libraries that write by themselves (SQLite, safetensors, Arrow) raise errors of their own: their text tells.
    """
    if isinstance(error, UserError):
        return None
    reason = _NO_ROOM.get(error.errno or 0) if isinstance(error, OSError) else None
    if reason is None and ("No space left on device" in str(error) or "disk is full" in str(error)):
        reason = _NO_ROOM[errno.ENOSPC]
    if reason is None:
        return None
    named = getattr(error, "filename", None)
    path = Path(os.fsdecode(named) if isinstance(named, str | bytes) else path)
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    left = os.statvfs(there)
    files = ", and it takes no more files" if left.f_files and not left.f_favail else ""
    free = f"{shutil.disk_usage(there).free / 1e6:,.1f} MB are free in {there}{files}"
    return NoRoomError(
        f"{path}: cannot be written: {reason} ({free}); "
        "make room there, then run the same command again: it goes on with what is finished"
    )


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint naming the valid name closest to `name`.

    >>> nearest("temprature", ["temperature", "top_p"])
    'did you mean "temperature"?'
    >>> nearest("zzz", ["b", "a"])
    'valid: a, b'
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{close[0]}"?' if close else f"valid: {', '.join(names)}"


def stage_main(main: Callable[[], None]) -> Callable[[], None]:
    """Make `main` end with exit code 2 and one line on a UserError, and 130 on Ctrl-C."""

    @functools.wraps(main)
    def wrapper() -> None:
        try:
            main()
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except BrokenPipeError:  # `… | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except OSError as error:
            if (full := no_room(error)) is None:
                raise
            print(f"error: {full}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("interrupted: what is finished is kept; run the same command to go on", file=sys.stderr)
            sys.exit(130)

    return wrapper
