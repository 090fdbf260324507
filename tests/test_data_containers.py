"""What a container says of its audio is held against what can be decoded: nothing is shortened in silence."""

import io

import numpy as np
import pytest
import soundfile as sf

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.audio import RATE_HZ, read_audio, read_clip
from tests.audio_files import CONTAINERS, encode, mp3_frames, noise, wav


def seconds(path):
    return len(read_audio(path)) / RATE_HZ


def refused(path, message):
    with pytest.raises(UserError, match=rf"{path.name}: .*({message})"):
        read_audio(path)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_common_format_is_read_whatever_its_suffix_and_refused_once_it_is_cut(tmp_path, name):
    whole, cut = tmp_path / "whole.raw", tmp_path / "cut.bin"
    data = encode(whole, name)
    assert seconds(whole) == pytest.approx(2.0, abs=0.06) and read_clip(whole).warnings == ()
    for length in (len(data) // 4 + 7, len(data) // 2 + 7, len(data) * 9 // 10, len(data) - 1):
        cut.write_bytes(data[:length])
        refused(cut, "cut short|cannot be decoded as audio")


@pytest.mark.parametrize("name", CONTAINERS)
def test_zeros_behind_the_end_are_no_matter(tmp_path, name):
    data = encode(tmp_path / "a", name)
    (tmp_path / "a").write_bytes(data + bytes(4096))
    assert seconds(tmp_path / "a") == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize("name", CONTAINERS)
def test_of_two_files_joined_both_are_heard_or_none(tmp_path, name):
    data = encode(tmp_path / "a", name)
    (tmp_path / "a").write_bytes(data + data)
    try:
        heard = seconds(tmp_path / "a")
    except UserError as error:
        assert "joined" in str(error)
        assert name.split()[0].strip(",") in ("wav", "w64", "aiff", "caf", "m4a")
    else:
        assert heard == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_uncompressed_samples_are_those_of_libsndfile_to_the_bit(tmp_path, subtype):
    sf.write(tmp_path / "a.wav", noise(1.0, RATE_HZ), RATE_HZ, subtype=subtype)
    assert np.array_equal(read_audio(tmp_path / "a.wav"), sf.read(tmp_path / "a.wav", dtype="float32")[0])


# ── WAV ──────────────────────────────────────────────────────────────────────────────────────────

RIFF_SIZES = [0, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 32_044, 32_080, 64_088, 20_036, 36]


@pytest.mark.parametrize("riff", RIFF_SIZES)
def test_the_outer_size_of_a_wav_file_does_not_matter_but_its_data_chunk_must_be_whole(tmp_path, riff):
    file = tmp_path / "a.wav"
    file.write_bytes(wav(riff=riff))
    assert seconds(file) == 1.0
    for length in (20_044, 44 + 4096 * 4, 32_043):
        file.write_bytes(wav(riff=riff)[:length])
        refused(file, "cut short: its audio has .* of 32,000 bytes")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFDB, 0x7FFFFFFF, 0x80000000, 0x7FFFF000])
def test_a_streams_header_without_a_size_is_read_to_the_end(tmp_path, size):
    (tmp_path / "a.wav").write_bytes(wav(riff=size, data=size))
    assert seconds(tmp_path / "a.wav") == 1.0


def test_audio_behind_a_data_chunk_that_says_too_little_is_not_dropped(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(data=8_000))
    refused(tmp_path / "a.wav", "24,000 bytes follow its audio")
    tags = b"LIST" + (4).to_bytes(4, "little") + b"INFO" + b"id3 " + (8000).to_bytes(4, "little") + bytes(8000)
    (tmp_path / "a.wav").write_bytes(wav() + tags + b"TAG" + b"x" * 125)
    assert seconds(tmp_path / "a.wav") == 1.0


# ── MP3 ──────────────────────────────────────────────────────────────────────────────────────────


def picture(size):
    body = b"APIC" + size.to_bytes(4, "big") + b"\0\0" + np.random.default_rng(1).bytes(size)
    syncsafe = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + syncsafe + body


APE = b"APETAGEX" + (2000).to_bytes(4, "little") + (8192).to_bytes(4, "little") + bytes(16 + 8192)


@pytest.mark.parametrize("with_header", [True, False])
@pytest.mark.parametrize(
    ("before", "after"), [(b"", b""), (b"", b"TAG" + bytes(125)), (b"", APE), (picture(60_000), b"")]
)
def test_an_mp3_of_variable_rate_is_read_whole_with_tags_and_without_its_header(tmp_path, with_header, before, after):
    x = np.concatenate([noise(2.0, 44_100), np.zeros(88_200), noise(1.0, 44_100)])
    sf.write(tmp_path / "a.mp3", x, 44_100, bitrate_mode="VARIABLE")
    frames = mp3_frames((tmp_path / "a.mp3").read_bytes())
    (tmp_path / "a.mp3").write_bytes(before + b"".join(frames[0 if with_header else 1 :]) + after)
    assert seconds(tmp_path / "a.mp3") == pytest.approx(5.0, abs=0.06)


def test_an_mp3_that_lacks_frames_in_its_middle_is_refused_where_its_header_counts_them(tmp_path):
    encode(tmp_path / "a.mp3", "mp3")
    frames = mp3_frames((tmp_path / "a.mp3").read_bytes())
    (tmp_path / "a.mp3").write_bytes(b"".join(frames[:30] + frames[33:]))
    refused(tmp_path / "a.mp3", r"\d+ of \d+ frames can be decoded")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_an_mp3_of_every_generation_is_read_and_refused_when_cut(tmp_path, rate_hz):
    sf.write(tmp_path / "a.mp3", noise(1.5, rate_hz), rate_hz)
    assert seconds(tmp_path / "a.mp3") == pytest.approx(1.5, abs=0.01)
    (tmp_path / "a.mp3").write_bytes((tmp_path / "a.mp3").read_bytes()[:-5])
    refused(tmp_path / "a.mp3", "cut short")


def test_joined_mp3_files_of_two_rates_are_refused(tmp_path):
    for rate_hz in (22_050, 44_100):
        sf.write(tmp_path / f"{rate_hz}.mp3", noise(1.0, rate_hz), rate_hz)
    (tmp_path / "a.mp3").write_bytes((tmp_path / "22050.mp3").read_bytes() + (tmp_path / "44100.mp3").read_bytes())
    refused(tmp_path / "a.mp3", "form changes after .*22050 Hz, channels: 1; 44100 Hz")


# ── Ogg, FLAC, Matroska ──────────────────────────────────────────────────────────────────────────


def test_an_ogg_page_that_is_missing_is_noticed_and_an_end_without_a_mark_is_told(tmp_path):
    data = encode(tmp_path / "a.ogg", "ogg flac", 6.0)
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"OggS"]
    (tmp_path / "a.ogg").write_bytes(data[: starts[3]] + data[starts[4] :])
    refused(tmp_path / "a.ogg", r"page \d+ is missing")
    (tmp_path / "a.ogg").write_bytes(data[: starts[-1]])
    assert read_clip(tmp_path / "a.ogg").warnings == (
        "its end is not marked: a recording that was broken off, or cut short",
    )


@pytest.mark.parametrize("name", ["flac", "ogg flac", "mka"])
def test_damage_in_the_middle_is_not_concealed(tmp_path, name):
    data = bytearray(encode(tmp_path / "a", name))
    middle = len(data) // 2
    data[middle : middle + 400] = b"\x55" * 400
    (tmp_path / "a").write_bytes(data)
    refused(tmp_path / "a", "damaged|cut short")


def test_a_second_audio_stream_is_told(tmp_path):
    encode(tmp_path / "a.mka", "mka", streams=2)
    clip = read_clip(tmp_path / "a.mka")
    assert clip.warnings == ("holds 2 audio streams; the first is taken",) and len(clip.samples) == 2 * RATE_HZ


# ── What is no audio ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["raw", "pcm", "vox", "gsm", "RAW", "wav", "mp3", "m3u8"])
def test_headerless_audio_and_playlists_are_refused_with_a_way_out_whatever_the_suffix(tmp_path, suffix):
    sf.write(tmp_path / "other.wav", noise(1.0, RATE_HZ), RATE_HZ)
    other = (tmp_path / "other.wav").as_uri().encode()
    contents = (bytes(32_000), b"#EXTM3U\n#EXTINF:1,\n" + other + b"\n", b"ffconcat version 1.0\nfile " + other)
    for content in contents:
        (tmp_path / f"a.{suffix}").write_bytes(content)
        refused(tmp_path / f"a.{suffix}", "cannot be decoded as audio.*expected WAV, FLAC.*convert it")


@pytest.mark.parametrize(
    "head", [b"RIFF", b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypM4A ", b"FORM", b"ID3"]
)
def test_the_first_bytes_of_a_file_alone_end_in_a_message(tmp_path, head):
    (tmp_path / "a.wav").write_bytes(head)
    refused(tmp_path / "a.wav", "cut short|cannot be decoded")


def test_a_film_without_sound_is_refused(tmp_path):
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))
    (tmp_path / "a.mp4").write_bytes(buffer.getvalue())
    refused(tmp_path / "a.mp4", "holds no audio stream")
