"""Processes, told apart by process id and start time, and whole sessions of them."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from audio_reasoning.core.errors import UserError

_PR_SET_PDEATHSIG = 1  # prctl(2)
CLEAN_UP_S = 2.0  # what multiprocessing's helper gets to remove shared memory once its processes have ended
_KILL_S = 20.0  # what the kernel gets to end killed processes, with their GPU memory


@dataclass(frozen=True)
class Process:
    """A process; `started` is in seconds since the epoch, and told for process ids are used again."""

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        process = _find(self.pid)
        return process is not None and self.is_same(process) and _runs(process)

    def is_same(self, other: psutil.Process) -> bool:
        """Whether `other`, which has this id, is this very process."""
        # Two processes read a start time a little differently once the clock was set.
        return bool(abs(other.create_time() - self.started) < 2)


def describe(pid: int) -> Process:
    """The process that has the id `pid` now."""
    return Process(pid, psutil.Process(pid).create_time())


def dvc_ancestor() -> Process | None:
    """The nearest ancestor of this process that is a dvc command, if any."""
    for process in psutil.Process().parents():
        with suppress(psutil.Error):
            if is_dvc(process.cmdline()):
                return Process(process.pid, process.create_time())
    return None


def is_dvc(command: Sequence[str]) -> bool:
    """Whether a command line is dvc's.

    >>> is_dvc(["/venv/bin/python", "/venv/bin/dvc", "repro"]), is_dvc(["python", "-m", "dvc", "repro"])
    (True, True)
    >>> is_dvc(["bash", "-c", "dvc repro"])
    False
    """
    return any(Path(word).name == "dvc" for word in command[:3])


def end_session(leader: Process, patience_s: float) -> None:
    """Ask a session's leader to end (SIGTERM), and kill what is left of it after `patience_s`.

    Raises UserError when a process does not end even then.
    """
    if leader.alive:
        with suppress(ProcessLookupError):
            os.kill(leader.pid, signal.SIGTERM)
    else:
        patience_s = min(patience_s, CLEAN_UP_S)
    left = wait_for_session(leader, patience_s)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if left and (stuck := wait_for_session(leader, _KILL_S)):
        raise UserError(f"process {stuck[0].pid} of the old server does not end; see `ps -fp {stuck[0].pid}`")


def wait_for_session(leader: Process, patience_s: float) -> list[psutil.Process]:
    """Wait until all of a session but this process has ended; return what is left after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while (left := _members(leader)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (on Linux; nothing happens elsewhere)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _members(leader: Process) -> list[psutil.Process]:
    """The running processes of the session that `leader` leads or led, without this one."""
    holder = _find(leader.pid)
    if holder is not None and not leader.is_same(holder):
        return []  # the id was given away, which the kernel does only after the whole session has ended
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [process for process in others if _session(process.pid) == leader.pid and _runs(process)]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _find(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
