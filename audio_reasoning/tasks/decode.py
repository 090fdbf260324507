"""Any audio file in, all of its samples out, or one reason why not: decoded by FFmpeg's libraries, and counted."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.containers import check_container, cut_short, mp3_frame_bytes, mp3_frames
from audio_reasoning.tasks.content import Content

BLOCK = 1 << 16  # samples of each channel that are in memory at a time, and those of one more packet
_READ_AHEAD = 1 << 16

# Containers of which a part that is missing is noticed. Headerless audio is not among them, nor are playlists, which
# name other files.
_FORMATS = "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,aac,matroska,webm,asf,amr,wv"
# No protocol: a file must not make the decoder open another one.
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
# FFmpeg looks for DTS in the samples of a WAV file, which takes five times as long as to read them: the first packet
# tells. Packets of 4 KB, as they would be, take as long again.
_WAV = {"max_probe_packets": "1", "max_size": "65536"}
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


class Decoder:
    """The first audio stream of a file, decoded block by block; what the file holds decides, not its suffix.

    A file of any length takes the same memory. `rate_hz` is known with the first block, `warnings`, what is odd about
    the file, after the last.
    """

    def __init__(self, path: Path) -> None:
        self.rate_hz = 0
        self.warnings: tuple[str, ...] = ()
        self._path = path

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All samples, some [frames, channels] at a time: on the scale of -1 to 1 if the file is well made.

        Raises UserError, naming the file, if it is missing, unreadable, empty, no audio, damaged, or holds less than
        its container says; that may be found at the very end.
        """
        path = self._path
        try:
            if not path.is_file():
                raise UserError("no such audio file")
            with path.open("rb", buffering=_READ_AHEAD) as file:
                size = path.stat().st_size
                if not size:
                    raise UserError("is empty")
                yield from self._joined(Content(file, 0, size))
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
            raise UserError(f"{path}: cannot be read ({_reason(error)})") from None

    def _joined(self, data: Content) -> Iterator[NDArray[np.float32]]:
        """The blocks of each file that `data` is joined of."""
        starts, warning = check_container(data)
        warnings = set() if warning is None else {warning}
        forms = set[tuple[int, int]]()
        for start, end in pairwise([*starts, len(data)]):
            part = _Part(data.part(start, end))
            for block in part.blocks():
                forms.add((part.rate_hz, block.shape[1]))
                if len(forms) == 1:  # else they are read on only to tell of all of them
                    self.rate_hz = part.rate_hz
                    yield block
            warnings |= part.warnings
        if len(forms) > 1:
            raise UserError(
                f"several files joined, of different form ({_forms(sorted(forms))}); keep them apart, "
                "or convert them to one"
            )
        self.warnings = tuple(sorted(warnings))


class _Part:
    """One file that is joined of no others."""

    def __init__(self, data: Content) -> None:
        self.rate_hz = 0
        self.warnings: set[str] = set()
        self._data = data
        self._form: tuple[int, int] | None = None
        self._frames = self._packets = 0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        options = _OPTIONS | (_WAV if self._data[:4] in (b"RIFF", b"RIFX", b"RF64") else {})
        try:
            container = av.open(self._data, options=options)
        except (av.error.FFmpegError, ValueError) as error:
            raise UserError(
                f"cannot be decoded as audio ({_reason(error)}): expected {_READ}, whatever the suffix; "
                "convert it (`ffmpeg -i IN OUT.wav`)"
            ) from None
        with container:
            streams = len(container.streams.audio)
            if not streams:
                raise UserError("holds no audio stream")
            # Frames of a few milliseconds are gathered: turned into arrays one by one, they take as long as decoding.
            gathered = av.AudioFifo()
            for frame in self._decoded(container):
                frame.pts = None  # gaps in time are no gaps in sound
                gathered.write(frame)
                if gathered.samples >= BLOCK and (block := gathered.read()):
                    yield _to_float(block)
            if not self._frames:
                raise UserError("holds no audio")
            if rest := gathered.read():
                yield _to_float(rest)
            claim = mp3_frames(self._data) if container.format.name == "mp3" else None
            _check_count(container, self._frames, self.rate_hz, self._packets, claim)
        if streams > 1:
            self.warnings.add(f"holds {streams} audio streams; the first is taken")

    def _decoded(self, container: Any) -> Iterator[av.AudioFrame]:
        """Decode every packet, and count those that hold audio."""
        stream = container.streams.audio[0]
        name, kind = stream.codec_context.name, container.format.name
        if name in _EXACT_CODECS:
            stream.codec_context.options = _STRICT
        demuxed = container.demux(stream)
        while True:
            try:
                packet = next(demuxed, None)
            except av.error.FFmpegError as error:
                raise UserError(
                    f"what comes after {self._where()} is no audio ({_reason(error)}): damaged, cut short, "
                    "or two files joined"
                ) from None
            if packet is None:
                break
            if packet.is_corrupt and kind not in _CHUNKED:
                raise cut_short(f"what comes after {self._where()} is not whole")
            try:
                if name.startswith("mp3") and packet.size:
                    _check_mp3(packet, self._where)
                frames = packet.decode()
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:
                if _is_tag(name, bytes(packet)):
                    continue
                raise UserError(
                    f"cannot be decoded after {self._where()}: damaged or cut short ({_reason(error)})"
                ) from None
            self._packets += packet.size > 0
            for frame in frames:
                form = (frame.sample_rate, frame.layout.nb_channels)
                if self._form is None:
                    self._form, self.rate_hz = form, frame.sample_rate
                if form != self._form:
                    raise UserError(
                        f"its form changes after {self._where()} ({_forms([self._form, form])}); keep the parts apart"
                    )
                self._frames += frame.samples
                yield frame

    def _where(self) -> str:
        return f"{self._frames / self._form[0]:.2f} s" if self._form else "its header"


def _to_float(frame: av.AudioFrame) -> NDArray[np.float32]:
    """[frames, channels] float32; integers on the scale of -1 to 1, floats as they are."""
    try:
        array: NDArray[Any] = frame.to_ndarray()
    except ValueError:
        raise UserError(f"holds samples of a form that is not read ({frame.format.name}); convert it") from None
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    samples = array.astype(np.float32, copy=False)
    if array.dtype == np.uint8:
        samples -= 128
        samples /= 128
    elif np.issubdtype(array.dtype, np.integer):
        samples /= -float(np.iinfo(array.dtype).min)  # a power of two: exact
    return samples


def _check_mp3(packet: Any, where: Callable[[], str]) -> None:
    """Refuse a frame whose end is missing: the decoder makes something up for it."""
    size = mp3_frame_bytes(memoryview(packet)[:4])
    if size and packet.size < size:
        raise cut_short(f"the frame after {where()} has {packet.size} of {size} bytes")


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


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
