"""Measure transcoding beside bare decoders, and write benchmarks/transcode.json.

    make bench-transcode
    make bench-transcode ARGS="--files 4 --pairs 3"     # a quick look

A corpus of eight formats, 3 to 20 s a file, is transcoded by turns: as the stages do it (every check, hashed, kept by
its content, linked into place), and bare: each file decoded at once by libsndfile, or by FFmpeg what that reads slower
or not, averaged, resampled by soxr and written by libsndfile, with no check at all, in a thread for each core.

| figure           | what is measured                                                                          |
|------------------|-------------------------------------------------------------------------------------------|
| ours_s, bare_s   | seconds for the corpus, medians                                                           |
| share            | our throughput, of the bare one: the median over pairs that were measured one by another  |
| by_format        | the same share, of the files of one format alone, on one core                             |
| threads_share    | throughput of ours with a thread for each core instead of a process, of ours              |
| again_s          | seconds for the corpus once all of it is kept                                             |
"""

import argparse
import contextlib
import io
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import joblib
import numpy as np
import soundfile as sf
import soxr
from joblib import Parallel, delayed
from numpy.typing import NDArray

from audio_reasoning.core.files import write_json
from audio_reasoning.tasks.audio import RATE_HZ
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.kept import keeping, transcoded
from audio_reasoning.tasks.mmar_schema import Row, checked_rows

RESULTS = Path("benchmarks/transcode.json")
SHORTEST_S, LONGEST_S = 3.0, 20.0
# end of the name -> rate in Hz, and libsndfile's subtype or (codec, bits a second) of FFmpeg
FORMATS: dict[str, tuple[int, Any]] = {
    "16k.wav": (16_000, "PCM_16"),
    "44k.wav": (44_100, "PCM_16"),
    "float.wav": (48_000, "FLOAT"),
    "lossless.flac": (44_100, "PCM_16"),
    "mpeg.mp3": (44_100, ("libmp3lame", 128_000)),
    "aac.m4a": (48_000, ("aac", 128_000)),
    "opus.ogg": (48_000, ("libopus", 64_000)),
    "matroska.webm": (48_000, ("libopus", 64_000)),
}


def make_corpus(folder: Path, files: int) -> list[Path]:
    """So many stereo files of each format: harmonics that come and go, in noise."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    made = []
    for number in range(files):
        for suffix, (rate_hz, how) in FORMATS.items():
            t = np.arange(round(rng.uniform(SHORTEST_S, LONGEST_S) * rate_hz)) / rate_hz
            tone = sum(0.2 / k * np.sin(2 * np.pi * k * rng.uniform(100, 400) * t) for k in range(1, 6))
            tone *= np.sin(np.pi * rng.uniform(0.1, 2) * t) ** 2
            x = np.stack([tone + 0.01 * rng.standard_normal(len(t)) for _ in range(2)], axis=1).astype(np.float32)
            path = folder / f"{number:03}_{suffix}"
            if isinstance(how, str):
                sf.write(path, x, rate_hz, subtype=how)
            else:
                encode(path, x, rate_hz, *how)
            made.append(path)
    return made


def encode(path: Path, x: NDArray[np.float32], rate_hz: int, codec: str, bit_rate: int) -> None:
    """Write samples [frames, channels] in a lossy format."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="stereo")
        stream.bit_rate = bit_rate
        size = stream.codec_context.frame_size or 960
        convert = av.AudioResampler(format=stream.format.name, layout="stereo", rate=rate_hz, frame_size=size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(x.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in (*convert.resample(frame), *convert.resample(None), None):
            file.mux(stream.encode(part))


def bare(path: Path, target: Path) -> None:
    """The least that turns a file into 16 kHz mono FLAC."""
    if path.suffix in (".m4a", ".ogg", ".webm"):
        with av.open(str(path)) as file:
            stream = file.streams.audio[0]
            x, rate_hz = np.concatenate([part.to_ndarray() for part in file.decode(stream)], axis=1).T, stream.rate
    else:
        x, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    mono = x.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="HQ")
    sf.write(target, mono, RATE_HZ, format="FLAC", subtype="PCM_16")


def rows_of(paths: Iterable[Path]) -> list[Row]:
    """A question about each file."""
    asked = {"question": "?", "choices": ["a", "b"], "answer": "a", "modality": "sound", "category": "c"}
    rows = [(path.name, {"id": path.name, "audio_path": path.name, "sub-category": "s", **asked}) for path in paths]
    return checked_rows(rows, None)


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def took(what: Callable[[], Any]) -> float:
    """Seconds that it takes, its progress unseen."""
    with contextlib.redirect_stderr(io.StringIO()):
        started = time.perf_counter()
        what()
        return time.perf_counter() - started


def measure(folder: Path, files: int, pairs: int) -> dict[str, Any]:
    """Make the corpus, and measure by turns."""
    corpus = make_corpus(folder / "corpus", files)
    rows, cores = rows_of(corpus), joblib.cpu_count()
    out, kept = folder / "out", folder / "kept"

    def ours() -> None:
        with keeping(kept):
            list(transcode(rows, corpus[0].parent, out, "stop", [], "corpus"))

    def by_threads() -> None:
        run = Parallel(n_jobs=cores, batch_size=4, prefer="threads")
        run(delayed(transcoded)(path, out / f"{path.name}.flac", kept) for path in corpus)

    def by_bare() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda path: bare(path, out / f"{path.name}.flac"), corpus))

    def fresh(what: Callable[[], None]) -> float:
        emptied(out), emptied(kept)
        return took(what)

    fresh(by_threads), fresh(by_bare), fresh(ours)  # files are in memory, processes started
    times = [(fresh(ours), fresh(by_bare), fresh(by_threads)) for _ in range(pairs)]
    fresh(ours)
    emptied(out)
    again_s = took(ours)
    audio_s = sum(sf.info(path).duration for path in out.iterdir())
    by_format = {}
    for suffix in FORMATS:
        of_one = [path for path in corpus if path.name.partition("_")[2] == suffix]
        shares = []
        for _ in range(pairs):
            emptied(out), emptied(kept)
            ours_s = took(lambda: [transcoded(path, out / "a.flac", kept) for path in of_one])  # noqa: B023
            shares.append(took(lambda: [bare(path, out / "b.flac") for path in of_one]) / ours_s)  # noqa: B023
        by_format[suffix] = round(statistics.median(shares), 3)
    return {
        "cores": cores,
        "files": len(corpus),
        "audio_minutes": round(audio_s / 60, 1),
        "pairs": pairs,
        "ours_s": round(statistics.median(one for one, _, _ in times), 2),
        "bare_s": round(statistics.median(one for _, one, _ in times), 2),
        "share": round(statistics.median(plain / one for one, plain, _ in times), 3),
        "by_format": by_format,
        "threads_share": round(statistics.median(one / threads for one, _, threads in times), 3),
        "again_s": round(again_s, 2),
    }


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=64, help="of each format")
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(Path(scratch), args.files, args.pairs)
    machine = {"cpus": os.cpu_count(), "processor": platform.processor() or platform.machine()}
    write_json(RESULTS, {"machine": machine, **results})
    for name, value in results.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
