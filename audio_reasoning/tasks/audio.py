"""Any audio file in, 16 kHz mono 16-bit FLAC out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.decode import decode

RATE_HZ = 16_000
# One mel frame (10 ms). Clips of whole frames give the same features alone, in a batch, and on a server.
HOP = 160
# Full scale is 1. Lossy codecs overshoot it a little; mixes by more, integers stored as floats by a thousandfold.
_OVERSHOOT, _ANOTHER_SCALE = 1.1, 8.0
_CLIPPED_SHARE = 0.01
_SHORT_S = 0.1
# How much quieter than its channels a mono mix may be: uncorrelated channels lose 3 dB.
_LOST_DB, _QUIETER_DB = 40.0, 20.0


@dataclass(frozen=True)
class Clip:
    """16 kHz mono float32 in [-1, 1], zero-padded to whole frames of 160 samples; and what is odd about the file."""

    samples: NDArray[np.float32]
    warnings: tuple[str, ...]


def read_audio(path: Path) -> NDArray[np.float32]:
    """The samples of `read_clip`."""
    return read_clip(path).samples


def read_clip(path: Path) -> Clip:
    """Decode a file: channels are averaged, other rates resampled.

    Raises UserError, naming the file, for what `decode` refuses, for values that are not numbers or not on the scale
    of -1 to 1, for channels that cancel out, and for less audio than one frame.
    """
    decoded = decode(path)
    try:
        mono, warnings = _mix(decoded.samples, decoded.rate_hz)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if decoded.rate_hz != RATE_HZ:
        mono = soxr.resample(mono, decoded.rate_hz, RATE_HZ, quality="HQ")
    samples = np.pad(mono, (0, -len(mono) % HOP)).astype(np.float32)
    return Clip(samples, (*decoded.warnings, *warnings))


def _mix(x: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float32], list[str]]:
    """The mean of the channels of `x` [frames, channels], and warnings; UserError for what no model could hear."""
    if not np.isfinite(x).all():
        raise UserError("holds samples that are not finite numbers")
    peak = float(np.abs(x).max())
    if peak > _ANOTHER_SCALE:
        raise UserError(
            f"its samples reach {peak:.0f}, where 1 is full scale: perhaps integers stored as floats; "
            "divide them (16-bit values by 32768) and write it again"
        )
    if len(x) * RATE_HZ < HOP * rate_hz:
        raise UserError(f"holds {len(x)} samples, {1000 * len(x) / rate_hz:.2g} ms; 10 ms is the least")
    warnings = []
    if len(x) < _SHORT_S * rate_hz:
        warnings.append(f"lasts {1000 * len(x) / rate_hz:.0f} ms only")
    mono = x.mean(axis=1)
    loud, mixed = _rms(x), _rms(mono)
    if loud == 0:
        warnings.append("holds silence only")
    elif mixed < loud * 10 ** (-_LOST_DB / 20):
        raise UserError("its channels cancel out when they are averaged; keep one of them, or invert one")
    elif mixed < loud * 10 ** (-_QUIETER_DB / 20):
        warnings.append(f"its channels nearly cancel out: averaged, it is {20 * np.log10(loud / mixed):.0f} dB quieter")
    clipped = float((np.abs(mono) > _OVERSHOOT).mean())
    if clipped > _CLIPPED_SHARE:
        warnings.append(f"its samples reach {peak:.2f}, where 1 is full scale: {clipped:.1%} of them are clipped")
    return mono, warnings


def _rms(x: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


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
