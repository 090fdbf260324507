"""Audio files of many containers, whole and otherwise."""

import struct
from pathlib import Path

import av
import numpy as np

from audio_reasoning.tasks.containers import mp3_frame_bytes

# name -> (container, codec, rate in Hz, options of the muxer)
CONTAINERS = {
    "m4a": ("ipod", "aac", 48_000, {}),
    "m4a, index first": ("ipod", "aac", 48_000, {"movflags": "faststart"}),
    "aac": ("adts", "aac", 48_000, {}),
    "webm": ("webm", "libopus", 48_000, {}),
    "webm, recorded live": ("webm", "libopus", 48_000, {"live": "1"}),
    "mka": ("matroska", "flac", 44_100, {}),
    "opus": ("ogg", "libopus", 48_000, {}),
    "ogg flac": ("ogg", "flac", 44_100, {}),
    "flac": ("flac", "flac", 44_100, {}),
    "mp3": ("mp3", "libmp3lame", 44_100, {}),
    "mp3 without Xing": ("mp3", "libmp3lame", 44_100, {"write_xing": "0", "id3v2_version": "0"}),
    "wav": ("wav", "pcm_s16le", 44_100, {}),
    "wav adpcm": ("wav", "adpcm_ms", 44_100, {}),
    "w64": ("w64", "pcm_s16le", 44_100, {}),
    "aiff": ("aiff", "pcm_s16be", 44_100, {}),
    "au": ("au", "pcm_s16be", 44_100, {}),
    "caf": ("caf", "pcm_s16le", 44_100, {}),
}


def noise(duration_s: float, rate_hz: int) -> np.ndarray:
    return (0.2 * np.random.default_rng(0).standard_normal(round(duration_s * rate_hz))).astype(np.float32)


def encode(path: Path, name: str, duration_s: float = 2.0, streams: int = 1) -> bytes:
    """Write noise to `path` in one of CONTAINERS; return the file's bytes."""
    container, codec, rate_hz, options = CONTAINERS[name]
    with av.open(str(path), "w", format=container, options=options) as file:
        for stream in [file.add_stream(codec, rate=rate_hz, layout="mono") for _ in range(streams)]:
            size = stream.codec_context.frame_size or 960
            convert = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate_hz, frame_size=size)
            frame = av.AudioFrame.from_ndarray(noise(duration_s, rate_hz)[None], format="fltp", layout="mono")
            frame.rate, frame.pts = rate_hz, 0
            for part in (*convert.resample(frame), *convert.resample(None), None):
                file.mux(stream.encode(part))
    return path.read_bytes()


def wav(frames: int = 16_000, riff: int | None = None, data: int | None = None) -> bytes:
    """A 16 kHz mono 16-bit WAV file; `riff` and `data` replace the sizes in its header."""
    pcm = (noise(frames / 16_000, 16_000) * 32767).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    sizes = (36 + len(pcm) if riff is None else riff, len(pcm) if data is None else data)
    return b"RIFF" + struct.pack("<I", sizes[0]) + b"WAVE" + form + b"data" + struct.pack("<I", sizes[1]) + pcm


def mp3_frames(data: bytes) -> list[bytes]:
    """The frames of an MP3 file without tags."""
    at = next(at for at in range(len(data)) if mp3_frame_bytes(data[at : at + 4]))
    frames = []
    while size := mp3_frame_bytes(data[at : at + 4]):
        frames.append(data[at : at + size])
        at += size
    return frames
