"""Any audio file in, 16 kHz mono 16-bit FLAC out."""

from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError

RATE_HZ = 16_000
# One mel frame (10 ms). Clips of whole frames give the same features alone, in a batch, and on a server.
HOP = 160
# RIFF sizes written by tools that stream and cannot go back to fill in the real one.
_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)


def read_audio(path: Path) -> NDArray[np.float32]:
    """Decode a file: 16 kHz mono float32, zero-padded to whole frames of 160 samples.

    Channels are averaged, other rates resampled. Raises UserError, naming the file, if it is missing, not
    audio, empty, cut short, or holds values that are not numbers.
    """
    _check_whole(path)
    try:
        with sf.SoundFile(path) as file:
            rate_hz, expected = file.samplerate, file.frames
            x = file.read(dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise UserError(f"{path}: cannot be decoded as audio, or is cut short ({error.error_string})") from None
    if len(x) == 0:
        raise UserError(f"{path}: holds no audio")
    if len(x) < expected:
        raise UserError(f"{path}: cut short: {len(x)} of {expected} frames can be decoded; copy it again")
    if not np.isfinite(x).all():
        raise UserError(f"{path}: holds samples that are not finite numbers")
    mono = x.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ, quality="HQ")
    return np.pad(mono, (0, -len(mono) % HOP)).astype(np.float32)


def _check_whole(path: Path) -> None:
    """Refuse what the decoder would accept in silence: a WAV file shorter than its header says."""
    if not path.is_file():
        raise UserError(f"{path}: no such audio file")
    size = path.stat().st_size
    if size == 0:
        raise UserError(f"{path}: is empty")
    with path.open("rb") as file:
        head = file.read(8)
    declared = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and declared not in _UNKNOWN_SIZES and declared + 8 > size + 1:
        raise UserError(f"{path}: cut short: {size} of {declared + 8} bytes; copy it again")


def write_flac(path: Path, samples: NDArray[np.float32]) -> None:
    """Write 16 kHz mono samples as 16-bit FLAC, the folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Rounded here: how a decoder scales floats differs between versions and would change the file's hash.
    integers = np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
    sf.write(path, integers, RATE_HZ, format="FLAC", subtype="PCM_16")


def flac_duration(path: Path) -> float:
    """The length in seconds of a file that `write_flac` wrote; UserError if it is anything else."""
    if not path.is_file():
        raise UserError(f"{path}: no such audio file; run the stage acquire again")
    try:
        info = sf.info(path)
    except sf.LibsndfileError as error:
        raise UserError(f"{path}: not readable ({error.error_string}); run the stage acquire again") from None
    if (info.samplerate, info.channels, info.subtype) != (RATE_HZ, 1, "PCM_16") or info.frames % HOP:
        raise UserError(f"{path}: not 16 kHz mono 16-bit FLAC of whole frames; run the stage acquire again")
    return float(info.frames / RATE_HZ)
