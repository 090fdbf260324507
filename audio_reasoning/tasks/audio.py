"""Any audio file in, 16 kHz mono 16-bit FLAC out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.decode import Decoder
from audio_reasoning.tasks.levels import Levels
from audio_reasoning.tasks.sound_file import sound_file

RATE_HZ = 16_000
# One mel frame (10 ms). Clips of whole frames give the same features alone, in a batch, and on a server.
HOP = 160


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

    Raises UserError, naming the file, for what `Decoder` refuses, for values that are not numbers or not on the scale
    of -1 to 1, for channels that cancel out, and for less audio than one frame.
    """
    reader = _Reader(path)
    samples = np.concatenate(list(reader.blocks()))
    return Clip(samples, reader.warnings)


def transcode_file(path: Path, target: Path) -> tuple[str, ...]:
    """Write what `read_clip` reads as `write_flac` does, in bounded memory whatever its length; what is odd about it.

    Raises UserError as `read_clip` does; then, and where the disk is full (OSError), `target` holds half a file.
    """
    reader = _Reader(path)
    with _flac(target) as write:
        for samples in reader.blocks():
            write(samples)
    return reader.warnings


def write_flac(path: Path, samples: NDArray[np.float32]) -> None:
    """Write 16 kHz mono samples as 16-bit FLAC, the folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _flac(path) as write:
        write(samples)


class _Reader:
    """A file as 16 kHz mono, block by block; `warnings` are known after the last."""

    def __init__(self, path: Path) -> None:
        self.warnings: tuple[str, ...] = ()
        self._path = path

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        decoder, levels = Decoder(self._path), Levels()
        resampler, frames = None, 0
        for decoded in decoder.blocks():
            mono = levels.mixed(decoded)
            if decoder.rate_hz != RATE_HZ:
                # The same samples to the bit as of the whole file at once.
                resampler = resampler or soxr.ResampleStream(decoder.rate_hz, RATE_HZ, 1, "float32", "HQ")
                mono = resampler.resample_chunk(mono)
            frames += len(mono)
            yield mono
        try:
            warnings = levels.checked(decoder.rate_hz)
        except UserError as error:
            raise UserError(f"{self._path}: {error}") from None
        if resampler:
            rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            frames += len(rest)
            yield rest
        yield np.zeros(-frames % HOP, np.float32)
        self.warnings = (*decoder.warnings, *warnings)


@contextmanager
def _flac(path: Path) -> Iterator[Callable[[NDArray[np.float32]], None]]:
    """A file to write 16 kHz mono samples to."""
    with sound_file(path, RATE_HZ, "FLAC") as write:
        yield lambda samples: write(_to_16_bit(samples))


def _to_16_bit(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounded here: how a decoder scales floats differs between versions and would change the file's hash."""
    integers = samples * np.float32(32768)
    np.clip(np.round(integers, out=integers), -32768, 32767, out=integers)
    with np.errstate(invalid="ignore"):  # of what is no number, which is refused at the file's end
        return integers.astype(np.int16)


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
