"""What an audio container says of its own size, set against the bytes that are there.

Decoders read to the end of a file that was cut short and say nothing; the structure around the audio tells.
Formats: RIFF, RIFX and RF64 (WAV), W64, AIFF, CAF; MP4 and M4A (ISO 14496-12); Matroska and WebM (RFC 8794, 9559);
Ogg (RFC 3533); MP3 frames with their Xing or Info header.
"""

import struct
from collections.abc import Iterator

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.content import Content

# A tail of this size or less that belongs to no chunk is a tag or padding, not lost audio.
_TAIL_BYTES = 4096


def check_container(data: Content) -> tuple[list[int], str | None]:
    """Raise UserError, without the file's name, if `data` holds less than its container says, or more than is decoded.

    Returns where the files start of which `data` is joined (Ogg and Matroska allow that; each needs a fresh decoder),
    and a warning where the end cannot be vouched for.
    """
    head = data[:8]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"caff"):
        _check_chunks(data)
    elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        _check_boxes(data)
    elif head[:4] == b"\x1a\x45\xdf\xa3":
        return _check_elements(data), None
    elif head[:4] == b"OggS":
        return _check_pages(data)
    return [0], None


def cut_short(what: str) -> UserError:
    """The error for a file whose end is missing."""
    return UserError(f"cut short: {what}; copy or download it again")


# ── Chunks: RIFF and its relatives ───────────────────────────────────────────────────────────────


def _check_chunks(data: Content) -> None:
    """The data chunk must be there as a whole. The outer size is not looked at: writers often leave it wrong."""
    size_64 = 0
    for name, start, size, is_unknown in _chunks(data):
        if name == b"ds64":
            size_64 = struct.unpack("<Q", data[start + 8 : start + 16])[0]
        if name not in (b"data", b"SSND"):
            continue
        there = len(data) - start
        if is_unknown and size_64:
            size, is_unknown = size_64, False
        if is_unknown:
            return  # a stream's header: all that follows is audio
        if size > there:
            raise cut_short(f"its audio has {there:,} of {size:,} bytes")
        _check_tail(data, start + size + _padding(data[:4], size))
        return


def _chunks(data: Content) -> Iterator[tuple[bytes, int, int, bool]]:
    """(name, start of the content, its size in bytes, whether that size stands for "not known") of each chunk."""
    kind = data[:4]
    if kind == b"riff":  # W64: names of 16 bytes, sizes that count their own header, aligned to 8
        at, name_bytes, form = 40, 16, "<Q"
    elif kind == b"caff":
        at, name_bytes, form = 8, 4, ">q"
    else:
        at, name_bytes, form = 12, 4, ">I" if kind in (b"RIFX", b"FORM") else "<I"
    header = name_bytes + struct.calcsize(form)
    while at + header <= len(data):
        name = data[at : at + name_bytes][:4]
        (size,) = struct.unpack(form, data[at + name_bytes : at + header])
        start = at + header
        # Left by tools that write to a pipe and cannot go back: 0, -1, or about the largest size that there is.
        is_unknown = size in (0, -1) or (form[1] == "I" and (size >= 0xFFFFFF00 or 0x7FFFF000 <= size <= 0x80000000))
        if size == 0 and start >= len(data):
            is_unknown = False
        if kind == b"riff":
            size -= header
        if size < 0 and not is_unknown:
            return
        yield name, start, size, is_unknown
        at = start + size + _padding(kind, size)


def _padding(kind: bytes, size: int) -> int:
    return {b"riff": -size % 8, b"caff": 0}.get(kind, size % 2)


def _check_tail(data: Content, at: int) -> None:
    """Refuse audio behind the data chunk, which decoders do not read: a joined file, or a size that was never set."""
    while at + 8 <= len(data):
        name = data[at : at + 4]
        if name in (b"RIFF", b"RF64", b"FORM", b"riff", b"caff"):
            raise UserError("a second audio file is joined to its end and would not be heard; keep them apart")
        big = data[:4] in (b"RIFX", b"FORM")
        if data[:4] in (b"riff", b"caff"):
            return
        (size,) = struct.unpack(">I" if big else "<I", data[at + 4 : at + 8])
        is_chunk = all(32 <= letter < 127 for letter in name) and at + 8 + size <= len(data)
        if not is_chunk:
            rest = len(data) - at
            if rest > _TAIL_BYTES and not data.is_blank(at):
                raise UserError(
                    f"{rest:,} bytes follow its audio and are no part of it: the size in its header is too small; "
                    "write it again (`ffmpeg -ignore_length 1 -i IN.wav OUT.wav`)"
                )
            return
        at += 8 + size + size % 2


# ── Boxes: MP4, M4A ──────────────────────────────────────────────────────────────────────────────


def _check_boxes(data: Content) -> None:
    at, movies = 0, 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
        if size == 0 or size < 8:  # to the end of the file, or no box at all
            return
        if at + size > len(data) and name in (b"mdat", b"moov", b"moof"):
            raise cut_short(f"its {name.decode()} box has {len(data) - at:,} of {size:,} bytes")
        movies += name == b"moov"
        if movies > 1:
            raise UserError("a second audio file is joined to its end and would not be heard; keep them apart")
        at += size


# ── Elements: Matroska, WebM ─────────────────────────────────────────────────────────────────────

_HEADER, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def _check_elements(data: Content) -> list[int]:
    """Walk the elements; of unknown sizes (a live recording), those inside. Returns where the headers are."""
    at, headers = 0, []
    while at < len(data):
        name, start, _ = _number(data, at, keep_marker=True)
        size, start, is_unknown = _number(data, start, keep_marker=False)
        if name == 0 or start > len(data):
            if not data.is_blank(at):
                raise cut_short("its last element is not whole")
            break
        if name == _HEADER:
            headers.append(at)
        if is_unknown and name in (_SEGMENT, _CLUSTER):
            at = start  # what follows is inside
            continue
        if start + size > len(data):
            raise cut_short(f"an element has {len(data) - start:,} of {size:,} bytes")
        at = start + size
    return headers


def _number(data: Content, at: int, keep_marker: bool) -> tuple[int, int, bool]:
    """A number of variable length: (value, where it ends, whether all its bits are set); 0 if there is none."""
    first = data[at : at + 1]
    if not first or not first[0]:
        return 0, at + 1, False
    length = 9 - first[0].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    bits = value & ((1 << 7 * length) - 1)
    return value if keep_marker else bits, at + length, bits == (1 << 7 * length) - 1


# ── Pages: Ogg ───────────────────────────────────────────────────────────────────────────────────


def _check_pages(data: Content) -> tuple[list[int], str | None]:
    at, links, was_start = 0, [], False
    last_page: dict[int, int] = {}
    is_open: dict[int, bool] = {}
    while data[at : at + 4] == b"OggS":
        if at + 27 > len(data):
            raise cut_short("its last page is not whole")
        flags, serial, number, segments = struct.unpack("<5xB8xII4xB", data[at : at + 27])
        size = 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if at + size > len(data):
            raise cut_short("its last page is not whole")
        is_start = bool(flags & 2)
        if is_start and not was_start:  # the streams of one file all start before its first other page
            links.append(at)
        if not is_start and number != last_page.get(serial, number - 1) + 1:
            raise UserError(f"page {last_page[serial] + 1} is missing, {number} follows; copy or download it again")
        last_page[serial], is_open[serial], was_start = number, not flags & 4, is_start
        at += size
    if len(data) - at > 3 and not data.is_blank(at) and data[at : at + 3] != b"TAG":
        raise UserError(f"what stands at byte {at:,} is no page of audio: damaged; copy or download it again")
    if any(is_open.values()):
        return links or [0], "its end is not marked: a recording that was broken off, or cut short"
    return links or [0], None


# ── Frames: MP3 ──────────────────────────────────────────────────────────────────────────────────

_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def mp3_frame_bytes(header: bytes | memoryview) -> int | None:
    """The size in bytes of the MPEG audio frame that begins with `header`; None if none does, or its rate is free.

    >>> mp3_frame_bytes(bytes([0xFF, 0xFB, 0x90, 0x64]))  # 128 kbit/s at 44.1 kHz
    417
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    kbits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return None
    rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    generation = 1 if version == 3 else 2
    bits = _KBITS[generation, layer][kbits - 1] * 1000
    if layer == 1:
        return (12 * bits // rate_hz + padding) * 4
    return (72 if layer == 3 and generation == 2 else 144) * bits // rate_hz + padding


def mp3_frames(data: Content) -> int | None:
    """The number of audio frames that the Xing or Info header of an MP3 file names; None without such a header."""
    at = 0
    while data[at : at + 3] == b"ID3":
        size = data[at + 6 : at + 10]
        at += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=False))
    for start in range(at, min(at + _TAIL_BYTES, len(data))):
        size_bytes = mp3_frame_bytes(data[start : start + 4])
        if size_bytes:
            frame = data[start : start + size_bytes]
            # Behind the side information, whose size depends on version and channels: 9 to 32 bytes.
            for tag in (b"Xing", b"Info"):
                where = frame.find(tag, 4, 48)
                if where > 0 and frame[where + 7] & 1:
                    return int.from_bytes(frame[where + 8 : where + 12], "big")
            return None
    return None
