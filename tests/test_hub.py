"""The hub: a model's files in its cache, what a branch stands for, and one message for all that can go wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from audio_reasoning.core import hub as hub_module
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.hub import commit_of, fetch_model
from tests.fake_hub import COMMIT, serve_hub

MODEL = "org/omni"
INDEX = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
SHARDED = {
    "config.json": b"{}",
    "model.safetensors.index.json": INDEX,
    "model-1.safetensors": b"first",
    "model-2.safetensors": b"the second",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty."""
    monkeypatch.setattr(hub_module, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Start a hub that has these files; the requests it gets."""
    with pytest.MonkeyPatch.context() as patch:
        running = []

        def start(files: dict[str, bytes], **options: Any) -> Any:
            context = serve_hub(f"/{MODEL}/resolve/{COMMIT}/", files, (MODEL,), **options)
            running.append(context)
            seen, endpoint = context.__enter__()
            point_at(patch, endpoint)
            return seen

        yield start
        for context in running:
            context.__exit__(None, None, None)


def point_at(patch: pytest.MonkeyPatch, endpoint: str) -> None:
    """What HF_ENDPOINT does where the client is imported."""
    patch.setattr(constants, "ENDPOINT", endpoint)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


def downloads(seen: Any) -> list[str]:
    return sorted(path.rpartition("/")[2] for method, path, _ in seen if method == "GET" and "/resolve/" in path)


def test_a_sharded_model_is_fetched_once_and_its_size_is_told_before(hub: Any, capsys: Any) -> None:
    seen = hub({**SHARDED, "pytorch_model.bin": b"a pickle"})
    folder = fetch_model(MODEL, COMMIT)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == SHARDED
    assert downloads(seen) == sorted(SHARDED)
    told = capsys.readouterr().err
    assert f"{MODEL}@{COMMIT}: 0.0 GB in 4 files, 0.0 GB to download to " in told and "GB are free" in told
    seen.clear()
    assert fetch_model(MODEL, COMMIT) == folder and not seen and not capsys.readouterr().err


def test_a_shard_that_is_missing_is_fetched_alone(hub: Any) -> None:
    seen = hub(SHARDED)
    (fetch_model(MODEL, COMMIT) / "model-2.safetensors").resolve().unlink()
    seen.clear()
    assert (fetch_model(MODEL, COMMIT) / "model-2.safetensors").read_bytes() == b"the second"
    assert downloads(seen) == ["model-2.safetensors"]


def test_a_cache_that_lists_nothing_is_judged_by_the_index(hub: Any, cache: Path) -> None:
    """As other programs than the hub's client of this version leave it."""
    seen = hub(SHARDED)
    folder = cache / "models--org--omni/snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors.index.json", "model-1.safetensors"):
        (folder / name).write_bytes(SHARDED[name])
    fetch_model(MODEL, COMMIT)
    assert (folder / "model-2.safetensors").read_bytes() == b"the second" and downloads(seen) == ["model-2.safetensors"]


@pytest.mark.parametrize("faults", [["cut"], [429], [503], [503, "cut", 429]], ids=str)
def test_a_download_that_is_disturbed_goes_on_by_itself(hub: Any, faults: list[Any]) -> None:
    big = {**SHARDED, "model-2.safetensors": b"0123456789" * 100_000}
    hub(big, faults={"model-2.safetensors": faults})
    assert (fetch_model(MODEL, COMMIT) / "model-2.safetensors").read_bytes() == big["model-2.safetensors"]
    assert not faults


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_download_that_fails_for_good_is_one_message_and_the_next_one_asks_for_the_rest_alone(
    hub: Any, status: int
) -> None:
    waiting: list[Any] = [status] * 30
    seen = hub(SHARDED, faults={"model-2.safetensors": waiting})
    with pytest.raises(UserError, match=f"{MODEL}@{COMMIT}: cannot be had from the hub: it (was asked|fails)"):
        fetch_model(MODEL, COMMIT)
    waiting.clear()
    before = downloads(seen).count("model-1.safetensors")
    assert (fetch_model(MODEL, COMMIT) / "model-2.safetensors").read_bytes() == b"the second"
    assert downloads(seen).count("model-1.safetensors") == before == 1


def test_a_disk_without_room_is_said_before_anything_is_downloaded(hub: Any) -> None:
    seen = hub(SHARDED, sizes={"model-2.safetensors": 10**18})
    with pytest.raises(
        UserError, match=r"1000000000\.0 GB are to be downloaded, and .* GB free; make room, or set HF_H"
    ):
        fetch_model(MODEL, COMMIT)
    assert not downloads(seen)


def test_a_repository_without_safetensors_is_refused(hub: Any) -> None:
    hub({"config.json": b"{}", "pytorch_model.bin": b"a pickle"})
    with pytest.raises(UserError, match="holds no safetensors"):
        fetch_model(MODEL, COMMIT)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        ((404, "RepoNotFound"), "there is no such repository, or HF_TOKEN may not see it"),
        ((404, "RevisionNotFound"), "there is no such revision"),
        ((403, "GatedRepo"), "it is gated: accept its terms"),
        ((401, "RepoNotFound"), "there is no such repository, or HF_TOKEN may not see it"),
        ((403, "Forbidden"), "HF_TOKEN is refused, or may not see it"),
        ((418, "Teapot"), "cannot be reached, or does not answer as a hub"),
    ],
)
def test_what_the_hub_refuses_is_one_message(hub: Any, refusal: tuple[int, str], reason: str) -> None:
    hub({}, refusal=refusal)
    for ask in (lambda: commit_of("org/other", "main", "model.revision"), lambda: fetch_model("org/other", COMMIT)):
        with pytest.raises(UserError) as caught:
            ask()
        assert reason in str(caught.value) and "org/other@" in str(caught.value) and "HF_TOKEN" in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 cannot be reached"),
        ("https://hub.invalid", "https://hub.invalid cannot be reached"),
        ("nowhere", "nowhere cannot be reached"),
        ("http://[half", "cannot be reached"),
    ],
)
def test_a_hub_that_cannot_be_reached_is_one_message(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, reason: str
) -> None:
    point_at(monkeypatch, endpoint)
    for ask in (lambda: commit_of(MODEL, "main", "model.revision"), lambda: fetch_model(MODEL, COMMIT)):
        with pytest.raises(UserError) as caught:
            ask()
        assert reason in str(caught.value) and MODEL in str(caught.value) and "HF_ENDPOINT" in str(caught.value)


def test_offline_is_said_where_it_is_not_in_the_cache(monkeypatch: pytest.MonkeyPatch, hub: Any) -> None:
    hub(SHARDED)
    folder = fetch_model(MODEL, COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_model(MODEL, COMMIT) == folder
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE is set, and it is not in .*; unset it to download"):
        fetch_model("org/other", COMMIT)


def test_a_branch_is_a_commit_that_is_told_and_a_commit_is_not_asked_for(hub: Any, capsys: Any) -> None:
    seen = hub({})
    assert commit_of(MODEL, COMMIT, "model.revision") == COMMIT and not seen
    assert commit_of(MODEL, "main", "model.revision") == COMMIT
    assert f"it stands for the commit {COMMIT} now. Set model.revision to that commit" in capsys.readouterr().err
