"""Questions about videos, whose sound is fetched span by span: one video after another, with pauses, gone on from.

`videos` keeps one WAV file of each video's spans, and `ledger.jsonl`, a line for each that was tried: what came of it,
and why it is gone. What is there, or gone, is not asked for again; a video that failed for another reason is. Delete
its line to have one that is gone tried again.

Needs yt-dlp and ffmpeg on PATH; both are given lists of arguments, never a line for a shell.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_path, read_jsonl, scratch_dir, sha256_json, write_jsonl
from audio_reasoning.core.progress import progress
from audio_reasoning.tasks.audio import RATE_HZ, read_clip
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.mmar_schema import read_rows
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import limited
from audio_reasoning.tasks.sound_file import sound_file
from audio_reasoning.tasks.source_params import YoutubeSource

LEDGER = "ledger.jsonl"
HERE, GONE, FAILED = "here", "gone", "failed"
INSTALL = "pip install yt-dlp, and FFmpeg from your system's packages (apt install ffmpeg)"
_TIMEOUT_S = 1800
_SLACK_S = 0.25  # how much shorter than it a span's sound may be: streams end a little early
_GONE = re.compile(
    r"private video|video unavailable|been removed|account .*terminated|no longer available|copyright|not available in",
    re.IGNORECASE,
)
_ENOUGH = re.compile(r"HTTP Error 429|too many requests|not a bot", re.IGNORECASE)
_ID = re.compile(r"^[\w-]{11}$")

Span = tuple[float, float]


@dataclass(frozen=True)
class Wanted:
    """The sound that a question is about: a video and spans of it, in seconds, one after another."""

    video: str
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """The clip's file name, the same for the same spans."""
        return f"{self.video}_{sha256_json(self.spans)[:12]}.wav"


def load(source: YoutubeSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Fetch what the questions ask about, where it is not there yet, and transcode it.

    A video that is private, gone or shorter than its span is audio that cannot be used; the ledger says which.

    Raises UserError without yt-dlp or ffmpeg where something is to be fetched, for a server that wants no more
    requests, for videos that fail otherwise, and for what `read_rows` and `transcode` refuse.
    """
    path, videos = Path(source.questions), Path(source.videos)
    rows = limited(read_rows(path, dropped if source.invalid == "drop" else None), source.limit)
    wanted = {row.id: wanted_of(row.raw) for row in rows}
    why = fetch([one for one in wanted.values() if isinstance(one, Wanted)], videos, source.pause_s, source.limit_rate)
    found = []
    for row in rows:
        one = wanted[row.id]
        reason = why.get(one) if isinstance(one, Wanted) else one
        if reason and source.invalid == "stop":
            raise UserError(f"{path}: {row.id!r}: {reason}; `invalid: drop` leaves such questions out and records them")
        if reason or not isinstance(one, Wanted):
            dropped.append({"id": row.id, "why": str(reason)})
            continue
        group = row.raw.get("group") or one.video
        found.append(replace(row, audio_path=one.name, group=group, raw={**row.raw, "group": group}))
    if not found:
        raise UserError(f"{path}: no question is left; the first: {dropped[0]['why']}")
    audio = transcode(found, videos, folder, source.invalid, dropped, source.videos)
    yield from with_provenance(audio, source.license, path.name, "as given; its sound is from the video")


def wanted_of(raw: dict[str, Any]) -> Wanted | str:
    """The video and the spans that a question names; in words, why it names none.

    >>> wanted_of({"url": "https://youtu.be/qx8hrhBZJ98", "timestamp": "1:51,2:01;3:14,3:24"}).spans
    ((111.0, 121.0), (194.0, 204.0))
    """
    video = _video(str(raw.get("url") or ""))
    if not video:
        return f"its url names no one YouTube video: {raw.get('url')!r}"
    spans = []
    for span in re.split(r"[;\n]+", str(raw.get("timestamp") or "").strip(";\n ")):
        ends = [_seconds(text) for text in span.split(",")]
        if len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] >= ends[1]:
            return f"its timestamp holds no span such as 0:05,0:12: {raw.get('timestamp')!r}"
        spans.append((ends[0], ends[1]))
    return Wanted(video, tuple(spans))


def _video(url: str) -> str:
    """The id of the one YouTube video that a url leads to; "" if it does not."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    except ValueError:
        return ""
    if host == "youtu.be":
        name = parts.path.strip("/")
    elif host == "youtube.com":
        watched = parse_qs(parts.query).get("v", [""])[0]
        name = watched if parts.path == "/watch" else parts.path.removeprefix("/shorts/")
    else:
        return ""
    return name if _ID.match(name) else ""


def _seconds(clock: str) -> float | None:
    """The seconds of a time such as 1:02:03, 2:03 or 12.5; None if it is none."""
    parts = clock.strip().split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        return None
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + float(part)
    return seconds


def fetch(wanted: Sequence[Wanted], videos: Path, pause_s: float, limit_rate: str) -> dict[Wanted, str]:
    """Have each clip in `videos`; why those that cannot be had are gone. Each video is downloaded once at most.

    Raises UserError as `load` does; what came before it is kept, and noted.
    """
    ledger = {entry["clip"]: entry for entry in read_jsonl(videos / LEDGER)} if (videos / LEDGER).is_file() else {}
    missing: dict[str, list[Wanted]] = {}
    for one in dict.fromkeys(wanted):
        gone = ledger.get(one.name, {}).get("state") == GONE
        if not gone and not (videos / one.name).is_file():
            missing.setdefault(one.video, []).append(one)
    if missing:
        _check_tools()
        videos.mkdir(parents=True, exist_ok=True)
    failed = {}
    with progress(len(missing), "video", "fetching videos") as bar:
        for number, (video, clips) in enumerate(missing.items()):
            time.sleep(pause_s if number else 0)
            for one, (state, why) in _fetch_video(video, clips, videos, limit_rate).items():
                ledger[one.name] = {"clip": one.name, "video": video, "state": state, "why": why}
                if state == FAILED:
                    failed[video] = why
            write_jsonl(videos / LEDGER, ledger.values())
            bar.update()
    if failed:
        first = next(f"{video}: {why}" for video, why in failed.items())
        raise UserError(f"{len(failed)} of {len(missing)} videos failed, the first {first}; run it again to go on")
    return {one: ledger[one.name]["why"] for one in wanted if ledger.get(one.name, {}).get("state") == GONE}


def _check_tools() -> None:
    absent = [tool for tool in ("yt-dlp", "ffmpeg") if not shutil.which(tool)]
    if absent:
        raise UserError(f"{' and '.join(absent)} not found on PATH, and videos are to be fetched: {INSTALL}")


def _fetch_video(video: str, clips: Sequence[Wanted], videos: Path, limit_rate: str) -> dict[Wanted, tuple[str, str]]:
    """Download a video's sound and cut its clips out; the state of each, and why."""
    with scratch_dir(videos / "fetching") as scratch:
        asked = ["yt-dlp", "--ignore-config", "--no-playlist", "--no-progress", "--format", "bestaudio/best"]
        asked += ["--limit-rate", limit_rate, "--sleep-requests", "1", "--output", f"{scratch}/sound.%(ext)s"]
        told = _run([*asked, "--", f"https://www.youtube.com/watch?v={video}"])
        sound = next(iter(scratch.glob("sound.*")), None)
        if told is not None or sound is None:
            reason = told or "yt-dlp wrote no file"
            if _ENOUGH.search(reason):
                raise UserError(f"YouTube wants no more requests for now ({reason}); what came is kept, go on later")
            return dict.fromkeys(clips, (GONE if _GONE.search(reason) else FAILED, reason))
        return {one: _cut(sound, one, videos, scratch) for one in clips}


def _cut(sound: Path, one: Wanted, videos: Path, scratch: Path) -> tuple[str, str]:
    """Write a clip's spans, joined, to its file; its state, and why it is gone or failed."""
    pieces = []
    for number, (start_s, end_s) in enumerate(one.spans):
        piece, length_s = scratch / f"{number}.wav", end_s - start_s
        asked = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-ss", f"{start_s:.3f}", "-i", str(sound)]
        told = _run([*asked, "-t", f"{length_s:.3f}", "-vn", "-ac", "1", "-ar", str(RATE_HZ), "-f", "wav", str(piece)])
        if told is not None:
            return FAILED, told
        try:
            pieces.append(read_clip(piece).samples)
        except UserError as error:
            return GONE, f"its span {start_s:g} to {end_s:g} s: {str(error).removeprefix(f'{piece}: ')}"
        there_s = len(pieces[-1]) / RATE_HZ
        if there_s < length_s - _SLACK_S:
            return GONE, f"it ends within its span {start_s:g} to {end_s:g} s: {there_s:.1f} s are there"
    with atomic_path(videos / one.name) as file, sound_file(file, RATE_HZ, "WAV") as write:
        write(np.concatenate(pieces))
    return HERE, ""


def _run(command: list[str]) -> str | None:
    """Run a program; None if it ended well, else the last line of what it told."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"{command[0]} ended with {done.returncode}"
