"""Mistakes that a person can mend, told in one message instead of a traceback."""

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Bad input or set-up: the message says what is wrong, where, and how to mend it."""


class DamagedError(UserError):
    """A file that was fetched is broken or cut short: fetching it anew may mend that."""


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
        except KeyboardInterrupt:
            print("interrupted: what is finished is kept; run the same command to go on", file=sys.stderr)
            sys.exit(130)
        except BrokenPipeError:  # `… | head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)

    return wrapper
