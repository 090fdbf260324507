"""A cache of responses, so that an interrupted stage goes on where it stopped.

One SQLite file in WAL mode, shared by all processes. An answer is safe once `put_many` has returned: a
process that is killed loses only its requests in flight. (A power cut can lose the last seconds.)
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from audio_reasoning.core.errors import UserError, no_room

_APPLICATION = 0x61757265  # "aure": marks the file as ours
_VERSION = 1
_BUSY_S = 60.0
_CHUNK = 500  # keys a query; SQLite allows 32,766 parameters


class ResponseCache:
    """JSON values by key; safe under several processes and threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=8
            )
            # One process at a time: where SQLite goes over to WAL it does not wait for other processes' locks.
            with FileLock(path.with_suffix(".lock"), timeout=_BUSY_S):
                self._prepare()

    @property
    def folder(self) -> Path:
        """Where the file is; other resumable work can be kept beside it."""
        return self._path.parent

    def get_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of those `keys` that are there."""
        values: dict[str, Any] = {}
        with self._explained(), self._lock:
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = self._connection.execute(f"SELECT key, value FROM responses WHERE key IN ({marks})", chunk)
                values.update((key, json.loads(value)) for key, value in rows)
        return values

    def put_many(self, rows: Iterable[tuple[str, Any]]) -> None:
        """Write all `rows` (key, JSON value), or none; a key that is there already keeps its value."""
        encoded = [(key, json.dumps(value, allow_nan=False)) for key, value in rows]
        if not encoded:
            return
        with self._explained(), self._lock:
            # IMMEDIATE waits for other writers here, where waiting is possible, not at the first INSERT.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR IGNORE INTO responses VALUES (?, ?)", encoded)
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file; nothing is left to write."""
        self._connection.close()

    def _prepare(self) -> None:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        application, version = (run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if application == 0 and run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            run("CREATE TABLE responses (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            run(f"PRAGMA application_id = {_APPLICATION}")
            run(f"PRAGMA user_version = {_VERSION}")
        elif (application, version) != (_APPLICATION, _VERSION):
            run("ROLLBACK")
            raise UserError(f"{self._path}: not a response cache of this version; move it away, a new one is made")
        run("COMMIT")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell a failing file or disk as a UserError."""
        try:
            yield
        except (sqlite3.Error, OSError, Timeout, json.JSONDecodeError) as error:
            if (full := no_room(error, self._path)) is not None:
                raise full from None
            raise UserError(
                f"{self._path}: the response cache cannot be used: {error}. If the file is damaged, delete it with "
                f"its -wal and -shm files: answers are asked again. Else see to disk space and permissions."
            ) from None


@contextmanager
def response_cache(work: Path) -> Iterator[ResponseCache]:
    """The response cache of the folder `work`."""
    cache = ResponseCache(work / "responses.sqlite")
    try:
        yield cache
    finally:
        cache.close()
