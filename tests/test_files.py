"""Files that are whole or absent, whoever writes them and however that ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import save_file

from audio_reasoning.core.errors import NoRoomError, stage_main
from audio_reasoning.core.files import (
    atomic_dir,
    atomic_path,
    atomic_write,
    scratch_dir,
    write_bytes,
    write_json,
    write_jsonl,
)
from audio_reasoning.engines.cache import ResponseCache
from tests.small_disk import enlarge, small_disk


def by_name(path: Path, content: str) -> None:
    with atomic_path(path) as beside:
        beside.write_text(content)


def as_text(path: Path, content: str) -> None:
    with atomic_write(path) as file:
        file.write(content)


@pytest.mark.parametrize("write", [by_name, as_text, lambda path, content: write_bytes(path, content.encode())])
def test_a_file_is_made_with_its_folder_and_replaced(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    path = tmp_path / "a/folder/file"
    for content in ("one\n", "another\n"):
        write(path, content)
        assert path.read_bytes() == content.encode()
    assert path.stat().st_mode & 0o777 == 0o644, "others may read it"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("open_file", [atomic_path, atomic_write])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(
    tmp_path: Path, open_file: Callable[[Path], object], error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_text("whole")
    with pytest.raises(error), open_file(path) as target:  # type: ignore[attr-defined]
        (target.write_text if isinstance(target, Path) else target.write)("half")
        raise error
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]


def test_of_two_who_write_at_once_each_writes_a_whole_file_and_the_last_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_path(path) as first:
        first.write_text("first, ")
        with atomic_path(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        with first.open("a") as file:
            file.write("whole")
    assert path.read_text() == "first, whole" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_json, lambda path, value: write_jsonl(path, [value])])
def test_json_that_dvc_could_not_compare_is_refused_and_nothing_is_written(
    tmp_path: Path, write: Callable[[Path, object], None]
) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "metrics.json", {"acc": float("nan")})
    assert not list(tmp_path.iterdir())


# ── What a process that was killed leaves ────────────────────────────────────────────────────────

HOLD = """
import sys, time
from pathlib import Path
from audio_reasoning.core.files import atomic_dir
with atomic_dir(Path("out")) as scratch:
    (scratch / "half").write_text("half")
    print(scratch.name, flush=True)
    time.sleep(60)
"""


def test_the_folder_of_a_killed_process_is_deleted_by_the_next_and_never_that_of_a_living_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    processes, names = [], []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        processes.append(process)
        names.append(process.stdout.readline().strip())
    for name in ("kept.apart", ".out.mine", ".outer.12345678.unfinished"):
        (tmp_path / name).mkdir()
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    with atomic_dir(tmp_path / "out") as scratch:
        (scratch / "whole").write_text("whole")
    assert not (tmp_path / names[0]).exists() and (tmp_path / names[1] / "half").exists()
    processes[1].terminate()
    processes[1].wait()
    with scratch_dir(tmp_path / "out"):
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out", "kept.apart", ".out.mine", ".outer.12345678.unfinished"}
    assert (tmp_path / "out/whole").read_text() == "whole"


# ── A full disk ──────────────────────────────────────────────────────────────────────────────────

MUCH = "x" * 3_000_000


def in_a_folder(path: Path, content: str) -> None:
    with atomic_dir(path) as folder:
        (folder / "a").write_text(content)


def by_arrow(path: Path, content: str) -> None:
    with atomic_path(path) as beside:
        parquet.write_table(pa.table({"a": [content]}), beside, compression="none")


def by_safetensors(path: Path, content: str) -> None:
    with atomic_dir(path) as folder:
        save_file({"a": torch.zeros(len(content), dtype=torch.int8)}, str(folder / "a.safetensors"))


def by_sqlite(path: Path, content: str) -> None:
    ResponseCache(path).put_many([("a", content)])


@pytest.mark.parametrize(
    "write",
    [
        as_text,
        lambda path, content: write_bytes(path, content.encode()),
        write_json,
        lambda path, content: write_jsonl(path, [{"a": content}]),
        in_a_folder,
        by_arrow,
        by_safetensors,
        by_sqlite,
    ],
    ids=["text", "bytes", "json", "jsonl", "folder", "parquet", "safetensors", "sqlite"],
)
def test_a_full_disk_is_told_with_the_file_and_is_no_matter_once_there_is_room(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        path = disk / "file"
        told = rf"{disk}/.*file.*: cannot be written: the disk is full \([0-9.]+ MB are free in {disk}"
        with pytest.raises(NoRoomError, match=told):
            write(path, MUCH)
        assert not list(disk.rglob(".*")), "nothing half-written"
        enlarge(disk, "32m")
        write(path, MUCH)
        assert path.exists() and not list(disk.rglob(".*"))


def test_a_disk_that_takes_no_more_files_is_told_from_one_without_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m,nr_inodes=2") as disk:
        (disk / "a").touch()
        with pytest.raises(NoRoomError, match="and it takes no more files"):
            write_bytes(disk / "b", b"b")


def test_a_stage_that_writes_past_these_functions_ends_with_the_same_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        with pytest.raises(SystemExit) as ended:
            stage_main(lambda: (disk / "a").write_text(MUCH) and None)()
        assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and "the disk is full" in told and "run the same command again" in told
