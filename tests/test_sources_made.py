"""MusicBench and TACOS: questions made from annotations, with the clips that they are about."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core import download as downloads
from audio_reasoning.core.errors import UserError
from stages.acquire import acquire
from tests.fake_hub import COMMIT, Faults
from tests.fake_zenodo import serve_record
from tests.published import (
    Hub,
    acquired,
    beside,
    lines,
    nothing_is_written,
    provenance_of,
    serve,
    source,
    tar,
    wav,
    workspace,
    zipped,
)

__all__ = ["workspace"]  # a fixture
MUSICBENCH = {"loader": "musicbench", "revision": COMMIT, "split": "train"}


# ── MusicBench ───────────────────────────────────────────────────────────────────────────────────


def music_row(n: int, **changes: Any) -> dict[str, Any]:
    """As MusicBench_train.json has them: an original, or a shifted copy in data_aug2."""
    return {
        "dataset": "MusicBench",
        "location": f"data_aug2/-0SdAVK79{n // 2:02}_{n % 2}.wav" if n < 4 else f"data/clip{n:05}.wav",
        "main_caption": "This mellow track",
        "alt_caption": "A guitar",
        "prompt_bpm": "The bpm is 112.0.",
        "bpm": [74.0, 90.0, 112.0, 130.0][n % 4],
        "key": [["C", "D", "Eb", "F#"][n % 4], ["major", "minor"][n // 4 % 2]],
        "keyprob": [0.9],
        "beats": [[0.1, 0.6, 1.1, 1.7], [1, 2, 3, 4] if n % 2 else [1, 2, 3, 1]],
        "is_audioset_eval_mcaps": False,
    } | changes


@pytest.fixture
def musicbench(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for hub in serve("amaai-lab/MusicBench", monkeypatch):
        rows = [music_row(n) for n in range(24)]
        hub.files["MusicBench_train.json"] = lines(rows)
        members = {f"datashare/{row['location']}": wav(200 + 20 * n) for n, row in enumerate(rows)}
        hub.files["MusicBench.tar.gz"] = tar({**members, "datashare/data/unused.wav": b""})
        yield hub


def test_musicbench_asks_about_tempo_key_mode_and_metre_each_answer_as_often(musicbench: Hub) -> None:
    rows = acquired("music", **MUSICBENCH)
    kinds = Counter(row["id"].rpartition("_")[2] for row in rows)
    assert set(kinds) == {"tempo", "mode", "metre", "key"} and kinds["tempo"] == 24
    for kind in ("tempo", "mode", "metre"):
        mine = [row for row in rows if row["id"].endswith(kind)]
        assert len(set(Counter(row["answer"] for row in mine).values())) == 1
        places = Counter(row["choices"].index(row["answer"]) for row in mine)
        assert max(places.values()) - min(places.values()) <= 1
    copies = [row for row in rows if "data_aug2" in row["id"]]
    assert {row["group"] for row in copies} == {"-0SdAVK7900", "-0SdAVK7901"}
    assert rows[0]["provenance"]["license"] == "CC-BY-SA-3.0" and "from the annotated" in rows[0]["provenance"]["made"]
    assert acquired("again", **MUSICBENCH)[5]["choices"] == rows[5]["choices"]


def test_what_is_not_asked_is_told_by_its_rule(musicbench: Hub) -> None:
    unclear = music_row(30, bpm=100.0, keyprob=[0.4], beats=[[0.1], [2]])
    faulty = music_row(32, bpm="fast", key="C", beats=None)
    more = [unclear, faulty, music_row(31, is_audioset_eval_mcaps=True), music_row(33, location=None)]
    musicbench.files["MusicBench_train.json"] += lines(more)
    rows = acquired("music", **MUSICBENCH)
    assert not [row for row in rows if row["id"].startswith(("musicbench_data/clip00030", "musicbench_data/clip00031"))]
    left = provenance_of("music")["left_out"]
    assert left["no annotation of its clip is clear enough to ask about"] == 2
    assert left["its clip is in the evaluation set of MusicCaps"] == 1
    gone = [entry for entry in beside("music", "dropped") if entry["id"].startswith("musicbench_None")]
    assert all("no such audio file" in entry["why"] for entry in gone)


def test_a_limit_unpacks_no_other_clips(musicbench: Hub) -> None:
    assert len(acquired("music", **MUSICBENCH, limit=5)) == 5
    assert len(list(Path("data/audio/music").rglob("*.flac"))) <= 5


# ── TACOS ────────────────────────────────────────────────────────────────────────────────────────

SOUNDS = ["Dog barks", "Car passes", "Bell rings", "Rain falls", "Door slams", "Man coughs", "Wind howls", "Cat meows"]


def tacos_files(clips: int = 24) -> dict[str, bytes]:
    """The record's tables and archive: each clip has sounds one after another, one of them several times."""
    rng = random.Random(0)
    strong, meta = (
        ["filename,text,onset,offset"],
        ["filename,keywords,freesound_id,license,sound_link,start_time_s,end_time_s"],
    )
    for n in range(clips):
        at = 0.5
        for place, sound in enumerate(rng.sample(SOUNDS, 5)):
            for _ in range(1 + n % 4 if place == 0 else 1):
                strong.append(f'{n}.mp3,"{sound}.",{at},{at + 0.8}')
                at += 1.0
        strong.append(f"{n}.mp3,Click.,{at},{at + 0.1}")
        licence = "https://creativecommons.org/publicdomain/zero/1.0/"
        meta.append(f'{n}.mp3,"a;b",{1000 + n},{licence},https://freesound.org/s/{1000 + n}/,3.0,33.0')
    split = "\n".join(["filename", *(f"{n}.mp3" for n in range(clips - 1))])
    return {
        "annotations_strong.csv": "\n".join(strong).encode(),
        "metadata.csv": "\n".join(meta).encode(),
        "development_split.csv": split.encode(),
        "test_split.csv": f"filename\n{clips - 1}.mp3\n".encode(),
        "audio.zip": zipped({f"audio/{n}.mp3": wav(200 + 30 * n, format="MP3") for n in range(clips)}),
    }


def tacos(endpoint: str, **changes: Any) -> dict[str, Any]:
    return {"loader": "tacos", "endpoint": endpoint, "split": "train"} | changes


def test_tacos_asks_about_order_number_and_presence(workspace: Path) -> None:
    with serve_record("15379789", tacos_files(), {}) as (_, endpoint):
        rows = acquired("tacos", **tacos(endpoint))
    made = provenance_of("tacos")["made"]
    assert {kind.rpartition(" ")[2] for kind in made} >= {"next", "previous", "first", "last", "count"}
    counts = [row for row in rows if row["id"].endswith("count")]
    assert counts and len(set(Counter(row["answer"] for row in counts).values())) == 1
    row = rows[0]
    assert row["provenance"]["license"].endswith("zero/1.0/; captions CC-BY-4.0") and row["url"] and row["timestamp"]
    assert row["provenance"]["revision"] == "Zenodo 15379789" and row["group"].startswith("freesound_1")
    assert not [row for row in rows if "Click" in " ".join(row["choices"])], "it lasts a tenth of a second"
    left = provenance_of("tacos")["left_out"]
    assert left["it is in another part of TACOS"] == 1


def test_the_test_part_is_asked_for_by_name(workspace: Path) -> None:
    with serve_record("15379789", tacos_files(), {}) as (_, endpoint):
        rows = acquired("tacos", **tacos(endpoint, part="test"))
    assert {row["audio_path"] for row in rows} == {"tacos/23.flac"}


def test_what_is_there_whole_is_not_fetched_again_and_a_broken_file_is(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    files = tacos_files()
    faults: Faults = {"audio.zip": [503, "cut", files["audio.zip"][:-40].ljust(len(files["audio.zip"]), b"\0")]}
    with serve_record("15379789", files, faults) as (seen, endpoint):
        first = acquired("tacos", **tacos(endpoint))
        fetched = [path for _, path, _ in seen if "audio.zip" in path]
        assert len(fetched) >= 3 and acquired("tacos", **tacos(endpoint)) == first
        assert [path for _, path, _ in seen if "audio.zip" in path] == fetched
        Path("hf/zenodo/15379789/audio.zip").write_bytes(b"PK" * 1000)
        assert acquired("tacos", **tacos(endpoint)) == first
    assert not list(Path("hf").rglob("*.part"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"annotations_strong.csv": b"filename,text\na,b\n"}, "has no column onset, offset; it has filename, text"),
        ({"annotations_strong.csv": b"\xff\xfe"}, "annotations_strong.csv:1: "),
        ({"audio.zip": b"no archive at all"}, r"audio\.zip: cannot be unpacked"),
        ({"audio.zip": zipped({"../0.mp3": b""})}, "refused, it holds an unsafe member"),
        ({"annotations_strong.csv": b"filename,text,onset,offset\n0.mp3,A,x,1\n"}, "gives no question"),
    ],
)
def test_what_a_record_may_hold_instead_is_one_message(workspace: Path, change: dict[str, bytes], told: str) -> None:
    with (
        serve_record("15379789", {**tacos_files(), **change}, {}) as (_, endpoint),
        pytest.raises(UserError, match=told),
    ):
        acquire("tacos", source(**tacos(endpoint)))
    assert nothing_is_written("tacos")


def test_a_record_that_cannot_be_had_is_one_message(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    files = tacos_files()
    with serve_record("1", files, {"metadata.csv": [429] * 9, "audio.zip": [files["audio.zip"][::-1]] * 9}) as (_, at):
        with pytest.raises(UserError, match="the server answers 404; check the record's number"):
            acquire("tacos", source(**tacos(at)))
        with pytest.raises(
            UserError, match=r"metadata\.csv/content: cannot be had after 5 attempts \(it answers 429\)"
        ):
            acquire("tacos", source(**tacos(at, record="1")))
        with pytest.raises(UserError, match="what the server sends is not the published file"):
            acquire("tacos", source(**tacos(at, record="1")))
    with pytest.raises(UserError, match="cannot be reached"):
        acquire("tacos", source(**tacos("http://127.0.0.1:9")))
    assert nothing_is_written("tacos")
