"""MMAR and MMAU from a hub on loopback that serves their own paths and formats; and what a hub may do wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.tasks.mmau import labels_version
from stages import questions, rubrics
from stages.acquire import acquire
from tests.fake_hub import COMMIT
from tests.mmar import SAMPLE
from tests.published import (
    Hub,
    acquired,
    beside,
    nothing_is_written,
    parquet,
    provenance_of,
    serve,
    source,
    tar,
    wav,
    workspace,
)

__all__ = ["workspace"]  # a fixture
MMAR = {"loader": "mmar", "revision": COMMIT, "split": "test", "invalid": "drop"}
MMAU = {"loader": "mmau", "revision": COMMIT, "split": "test"}
RUBRIC = [{"name": f"item {n}", "scoring_point": f"Award 1 point for {n}.", "choices": [0, 1]} for n in range(5)]


# ── MMAR ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mmar(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for hub in serve("BoJack/MMAR", monkeypatch):
        rows = [{**json.loads(line), "thinking": "why", "cue": ["a"], "rubric": RUBRIC} for line in SAMPLE.open()][:6]
        hub.files["MMAR-meta.json"] = json.dumps(rows).encode()
        hub.files["mmar-audio.tar.gz"] = tar({row["audio_path"]: wav(300 + 50 * n) for n, row in enumerate(rows)})
        yield hub


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_mmar_is_had_at_its_commit_with_licence_url_and_span_and_its_annotations_apart(mmar: Hub) -> None:
    rows = acquired("mmar", **MMAR)
    assert len(rows) == 6 and not {"thinking", "cue", "rubric", "annotations"} & set(rows[0])
    assert rows[0]["provenance"] == {
        "license": "CC-BY-NC-4.0",
        "revision": f"BoJack/MMAR@{COMMIT}",
        "made": "as published",
    }
    assert rows[0]["url"] and rows[0]["timestamp"]
    apart = beside("mmar", "annotations")
    assert ids(apart) == ids(rows) and apart[0]["thinking"] == "why" and apart[0]["rubric"] == RUBRIC
    assert provenance_of("mmar")["licenses"] == {"CC-BY-NC-4.0": 6}


def test_only_the_rubric_judge_reads_them(mmar: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = acquired("mmar", **MMAR)
    params = source(**MMAR)
    splits, _ = questions.gather({"mmar": params})
    questions.write(splits, [], [])
    assert "Award 1 point" not in Path("data/questions/test.jsonl").read_text()
    monkeypatch.setattr("sys.argv", ["rubrics"])
    monkeypatch.setattr(rubrics, "load_params", lambda *_: rubrics.Params(data={"sources": {"mmar": params}}))
    rubrics.main()
    assert len(Path("data/rubrics/test.jsonl").read_text().splitlines()) == len(rows)


def test_a_limit_takes_the_same_few_and_unpacks_no_more(mmar: Hub) -> None:
    first, again = acquired("mmar", **MMAR, limit=2), acquired("mmar", **MMAR, limit=2)
    assert ids(first) == ids(again) and len(first) == 2
    assert len({row["sub-category"] for row in first}) == 2, "sub-categories are as even as they can be"
    assert len(list(Path("data/audio/mmar").rglob("*.flac"))) == 2


def test_mmar_in_a_local_folder_needs_no_hub(mmar: Hub) -> None:
    rows = json.loads(mmar.files["MMAR-meta.json"])
    for row in rows:
        path = Path("copy", row["audio_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav())
    Path("meta.json").write_bytes(mmar.files["MMAR-meta.json"])
    local = {**MMAR, "questions_file": "meta.json", "audio": "copy"}
    with pytest.raises(UserError, match="questions_sha256 was never set"):
        acquired("mmar", **local)
    got = acquired("mmar", **local, questions_sha256=sha256_file(Path("meta.json")))
    assert ids(got) == ids(rows) and mmar.seen == []


# ── MMAU ─────────────────────────────────────────────────────────────────────────────────────────


def mmau_row(n: int, **changes: Any) -> dict[str, Any]:
    attributes = {
        "id": f"id-{n}",
        "task": ["sound", "music", "speech"][n % 3],
        "category": ["Reasoning"] if n == 1 else "Reasoning",  # as 13 of the published ones are
        "sub-category": "Counting",
        "difficulty": "easy",
        "dataset": "AudioSet",
    } | changes.pop("attributes", {})
    return {
        "context": {"bytes": wav(300 + 20 * n), "path": None},
        "instruction": "Who speaks?",
        "choices": ["(A) Man", "(B) Woman", "(C) Child"],
        "answer": "(B) Woman",
        "other_attributes": json.dumps(attributes),
    } | changes


@pytest.fixture
def mmau(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for hub in serve("gamma-lab-umd/MMAU-test-mini", monkeypatch):
        hub.files["test_mini.parquet"] = parquet([mmau_row(n) for n in range(6)])
        yield hub


def test_mmau_is_read_from_parquet_with_the_version_of_its_labels(mmau: Hub) -> None:
    rows = acquired("mmau", **MMAU)
    assert [row["id"] for row in rows] == [f"id-{n}" for n in range(6)]
    assert (rows[1]["choices"], rows[1]["answer"]) == (["Man", "Woman", "Child"], "Woman")
    assert (rows[1]["modality"], rows[1]["category"], rows[1]["source"]) == ("music", "Reasoning", "AudioSet")
    revision = rows[0]["provenance"]["revision"]
    assert revision.startswith(f"gamma-lab-umd/MMAU-test-mini@{COMMIT}, labels not listed (")
    assert len(list(Path("data/audio/mmau").rglob("*.flac"))) == 6


def test_labels_are_another_version_when_one_answer_is() -> None:
    old = [{"id": "a", "answer": "x"}, {"id": "b", "answer": "y"}]
    assert labels_version(old) == labels_version(old[::-1])
    assert labels_version(old) != labels_version([old[0], {"id": "b", "answer": "z"}])


def test_what_is_wrong_with_a_question_is_dropped_with_its_reason(mmau: Hub) -> None:
    wrong = [
        mmau_row(0, choices=["(A) four", "(B) nine", "(C) four"], answer="(B) nine"),
        mmau_row(1, attributes={"task": "smell"}),
        mmau_row(2, other_attributes="{"),
        mmau_row(3, answer="(D) Dog"),
        mmau_row(4, context={"bytes": None, "path": "gone.wav"}),
        mmau_row(6, attributes={"id": "../../id"}),
        mmau_row(5),
    ]
    mmau.files["test_mini.parquet"] = parquet(wrong)
    assert ids(acquired("mmau", **MMAU)) == ["id-5"]
    why = [entry["why"] for entry in beside("mmau", "dropped")]
    expected = ["'four' is given twice", "'modality' is missing", "'id' is missing", "not one of the choices"]
    expected += ["must lie inside the audio folder", "no such audio file"]
    assert len(why) == 6 and all(part in one for part, one in zip(expected, why, strict=True))
    with pytest.raises(UserError, match="'four' is given twice"):
        acquire("other", source(**MMAU, invalid="stop"))
    assert not Path("data/sources/other").exists()


def test_a_table_of_another_layout_is_told_with_its_columns(mmau: Hub) -> None:
    mmau.files["test_mini.parquet"] = parquet([{"audio": b"", "question": "?"}])
    with pytest.raises(UserError, match="has no column instruction, choices, answer, other_attributes; it has audio"):
        acquire("mmau", source(**MMAU))
    assert nothing_is_written("mmau")


# ── What a hub may do wrong ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("broken", ["cut short", "no table at all"])
def test_a_broken_table_is_fetched_again_and_never_half_used(mmau: Hub, broken: str) -> None:
    whole = mmau.files["test_mini.parquet"]
    wrong = whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2)
    mmau.faults["test_mini.parquet"] = [wrong if broken == "cut short" else b"<html>".ljust(len(whole))]
    assert len(acquired("mmau", **MMAU)) == 6
    assert mmau.downloads() == ["test_mini.parquet"] * 2


def test_a_table_that_stays_broken_is_told_and_nothing_is_written(mmau: Hub) -> None:
    mmau.files["test_mini.parquet"] = b"PAR1 is how it begins"
    with pytest.raises(UserError, match=r"test_mini\.parquet: is broken or cut short"):
        acquire("mmau", source(**MMAU))
    assert mmau.downloads() == ["test_mini.parquet"] * 2 and nothing_is_written("mmau")


def test_a_broken_archive_is_fetched_again_and_never_half_used(mmar: Hub) -> None:
    whole = mmar.files["mmar-audio.tar.gz"]
    mmar.faults["mmar-audio.tar.gz"] = [whole[:-2000].ljust(len(whole), b"\0")]
    assert len(acquired("mmar", **MMAR)) == 6
    assert mmar.downloads().count("mmar-audio.tar.gz") == 2


def test_an_unsafe_archive_is_refused_at_once(mmar: Hub) -> None:
    mmar.files["mmar-audio.tar.gz"] = tar({"../evil.wav": wav()})
    with pytest.raises(UserError, match="refused, it holds an unsafe member"):
        acquire("mmar", source(**MMAR))
    assert mmar.downloads().count("mmar-audio.tar.gz") == 1 and nothing_is_written("mmar")


def test_a_busy_server_is_asked_again_and_a_cut_connection_gone_on_from(mmar: Hub) -> None:
    mmar.faults["mmar-audio.tar.gz"] = [429, "cut"]
    assert len(acquired("mmar", **MMAR)) == 6
    assert mmar.downloads().count("mmar-audio.tar.gz") == 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "HF_TOKEN is refused"),
        (403, "HF_TOKEN is refused"),
        (404, "cannot be had from the hub"),
        (429, "it was asked too often"),
        (503, "it fails at the moment"),
    ],
)
def test_what_the_hub_answers_instead_of_a_file_is_one_message(
    mmau: Hub, monkeypatch: pytest.MonkeyPatch, status: int, reason: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    mmau.faults["test_mini.parquet"] = [status] * 99
    with pytest.raises(UserError, match=reason) as caught:
        acquire("mmau", source(**MMAU))
    assert f"gamma-lab-umd/MMAU-test-mini@{COMMIT}: test_mini.parquet" in str(caught.value)
    assert nothing_is_written("mmau")
