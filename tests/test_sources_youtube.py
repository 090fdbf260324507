"""Spans of videos, fetched by stand-ins for yt-dlp and ffmpeg: executables that take the real ones' arguments."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_jsonl
from audio_reasoning.tasks.audio import flac_duration
from audio_reasoning.tasks.youtube import wanted_of
from stages.acquire import acquire
from tests.published import acquired, beside, nothing_is_written, provenance_of, source, workspace

__all__ = ["workspace"]  # a fixture
YOUTUBE = {"loader": "youtube", "questions": "q.jsonl", "videos": "videos", "split": "test", "license": "varies"}
YOUTUBE |= {"pause_s": 0.0, "invalid": "drop"}
# Ten seconds of sound for any video, but for those whose id says what is wrong with it.
YT_DLP = """
import sys, numpy as np, soundfile as sf
arguments = sys.argv[1:]
open("asked.txt", "a").write(" ".join(arguments) + "\\n")
assert arguments[-2] == "--", "an id may begin with a dash"
video = arguments[-1].rpartition("=")[2]
for start, told in {"private": "Private video. Sign in", "removed": "This video has been removed by the uploader",
                    "network": "Unable to download: timed out", "toomany": "HTTP Error 429: Too Many Requests"}.items():
    if video.startswith(start):
        sys.exit("ERROR: [youtube] " + video + ": " + told)
target = arguments[arguments.index("--output") + 1].replace("%(ext)s", "wav")
sf.write(target, 0.1 * np.sin(np.arange(441_000) / 30), 44_100)
"""
FFMPEG = """
import sys, soundfile as sf
given = sys.argv
start, length = (float(given[given.index(name) + 1]) for name in ("-ss", "-t"))
x, rate = sf.read(given[given.index("-i") + 1])
x = x[int(start * rate):int((start + length) * rate)]
sf.write(given[-1], x, rate, format="WAV")
"""


def row(name: str, video: str, timestamp: str = "0:01,0:04", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "audio_path": f"{name}.wav",
        "question": "What is heard?",
        "choices": ["a tone", "rain"],
        "answer": "a tone",
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": "Temporal Analysis",
        "url": f"https://www.youtube.com/watch?v={video}",
        "timestamp": timestamp,
    } | changes


def ask(*rows: dict[str, Any]) -> None:
    Path("q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


@pytest.fixture
def tools(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workspace / "bin").mkdir()
    for name, code in (("yt-dlp", YT_DLP), ("ffmpeg", FFMPEG)):
        (workspace / "bin" / name).write_text(f"#!{sys.executable}\n{code}")
        (workspace / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(workspace / "bin"))
    return workspace


def tried() -> list[str]:
    return [line.rpartition("=")[2] for line in Path("asked.txt").read_text().splitlines()]


def test_spans_are_cut_and_joined_and_a_video_is_fetched_once(tools: Path) -> None:
    two = row("b", "-HG3Omg_89c", "0:00,0:02;0:05,0:06.5")
    ask(row("a", "-HG3Omg_89c"), two, row("c", "qx8hrhBZJ98"), {**two, "id": "d"})
    rows = acquired("tube", **YOUTUBE)
    lengths = [flac_duration(Path("data/audio") / one["audio_path"]) for one in rows]
    assert lengths == [3.0, 3.5, 3.0, 3.5] and rows[1]["audio_path"] == rows[3]["audio_path"]
    assert tried() == ["-HG3Omg_89c", "qx8hrhBZJ98"]
    assert [one["group"] for one in rows] == ["-HG3Omg_89c", "-HG3Omg_89c", "qx8hrhBZJ98", "-HG3Omg_89c"]
    assert provenance_of("tube")["licenses"] == {"varies": 4}
    acquired("tube", **YOUTUBE)
    assert len(tried()) == 2, "what is there is not asked for again"


def test_videos_that_are_gone_are_in_the_ledger_and_not_asked_for_again(tools: Path) -> None:
    short = row("s", "qx8hrhBZJ98", "0:08,0:15")
    ask(
        row("a", "qx8hrhBZJ98"),
        row("p", "private0000"),
        row("r", "removed0000"),
        short,
        row("e", "short000000", "0:20,0:30"),
    )
    for _ in range(2):
        assert [one["id"] for one in acquired("tube", **YOUTUBE)] == ["a"]
    assert tried() == ["qx8hrhBZJ98", "private0000", "removed0000", "short000000"]
    why = {entry["id"]: entry["why"] for entry in beside("tube", "dropped")}
    assert "Private video" in why["p"] and "been removed" in why["r"]
    assert why["s"] == "it ends within its span 8 to 15 s: 2.0 s are there"
    assert why["e"].startswith("its span 20 to 30 s: ")
    states = {entry["video"]: entry["state"] for entry in read_jsonl(Path("videos/ledger.jsonl"))}
    assert states["private0000"] == "gone"
    assert sorted(path.suffix for path in Path("videos").iterdir()) == [".jsonl", ".wav"]


def test_a_failure_that_may_pass_stops_the_stage_and_what_came_is_kept(tools: Path) -> None:
    ask(row("n", "network0000"), row("a", "qx8hrhBZJ98"))
    with pytest.raises(UserError, match=r"1 of 2 videos failed, the first network0000: .*timed out; run it again"):
        acquire("tube", source(**YOUTUBE))
    assert nothing_is_written("tube")
    ask(row("a", "qx8hrhBZJ98"))
    assert len(acquired("tube", **YOUTUBE)) == 1
    assert tried() == ["network0000", "qx8hrhBZJ98"]


def test_a_server_that_wants_no_more_requests_is_left_alone_at_once(tools: Path) -> None:
    ask(row("a", "qx8hrhBZJ98"), row("t", "toomany0000"), row("b", "qx8hrhBZJ99"))
    with pytest.raises(UserError, match="YouTube wants no more requests for now"):
        acquire("tube", source(**YOUTUBE))
    assert tried() == ["qx8hrhBZJ98", "toomany0000"]
    assert [entry["state"] for entry in read_jsonl(Path("videos/ledger.jsonl"))] == ["here"]


def test_tools_that_are_not_there_are_named_with_how_to_have_them(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ask(row("a", "qx8hrhBZJ98"))
    with pytest.raises(UserError, match=r"yt-dlp and ffmpeg not found on PATH.*pip install yt-dlp"):
        acquire("tube", source(**YOUTUBE))
    assert nothing_is_written("tube") and not Path("videos").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": None},
        {"url": "https://www.bilibili.com/video/BV1xx"},
        {"url": "https://www.youtube.com/watch?v=$(rm -rf .)"},
        {"url": "https://www.youtube.com/watch?v=qx8hrhBZJ98\nhttps://www.youtube.com/watch?v=qx8hrhBZJ99"},
        {"timestamp": None},
        {"timestamp": "0:05"},
        {"timestamp": "0:09,0:05"},
        {"timestamp": "a,b"},
        {"timestamp": "1:2:3:4,5"},
    ],
)
def test_a_question_without_one_video_and_a_span_says_so(changes: dict[str, Any]) -> None:
    assert isinstance(wanted_of(row("a", "qx8hrhBZJ98", **changes)), str)


@pytest.mark.parametrize("url", ["https://youtu.be/qx8hrhBZJ98", "https://m.youtube.com/shorts/qx8hrhBZJ98"])
def test_a_video_is_known_by_any_of_its_addresses(url: str) -> None:
    one = wanted_of(row("a", "", "00:01:32,00:02:02\n0:05,0:06", url=url))
    assert not isinstance(one, str)
    assert (one.video, one.spans) == ("qx8hrhBZJ98", ((92.0, 122.0), (5.0, 6.0)))
