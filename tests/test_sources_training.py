"""AudioMCQ and AVQA: training questions that are published as such."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.errors import UserError
from stages.acquire import acquire
from tests.fake_hub import COMMIT
from tests.published import (
    Hub,
    acquired,
    beside,
    lines,
    nothing_is_written,
    provenance_of,
    serve,
    source,
    wav,
    workspace,
)

__all__ = ["workspace"]  # a fixture
AUDIOMCQ = {"loader": "audiomcq", "revision": COMMIT, "split": "train"}
AVQA = {"loader": "avqa", "questions": "train_qa.json", "audio": "sound", "split": "train"}


def mcq_row(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": n,
        "audio_path": f"audio/clip_{n}.{'mp3' if n % 2 else 'wav'}",
        "question": "What is heard?",
        "choices": ["rain", "wind", "a dog", "a car"],
        "answer": "a dog",
        "source_dataset": ["Clotho", "MusicCaps", "SpeechCraft", "LP-MusicCaps-MTT", "CompA-R", "Tacos"][n % 6],
        "question_type": "temporal" if n == 5 else "sound",
        "gemini_cot": "A bark is heard.",
    } | changes


@pytest.fixture
def audiomcq(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for hub in serve("Harland/AudioMCQ-StrongAC-GeminiCoT", monkeypatch):
        rows = [mcq_row(n) for n in range(6)]
        hub.files["data.jsonl"] = lines(rows)
        for n, row in enumerate(rows):
            hub.files[row["audio_path"]] = wav(300 + 40 * n, format="MP3" if n % 2 else "WAV")
        yield hub


def test_audiomcq_has_its_clips_fetched_one_by_one_and_its_traces_apart(audiomcq: Hub) -> None:
    rows = acquired("mcq", **AUDIOMCQ)
    assert [row["modality"] for row in rows] == ["sound", "music", "speech", "music", "sound", "sound"]
    assert [row["sub-category"] for row in rows][4:] == ["Environmental Perception and Reasoning", "Temporal Analysis"]
    assert not any("gemini_cot" in row for row in rows)
    assert beside("mcq", "annotations")[0] == {"id": "audiomcq_0", "gemini_cot": "A bark is heard."}
    assert len(list(Path("data/audio/mcq").rglob("*.flac"))) == 6


def test_a_limit_fetches_no_other_clips(audiomcq: Hub) -> None:
    assert len(acquired("mcq", **AUDIOMCQ, limit=2)) == 2
    assert len([name for name in audiomcq.downloads() if name.startswith("audio/")]) == 2


def test_a_clip_that_the_repository_lacks_and_an_unknown_source_are_dropped(audiomcq: Hub) -> None:
    del audiomcq.files["audio/clip_1.mp3"]
    audiomcq.files["data.jsonl"] = lines([mcq_row(0), mcq_row(1), mcq_row(2, source_dataset="Smells"), {"id": 9}])
    assert [row["id"] for row in acquired("mcq", **AUDIOMCQ)] == ["audiomcq_0"]
    why = {entry["id"]: entry["why"] for entry in beside("mcq", "dropped")}
    assert "'modality' is missing" in why["audiomcq_2"] and "is missing" in why["audiomcq_9"]
    assert why["audiomcq_1"] == "audio/clip_1.mp3: no such audio file"


def test_a_hub_that_fails_in_the_midst_of_the_clips_leaves_nothing(
    audiomcq: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    audiomcq.faults["audio/clip_3.mp3"] = [503] * 99
    with pytest.raises(UserError, match=r"clip_3\.mp3: cannot be had from the hub: it fails at the moment"):
        acquire("mcq", source(**AUDIOMCQ))
    assert nothing_is_written("mcq")


def avqa_row(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": n,
        "video_name": f"-HG3Omg_89c_{30 * n:06}",
        "question_text": "What is the main source of sound in the video?",
        "multi_choice": ["Car", "motorcycle", "siren", "gun fire"],
        "answer": 2,
        "question_relation": "Both",
        "question_type": "Come From",
    } | changes


def write_avqa(rows: list[dict[str, Any]]) -> None:
    Path("train_qa.json").write_text(json.dumps(rows))
    Path("sound").mkdir()
    Path("sound/-HG3Omg_89c_000030.wav").write_bytes(wav())
    Path("sound/-HG3Omg_89c_60.wav").write_bytes(wav(500))  # as R1-AQA names it


def test_avqa_keeps_what_can_be_heard_and_tells_what_its_rules_leave_out(workspace: Path) -> None:
    write_avqa(
        [
            avqa_row(1),
            avqa_row(2, answer=0),
            avqa_row(3, question_relation="View"),
            avqa_row(4, question_text="What colour is the car?"),
            avqa_row(5),
            avqa_row(1, id=6, answer=4),
        ]
    )
    rows = acquired("avqa", **AVQA)
    assert [(row["id"], row["answer"]) for row in rows] == [("avqa_1", "siren"), ("avqa_2", "Car")]
    assert rows[0]["question"] == "What is the main source of sound in the audio?"
    assert rows[1]["url"].endswith("v=-HG3Omg_89c") and rows[1]["timestamp"] == "00:01:00,00:01:10"
    assert rows[0]["group"] == rows[1]["group"], "clips of one video stay in one split"
    assert [entry["id"] for entry in beside("avqa", "left_out")] == ["avqa_3", "avqa_4"]
    assert provenance_of("avqa")["left_out"] == {
        "it is about a colour": 1,
        "it is about what is seen (question_relation View)": 1,
    }
    why = {entry["id"]: entry["why"] for entry in beside("avqa", "dropped")}
    assert "'answer' must be a text" in why["avqa_6"] and "no such audio file" in why["avqa_5"]


def test_a_source_without_a_licence_is_warned_of_and_that_is_recorded(workspace: Path, capsys: Any) -> None:
    write_avqa([avqa_row(1)])
    acquired("avqa", **AVQA)
    assert "warning: 1 questions of data.sources.avqa have no known licence" in capsys.readouterr().err
    assert provenance_of("avqa")["licenses"] == {"unknown": 1}
