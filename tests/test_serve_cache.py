"""The response cache: what is written stays, whatever happens to the process or the file."""

import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.cache import ResponseCache, response_cache
from stages.layout import cache_dir

WRITER = """
import sys
from pathlib import Path
from audio_reasoning.engines.cache import ResponseCache
cache = ResponseCache(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    cache.put_many([(f"{sys.argv[2]}-{i}-{j}", {"i": i, "text": "x" * 1000}) for j in range(4)])
    print(i, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "responses.sqlite"


def writer(path: Path, name: str, batches: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), name, str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=20))
@example({"a lone surrogate, which UTF-8 cannot hold": "\ud800"})
def test_values_come_back_as_they_were_put(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("cache") / "c.sqlite"
    cache = ResponseCache(path)
    cache.put_many(values.items())
    cache.close()
    assert ResponseCache(path).get_many([*values, "absent"]) == {**values}


def test_more_keys_than_fit_in_one_query(path: Path) -> None:
    cache = ResponseCache(path)
    cache.put_many((f"k{i}", i) for i in range(3000))
    assert cache.get_many([f"k{i}" for i in range(0, 6000, 2)]) == {f"k{i}": i for i in range(0, 3000, 2)}


def test_the_first_answer_to_a_key_stays(path: Path) -> None:
    cache = ResponseCache(path)
    cache.put_many([("k", "first")])
    cache.put_many([("k", "second")])
    assert cache.get_many(["k"]) == {"k": "first"}


def test_a_batch_is_written_whole_or_not_at_all(path: Path) -> None:
    cache = ResponseCache(path)
    with pytest.raises(ValueError):
        cache.put_many([("good", 1), ("bad", float("nan"))])
    assert cache.get_many(["good", "bad"]) == {}


def test_the_project_cache_is_shared_by_dvc_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with response_cache(cache_dir()) as cache:
        cache.put_many([("k", 1)])
    assert (tmp_path / ".cache" / "responses.sqlite").is_file()


def test_a_killed_writer_loses_nothing_that_it_had_written(path: Path) -> None:
    process = writer(path, "a", 100_000)
    assert process.stdout is not None
    written = [int(process.stdout.readline()) for _ in range(50)][-1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = ResponseCache(path).get_many([f"a-{i}-{j}" for i in range(written + 1) for j in range(4)])
    assert len(found) == 4 * (written + 1)


def test_several_processes_create_and_write_one_cache(path: Path) -> None:
    names, batches = "abcd", 50
    processes = [writer(path, name, batches) for name in names]
    assert [process.communicate(timeout=120)[1] or process.returncode for process in processes] == [0] * len(names)
    keys = [f"{name}-{i}-{j}" for name in names for i in range(batches) for j in range(4)]
    assert len(ResponseCache(path).get_many(keys)) == len(keys)


def test_a_file_that_is_no_database_is_explained(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to have had a header " * 20)
    with pytest.raises(UserError, match=r"responses\.sqlite: .*not a database.*delete it"):
        ResponseCache(path)


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious (x)")
    with pytest.raises(UserError, match="not a response cache"):
        ResponseCache(path)
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


def test_a_damaged_file_is_explained(path: Path) -> None:
    cache = ResponseCache(path)
    cache.put_many((f"k{i}", "x" * 1000) for i in range(200))
    cache.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 8192))
    with pytest.raises(UserError, match="delete it"):
        ResponseCache(path).get_many([f"k{i}" for i in range(200)])


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="permissions"):
        ResponseCache(tmp_path / "file" / "responses.sqlite")


def test_sixteen_thousand_answers_are_found_at_once(path: Path) -> None:
    cache = ResponseCache(path)
    value = {"samples": [{"text": "word " * 50}]}
    cache.put_many((f"{i:064d}", value) for i in range(16_000))
    began = time.process_time()  # a busy machine does not count
    assert len(cache.get_many([f"{i:064d}" for i in range(16_000)])) == 16_000
    assert time.process_time() - began < 3  # 0.1 s where it was measured


def test_many_may_open_a_new_cache_at_once(tmp_path: Path) -> None:
    def opened(path: Path) -> None:
        ResponseCache(path).close()

    with ThreadPoolExecutor(16) as pool:
        for round_ in range(20):
            list(pool.map(opened, [tmp_path / f"{round_}.sqlite"] * 16))
