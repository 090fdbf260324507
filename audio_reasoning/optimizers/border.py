"""Between DSPy and the rest: what crosses is neither silenced nor swallowed, and DSPy's own chatter stays within.

DSPy writes progress bars and logs of its own, and takes an error in what it calls for a wrong answer.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from typing import TextIO

_ALOUD: ContextVar[tuple[TextIO, TextIO] | None] = ContextVar("_ALOUD", default=None)


class Stopped(BaseException):
    """Carries an error out of DSPy: none of its handlers catches it."""


@contextmanager
def in_dspy() -> Iterator[None]:
    """Run DSPy without its output; an error in what it calls of ours is raised as it was."""
    token, nowhere = _ALOUD.set((sys.stdout, sys.stderr)), io.StringIO()
    try:
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    except Stopped as stopped:
        assert stopped.__cause__ is not None
        raise stopped.__cause__ from None
    finally:
        _ALOUD.reset(token)


@contextmanager
def at_home() -> Iterator[None]:
    """Run what DSPy calls of ours: its output is seen, and an error ends the search."""
    stdout, stderr = _ALOUD.get() or (sys.stdout, sys.stderr)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            yield
    except Exception as error:
        raise Stopped from error
