"""Transcoding: once, the same bytes however it ends and by how many, in bounded memory, and heard as the original."""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf
import soxr

from audio_reasoning.core.errors import NoRoomError, UserError
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor
from audio_reasoning.tasks import clips, kept
from audio_reasoning.tasks.audio import HOP, RATE_HZ, read_clip, transcode_file, write_flac
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.mmar_schema import Row, checked_rows
from stages.code import closure
from tests.audio_files import CONTAINERS, encode
from tests.small_disk import enlarge, small_disk
from tests.test_data_acquire import pinned, row, run, tree, write_params

ROOT = Path(__file__).parent.parent


def rows_of(root: Path) -> list[Row]:
    return checked_rows([(path.name, row(path.stem, path.name)) for path in sorted(root.iterdir())], None)


def made(root: Path, folder: Path) -> dict[str, bytes]:
    list(transcode(rows_of(root), root, folder, "stop", [], "audio"))
    return tree(folder)


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    for number, name in enumerate(CONTAINERS):
        encode(folder / f"{number:02}.audio", name)
    return folder


# ── The same bytes, once ─────────────────────────────────────────────────────────────────────────


def test_blocks_give_the_same_samples_as_the_whole_file_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for rate_hz in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000):
        x = (0.3 * rng.standard_normal((5 * rate_hz + 7, 2))).astype(np.float32)
        sf.write(tmp_path / "a.wav", x, rate_hz, subtype="FLOAT")
        whole = soxr.resample(x.mean(axis=1), rate_hz, RATE_HZ, quality="HQ")
        samples = read_clip(tmp_path / "a.wav").samples
        assert np.array_equal(samples[: len(whole)], whole) and not samples[len(whole) :].any()
        write_flac(tmp_path / "at once.flac", samples)
        transcode_file(tmp_path / "a.wav", tmp_path / "in blocks.flac")
        assert (tmp_path / "at once.flac").read_bytes() == (tmp_path / "in blocks.flac").read_bytes()


def test_the_number_of_workers_and_their_kind_change_nothing(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers, worth_processes in ((1, 500), (7, 500), (3, 1)):
        monkeypatch.setattr("joblib.cpu_count", lambda workers=workers: workers)
        monkeypatch.setattr(clips, "_WORTH_PROCESSES", worth_processes)
        found.append(made(originals, tmp_path / f"{workers}"))
    assert found[0] == found[1] == found[2] and len(found[0]) == len(CONTAINERS)


def test_what_was_transcoded_is_not_transcoded_again_and_told(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transcoded = []

    def counted(path: Path, target: Path) -> tuple[str, ...]:
        transcoded.append(path.name)
        return transcode_file(path, target)

    monkeypatch.setattr(kept, "transcode_file", counted)
    sf.write(originals / "silence.wav", np.zeros(1600), RATE_HZ)
    without = made(originals, tmp_path / "without")
    told = capsys.readouterr().err
    assert "silence.wav: holds silence only" in told
    with kept.keeping(tmp_path / "kept"):
        first = made(originals, tmp_path / "first")
        transcoded.clear()
        capsys.readouterr()
        (originals / "03.audio").rename(originals / "moved.audio")
        encode(originals / "04.audio", "flac", 1.0)
        again = made(originals, tmp_path / "again")
    assert transcoded == ["04.audio"], "another content alone: a name is no matter"
    assert first == without and again["moved.flac"] == first["03.flac"]
    told = capsys.readouterr().err
    assert "17 of 18 clips had been transcoded before" in told and "silence.wav: holds silence only" in told


def test_a_clip_that_was_spoilt_where_it_is_kept_is_made_again(originals: Path, tmp_path: Path) -> None:
    with kept.keeping(tmp_path / "kept"):
        first = made(originals, tmp_path / "first")
        files = sorted((tmp_path / "kept").glob("*/*.flac"))
        files[0].write_bytes(b"")  # what a power cut leaves
        files[1].write_bytes(files[2].read_bytes())
        files[3].with_suffix(".json").write_text("{")
        files[4].unlink()
        assert made(originals, tmp_path / "again") == first


def test_the_oldest_beyond_the_limit_are_deleted_and_what_was_begun_long_ago(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    with kept.keeping(folder):
        made(originals, tmp_path / "first")
    files = sorted(folder.glob("*/*.flac"))
    for age, clip in enumerate(files):
        os.utime(clip.with_suffix(".json"), (1e9 - age, 1e9 - age))
    begun = files[0].with_name(".begun")
    begun.write_text("half")
    os.utime(begun, (1e9, 1e9))
    monkeypatch.setattr(kept, "_MOST_BYTES", sum(clip.stat().st_size for clip in files[:5]))
    with kept.keeping(folder):
        pass
    assert sorted(folder.glob("*/*.flac")) == files[:5] and not begun.exists()
    assert sorted(folder.glob("*/*.json")) == [clip.with_suffix(".json") for clip in files[:5]]


def test_all_code_that_decides_the_samples_is_part_of_what_a_clip_is_kept_under() -> None:
    tasks = {path.stem for path in closure(Path("audio_reasoning/tasks/audio.py")) if path.parts[1] == "tasks"}
    assert tasks - {"__init__"} == set(kept._CODE)


def clips_of_noise(folder: Path, count: int, duration_s: float) -> dict[str, Any]:
    """A pinned source of so many questions, each about a clip of its own."""
    (folder / "audio").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = 0.2 * rng.standard_normal((round(duration_s * 44_100), 2))
        sf.write(folder / f"audio/{number:03}.wav", noise, 44_100)
    rows = [row(f"q{number}", f"audio/{number:03}.wav") for number in range(count)]
    source = {"loader": "files", "split": "test", "invalid": "stop", "sha256": ""}
    (folder / "questions.json").write_text(json.dumps(rows))
    return pinned({**source, "questions": str(folder / "questions.json"), "audio": str(folder)})


def test_a_stage_that_is_killed_goes_on_to_the_same_bytes_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips_of_noise(tmp_path / "source", 60, 3.0)
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write_params({"mine": source})
    assert run("stages.acquire", "--source", "mine").returncode == 0
    monkeypatch.chdir(tmp_path / "killed")
    command = [sys.executable, "-m", "stages.acquire", "--source", "mine"]
    times = 0
    while times < 2:
        before = len(list(Path(".cache/transcoded").glob("*/*.json")))
        stage = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
        while stage.poll() is None and len(list(Path(".cache/transcoded").glob("*/*.json"))) < before + 5:
            time.sleep(0.005)
        assert stage.poll() is None, "it was too fast to be killed"
        stage.send_signal(signal.SIGKILL)
        stage.wait()
        times += 1
        assert not Path("data/audio/mine").exists() and not Path("data/sources/mine").exists()
    done = run("stages.acquire", "--source", "mine")
    assert done.returncode == 0 and "of 60 clips had been transcoded before" in done.stderr
    assert tree(Path("data")) == tree(tmp_path / "whole/data")
    assert [path.name for path in Path("data/audio").iterdir()] == ["mine"]


# ── Bounded memory ───────────────────────────────────────────────────────────────────────────────


def silent_wav(path: Path, duration_s: int) -> None:
    """48 kHz 16-bit stereo that takes no room on the disk."""
    size = duration_s * 48_000 * 4
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48_000, 192_000, 4, 16)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + form + b"data" + struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)


def test_a_file_of_any_length_takes_the_same_memory(tmp_path: Path) -> None:
    """20 minutes would be 230 MB as they are stored, and 460 MB as they are decoded."""
    most_mb = []
    for minutes in (1, 20):
        silent_wav(tmp_path / "a.wav", 60 * minutes)
        code = (
            "import resource, sys; from pathlib import Path; from audio_reasoning.tasks.audio import transcode_file; "
            "print(transcode_file(Path('a.wav'), Path('a.flac'))); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        told, most = done.stdout.splitlines()
        assert told == "('holds silence only',)" and sf.info(tmp_path / "a.flac").duration == 60 * minutes
        most_mb.append(int(most) / 1e3)
    assert most_mb[1] < most_mb[0] + 16


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, 1e9])
def test_what_is_wrong_at_the_very_end_of_a_long_file_is_refused_and_nothing_is_left(
    tmp_path: Path, spoilt: float
) -> None:
    x = np.full((600_000, 1), 0.1, np.float32)
    x[-1] = spoilt
    sf.write(tmp_path / "a.wav", x, 48_000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav: .*(not finite|full scale)"):
        kept.transcoded(tmp_path / "a.wav", tmp_path / "out/a.flac", tmp_path / "kept")
    assert not list((tmp_path / "kept").rglob("*.*")) and not list((tmp_path / "out").iterdir())


# ── A full disk ──────────────────────────────────────────────────────────────────────────────────


def test_a_stage_on_a_full_disk_says_so_in_one_message_and_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips_of_noise(tmp_path / "source", 12, 5.0)
    with small_disk(tmp_path / "disk", "1m") as disk:
        monkeypatch.chdir(disk)
        write_params({"mine": source})
        done = run("stages.acquire", "--source", "mine")
        assert done.returncode == 2 and done.stderr.count("error:") == 1 and "Traceback" not in done.stderr
        for said in (".cache/transcoded/", "the disk is full", "MB are free in", "run the same command again"):
            assert said in done.stderr
        assert not any(Path("data/audio").iterdir()) and not Path("data/sources").exists()
        assert not list(Path(".cache").rglob(".*.flac.*")), "nothing half-written"
        enlarge(disk, "64m")
        done = run("stages.acquire", "--source", "mine")
        assert done.returncode == 0, done.stderr
        assert "of 12 clips had been transcoded before" in done.stderr
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("limit", [1, 4_096, 60_000])
def test_a_clip_that_does_not_fit_is_never_taken_for_a_whole_one(tmp_path: Path, limit: int) -> None:
    """Whichever write fails, the header's or the last one's as the file is closed."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)
    sf.write(tmp_path / "a.wav", noise, RATE_HZ)
    write_flac(tmp_path / "fits.flac", noise.astype(np.float32))
    size = (tmp_path / "fits.flac").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(size - limit, 0), hard))
    try:
        with pytest.raises(NoRoomError, match=r"a\.flac: cannot be written: it is larger than .*`ulimit -f`"):
            kept.transcoded(tmp_path / "a.wav", tmp_path / "a.flac", None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path.name for path in tmp_path.iterdir() if path.name not in ("a.wav", "fits.flac")]


# ── What the encoder hears ───────────────────────────────────────────────────────────────────────

BELOW, ABOVE, MEAN = 0.07, 0.2, 0.002  # see docs/sources.md
FORMATS: dict[str, tuple[int, Any]] = {
    "wav 8 kHz": (8_000, "PCM_16"),
    "wav 16 kHz": (16_000, "PCM_16"),
    "wav 44.1 kHz": (44_100, "PCM_16"),
    "float wav 48 kHz": (48_000, "FLOAT"),
    "mp3 64 kbit/s": (44_100, ("mp3", "libmp3lame", 64_000)),
    "m4a": (48_000, ("ipod", "aac", 96_000)),
    "ogg opus": (48_000, ("ogg", "libopus", 48_000)),
}


def stereo(rate_hz: int, noise: float) -> np.ndarray:
    """Three seconds of a harmonic sound that swells and fades, in noise of its own in each channel."""
    t = np.arange(3 * rate_hz) / rate_hz
    harmonics = [0.2 / k * np.sin(2 * np.pi * k * 180 * t + k) for k in range(1, 15) if 360 * k < rate_hz]
    x = sum(harmonics) * (0.5 + 0.5 * np.sin(6 * np.pi * t)) ** 2 * np.exp(-t / 3)
    rng = np.random.default_rng(0)
    return np.stack([x + noise * rng.standard_normal(len(t)) for _ in range(2)], axis=1)


def original(path: Path, rate_hz: int, how: Any, noise: float) -> np.ndarray:
    """Write a file; its samples as others decode them."""
    if isinstance(how, str):
        sf.write(path, stereo(rate_hz, noise), rate_hz, format="WAV", subtype=how)
        return sf.read(path, always_2d=True)[0]
    container, codec, bit_rate = how
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="stereo")
        stream.bit_rate = bit_rate
        size = stream.codec_context.frame_size or 960
        convert = av.AudioResampler(format=stream.format.name, layout="stereo", rate=rate_hz, frame_size=size)
        planes = np.ascontiguousarray(stereo(rate_hz, noise).T.astype(np.float32))
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.rate, frame.pts = rate_hz, 0
        for part in (*convert.resample(frame), *convert.resample(None), None):
            file.mux(stream.encode(part))
    with av.open(str(path)) as read:
        return np.concatenate([part.to_ndarray() for part in read.decode(audio=0)], axis=1).T.astype(np.float64)


@pytest.mark.parametrize("noise", [0.01, 0.0003, 0.0])
@pytest.mark.parametrize("name", FORMATS)
def test_the_encoder_hears_our_file_as_it_would_the_original(tmp_path: Path, name: str, noise: float) -> None:
    """The original is resampled in 64 bits with the resampler's finest quality, and never rounded to 16 bits."""
    rate_hz, how = FORMATS[name]
    direct = original(tmp_path / "original", rate_hz, how, noise).mean(axis=1)
    if rate_hz != RATE_HZ:
        direct = soxr.resample(direct, rate_hz, RATE_HZ, quality="VHQ")
    transcode_file(tmp_path / "original", tmp_path / "ours.flac")
    ours, _ = sf.read(tmp_path / "ours.flac", dtype="float32")
    assert 0 <= len(ours) - len(direct) < HOP
    extract = new_feature_extractor()
    heard = [
        extract(x.astype(np.float32), sampling_rate=RATE_HZ, return_tensors="np").input_features[0]
        for x in (direct, ours)
    ]
    apart = np.abs(heard[0] - heard[1])[:, : len(direct) // HOP]
    bands_hz = extract.mel_filters.argmax(axis=0) * (RATE_HZ / 2) / (len(extract.mel_filters) - 1)
    below = bands_hz < 0.9 * min(rate_hz, RATE_HZ) / 2
    assert below.sum() > 90 and apart[below].max() < BELOW
    assert apart.max() < ABOVE and apart.mean() < MEAN
