"""Files that are whole or absent, whoever writes them and however that ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audio_reasoning.core.files import atomic_path, atomic_write, write_bytes, write_json, write_jsonl


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
