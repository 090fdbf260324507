"""Any audio file in, all of its samples out, or one reason why not: decoded by FFmpeg's libraries, and counted."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.containers import check_container, cut_short, mp3_frame_bytes, mp3_frames

# Containers of which a part that is missing is noticed. Headerless audio is not among them, nor are playlists, which
# name other files.
_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,aac,matroska,webm,asf,amr,wv"
# No protocol: a file must not make the decoder open another one.
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
# For codecs with checksums. MP3 has frames that lean on earlier ones, which cut recordings lack: that is no damage.
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
_READ = "WAV, FLAC, MP3, Ogg, Opus, M4A, AAC, WebM, Matroska, AIFF, CAF, AU, W64, WMA, AMR or WavPack"
# The duration of these is estimated from the file's size; their chunks or frames are checked instead.
_UNCOUNTED = ("wav", "w64", "caf", "mp3", "aac", "amr")
# Their data chunk is checked as a whole; a stream's last packet is always shorter than asked for.
_CHUNKED = ("wav", "w64", "caf", "aiff")
_EXACT_CODECS = ("flac", "wavpack")
# How far codecs with frames and delays may end from what the container says.
_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Decoded:
    """All samples of a file, [frames, channels]: on the scale of -1 to 1 if it is well made; and what is odd."""

    samples: NDArray[np.float32]
    rate_hz: int
    warnings: tuple[str, ...]


def decode(path: Path) -> Decoded:
    """Decode the first audio stream of a file; what it holds decides, not its suffix.

    Raises UserError, naming the file, if it is missing, unreadable, empty, no audio, damaged, or holds less than its
    container says.
    """
    try:
        data = path.read_bytes() if path.is_file() else None
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from None
    if data is None:
        raise UserError(f"{path}: no such audio file")
    if not data:
        raise UserError(f"{path}: is empty")
    try:
        return _decode(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _decode(data: bytes) -> Decoded:
    starts, warning = check_container(data)
    parts = [_decode_one(data[start:end]) for start, end in pairwise([*starts, len(data)])]
    forms = sorted({(part.rate_hz, part.samples.shape[1]) for part in parts})
    if len(forms) > 1:
        raise UserError(
            f"several files joined, of different form ({_forms(forms)}); keep them apart, or convert them to one"
        )
    warnings = {*([] if warning is None else [warning]), *(text for part in parts for text in part.warnings)}
    return Decoded(np.concatenate([part.samples for part in parts]), parts[0].rate_hz, tuple(sorted(warnings)))


def _decode_one(data: bytes) -> Decoded:
    try:
        container = av.open(io.BytesIO(data), options=_OPTIONS)  # without a name: a suffix must not decide
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(
            f"cannot be decoded as audio ({_reason(error)}): expected {_READ}, whatever the suffix; "
            "convert it (`ffmpeg -i IN OUT.wav`)"
        ) from None
    with container:
        streams = len(container.streams.audio)
        if not streams:
            raise UserError("holds no audio stream")
        samples, rate_hz, packets = _read(container)
        _check_count(container, len(samples), rate_hz, packets, mp3_frames(data))
    warnings = (f"holds {streams} audio streams; the first is taken",) if streams > 1 else ()
    return Decoded(samples, rate_hz, warnings)


def _read(container: Any) -> tuple[NDArray[np.float32], int, int]:
    """Decode every packet: samples [frames, channels], their rate, and the number of packets that held audio."""
    stream = container.streams.audio[0]
    name, kind = stream.codec_context.name, container.format.name
    if name in _EXACT_CODECS:
        stream.codec_context.options = _STRICT
    parts: list[NDArray[np.float32]] = []
    form: tuple[int, int] | None = None
    frames = packets = 0
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed, None)
        except av.error.FFmpegError as error:
            where = _seconds(frames, form)
            raise UserError(
                f"what comes after {where} is no audio ({_reason(error)}): damaged, cut short, or two files joined"
            ) from None
        if packet is None:
            break
        if packet.is_corrupt and kind not in _CHUNKED:
            raise cut_short(f"what comes after {_seconds(frames, form)} is not whole")
        try:
            if name.startswith("mp3") and packet.size:
                _check_mp3(bytes(packet), _seconds(frames, form))
            decoded = packet.decode()
        except av.error.EOFError:
            break
        except av.error.FFmpegError as error:
            if _is_tag(name, bytes(packet)):
                continue
            where = _seconds(frames, form)
            raise UserError(f"cannot be decoded after {where}: damaged or cut short ({_reason(error)})") from None
        packets += packet.size > 0
        for frame in decoded:
            part = _to_float(frame)
            if form is None:
                form = (frame.sample_rate, part.shape[1])
            if form != (frame.sample_rate, part.shape[1]):
                forms = _forms([form, (frame.sample_rate, part.shape[1])])
                raise UserError(f"its form changes after {_seconds(frames, form)} ({forms}); keep the parts apart")
            parts.append(part)
            frames += len(part)
    if form is None or not frames:
        raise UserError("holds no audio")
    return np.concatenate(parts), form[0], packets


def _to_float(frame: av.AudioFrame) -> NDArray[np.float32]:
    """[frames, channels] float32; integers on the scale of -1 to 1, floats as they are."""
    try:
        array: NDArray[Any] = frame.to_ndarray()
    except ValueError:
        raise UserError(f"holds samples of a form that is not read ({frame.format.name}); convert it") from None
    channels = len(frame.layout.channels)
    array = array.T if frame.format.is_planar else array.reshape(-1, channels)
    if array.dtype == np.uint8:
        return ((array.astype(np.float32) - 128) / 128).astype(np.float32)
    if np.issubdtype(array.dtype, np.integer):
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    return array.astype(np.float32)


def _check_mp3(packet: bytes, where: str) -> None:
    """Refuse a frame whose end is missing: the decoder makes something up for it."""
    size = mp3_frame_bytes(packet)
    if size and len(packet) < size:
        raise cut_short(f"the frame after {where} has {len(packet)} of {size} bytes")


def _is_tag(codec: str, packet: bytes) -> bool:
    """Whether a packet that cannot be decoded is a tag or padding between frames, and no audio."""
    is_frame = packet[:1] == b"\xff" and packet[1:2] >= b"\xe0"
    return codec.startswith(("mp3", "aac")) and not is_frame


def _check_count(container: Any, frames: int, rate_hz: int, packets: int, mp3_claim: int | None) -> None:
    """Refuse a file of which less can be decoded than its container says."""
    stream = container.streams.audio[0]
    kind = container.format.name.split(",")[0]
    # Some encoders count the header's own frame.
    if kind == "mp3" and mp3_claim is not None and packets < mp3_claim - 1:
        raise cut_short(f"{packets} of {mp3_claim} frames can be decoded")
    if kind in _UNCOUNTED:
        return
    name = stream.codec_context.name
    tolerance_s = 0.0 if name.startswith("pcm") or name in _EXACT_CODECS else _TOLERANCE_S
    if stream.duration is not None:
        claim_s = float(stream.duration * stream.time_base)
    elif container.duration is not None and len(container.streams) == 1:
        claim_s, tolerance_s = container.duration / av.time_base, _TOLERANCE_S
    else:
        return
    if frames < round((claim_s - tolerance_s) * rate_hz):
        raise cut_short(f"{frames / rate_hz:.2f} of {claim_s:.2f} s can be decoded")


def _forms(forms: Iterable[tuple[int, int]]) -> str:
    return "; ".join(f"{rate_hz} Hz, channels: {channels}" for rate_hz, channels in forms)


def _seconds(frames: int, form: tuple[int, int] | None) -> str:
    return f"{frames / form[0]:.2f} s" if form else "its header"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
