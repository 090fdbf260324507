"""What the tests of published sources share: a hub on loopback with their files, audio of all kinds, and acquiring."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile as sf
from huggingface_hub import constants
from pydantic import TypeAdapter

from audio_reasoning.core.files import read_json, read_jsonl
from audio_reasoning.tasks.params import Source
from stages.acquire import acquire
from tests.fake_hub import COMMIT, Faults, serve_hub


class Hub:
    """Files of one dataset repository, faults of their downloads, and what was asked for."""

    def __init__(self, repo: str) -> None:
        self.repo = repo
        self.files: dict[str, bytes] = {}
        self.faults: Faults = {}
        self.seen: list[tuple[str, str, str | None]] = []
        self.endpoint = ""

    def downloads(self) -> list[str]:
        """The names of the files whose content was asked for, in order."""
        return [path.partition(COMMIT + "/")[2] for method, path, _ in self.seen if method == "GET" and COMMIT in path]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with caches of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf/hub"))
    return tmp_path


def serve(repo: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one dataset repository that holds nothing yet; the hub's client is pointed at it."""
    hub = Hub(repo)
    prefix = f"/datasets/{repo}/resolve/{COMMIT}/"
    with serve_hub(prefix, hub.files, datasets=(repo,), faults=hub.faults) as (hub.seen, hub.endpoint):
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub


def source(**parameters: Any) -> Any:
    """The typed parameters of a source, as params.yaml gives them."""
    return TypeAdapter(Source).validate_python(parameters)


def acquired(name: str, **parameters: Any) -> list[dict[str, Any]]:
    """The questions of a source that is acquired here."""
    acquire(name, source(**parameters))
    return list(read_jsonl(Path("data/sources") / name / "questions.jsonl"))


def beside(name: str, file: str) -> list[dict[str, Any]]:
    """The lines of a file beside a source's questions."""
    return list(read_jsonl(Path("data/sources") / name / f"{file}.jsonl"))


def provenance_of(name: str) -> dict[str, Any]:
    """A source's provenance.json."""
    summed: dict[str, Any] = read_json(Path("data/sources") / name / "provenance.json")
    return summed


def nothing_is_written(name: str) -> bool:
    """Whether neither questions nor audio nor scratch of a source are there."""
    return not Path("data/sources", name).exists() and not list(Path("data/audio").iterdir())


def wav(hz: float = 440.0, seconds: float = 0.5, format: str = "WAV") -> bytes:
    """A tone at 22.05 kHz."""
    buffer = io.BytesIO()
    t = np.arange(round(22_050 * seconds)) / 22_050
    sf.write(buffer, 0.3 * np.sin(2 * np.pi * hz * t), 22_050, format=format)
    return buffer.getvalue()


def tar(members: Mapping[str, bytes]) -> bytes:
    """A tar.gz archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """A Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def lines(rows: list[dict[str, Any]]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
