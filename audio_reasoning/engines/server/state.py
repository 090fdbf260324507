"""What processes tell each other about the one local server: a state file and two locks.

`start.lock` is held while a server is looked for, started or replaced. `lease.lock` is held, shared, by
each process that uses the server, for as long as it does; who holds it exclusively may stop the server.
The kernel releases both when a process ends, however it ends.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.engines.server.processes import Process


@dataclass(frozen=True)
class State:
    """The server that was started last.

    `process` is its supervisor, `owners` the dvc commands that it was used by. It is `ready` once its
    start was seen through; a server whose starter was killed half-way is not. `keep` spares it when its
    owners end.
    """

    process: Process
    owners: tuple[Process, ...]
    fingerprint: str
    model_name: str
    port: int
    api_key: str
    idle_s: float
    keep: bool
    ready: bool

    @property
    def base_url(self) -> str:
        """Where the OpenAI API is."""
        return f"http://127.0.0.1:{self.port}/v1"


def server_home(work: Path) -> Path:
    """The folder in `work` of the server's state, locks and log; private to the user, for the key is in it."""
    home = work.absolute() / "server"
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    return home


def log_path(home: Path) -> Path:
    """The server's log; the one before it is server.previous.log."""
    return home / "server.log"


def read_state(home: Path) -> State | None:
    """The state, or None if there never was a server. Raises UserError when the file is damaged."""
    path = home / "state.json"
    if not path.exists():
        return None
    try:
        row = read_json(path)
        owners = tuple(Process(**owner) for owner in row.pop("owners"))
        return State(process=Process(**row.pop("process")), owners=owners, **row)
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a server's state; end any vLLM processes and delete it") from None


def write_state(home: Path, state: State) -> None:
    """Replace the state."""
    write_json(home / "state.json", asdict(state))


@contextmanager
def start_lock(home: Path) -> Iterator[None]:
    """Hold the right to look for, start or replace the server."""
    lock = FileLock(home / "start.lock", mode=0o600)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print("waiting: another process is starting the server or waiting for it", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Lock:
    """A file lock; one that is held can be taken again to change how it is shared.

    filelock's ReadWriteLock, over SQLite, cannot change from shared to exclusive or back, so the server's starter would
    hold nothing for a moment, in which its supervisor may stop it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def try_take(self, exclusive: bool) -> bool:
        """Take the lock if nobody is in the way; False otherwise."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()  # a refused conversion may have lost the lock (flock(2)); never half-hold it
            return False
        return True

    def take(self, exclusive: bool, waiting: str = "") -> None:
        """Wait for the lock, and say so (`waiting`) when that takes more than a second."""
        began = time.monotonic()
        while not self.try_take(exclusive):
            if waiting and time.monotonic() - began > 1:
                print(f"waiting: {waiting}", file=sys.stderr, flush=True)
                waiting = ""
            time.sleep(0.1)

    def release(self) -> None:
        """Give the lock up; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
