"""Reading audio: everything becomes 16 kHz mono FLAC, and nothing broken gets in."""

import numpy as np
import pytest
import soundfile as sf

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.audio import HOP, RATE_HZ, flac_duration, read_audio, write_flac


def sine(hz, duration_s, rate_hz):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def test_stereo_at_44100_hz_becomes_mono_at_16000_hz(tmp_path):
    left, right = sine(1000, 1.003, 44_100), sine(3000, 1.003, 44_100)
    sf.write(tmp_path / "cd.wav", np.stack([left, right], axis=1), 44_100)
    x = read_audio(tmp_path / "cd.wav")
    assert x.dtype == np.float32 and x.ndim == 1
    assert len(x) % HOP == 0 and 0 <= len(x) - 1.003 * RATE_HZ < HOP + 1
    spectrum = np.abs(np.fft.rfft(x[:RATE_HZ])) / (RATE_HZ / 2)
    assert spectrum[1000] == pytest.approx(0.25, abs=0.01)
    assert spectrum[3000] == pytest.approx(0.25, abs=0.01)
    spectrum[[1000, 3000]] = 0
    assert spectrum[:7900].max() < 0.02


def test_what_lies_above_the_new_nyquist_frequency_does_not_fold_down(tmp_path):
    sf.write(tmp_path / "high.wav", sine(12_000, 1.0, 44_100), 44_100)
    assert np.abs(read_audio(tmp_path / "high.wav")[800:-800]).max() < 0.005


def test_flac_round_trip_keeps_16_bit_samples(tmp_path):
    x = (np.random.default_rng(0).integers(-32768, 32768, 3200) / 32768).astype(np.float32)
    write_flac(tmp_path / "deep/er/x.flac", x)
    assert np.array_equal(read_audio(tmp_path / "deep/er/x.flac"), x)
    assert flac_duration(tmp_path / "deep/er/x.flac") == pytest.approx(0.2)


def test_padding_is_silence_at_the_end(tmp_path):
    sf.write(tmp_path / "odd.wav", np.full(161, 0.5), RATE_HZ)
    x = read_audio(tmp_path / "odd.wav")
    assert len(x) == 320 and np.allclose(x[:161], 0.5, atol=1e-4) and not x[161:].any()


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_file_cut_short_is_refused_by_name(tmp_path, suffix):
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    sf.write(whole, 0.1 * np.random.default_rng(0).standard_normal(32_000), RATE_HZ)
    read_audio(whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cut\.\w+: .*cut short"):
        read_audio(cut)


def test_a_streamed_wav_whose_header_has_no_size_is_read(tmp_path):
    sf.write(tmp_path / "a.wav", sine(440, 0.5, RATE_HZ), RATE_HZ)
    data = bytearray((tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read_audio(tmp_path / "a.wav")) == RATE_HZ // 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such audio file"), (b"", "is empty"), (b"<html>not found</html>" * 50, "cannot be decoded")],
    ids=["missing", "empty", "not audio"],
)
def test_what_is_not_audio_is_refused_by_name(tmp_path, content, message):
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(UserError, match=f"bad.wav: .*{message}|bad.wav: {message}"):
        read_audio(tmp_path / "bad.wav")


def test_audio_without_a_single_frame_is_refused(tmp_path):
    sf.write(tmp_path / "none.wav", np.zeros(0), RATE_HZ)
    with pytest.raises(UserError, match=r"none\.wav: holds no audio"):
        read_audio(tmp_path / "none.wav")


def test_samples_that_are_not_numbers_are_refused(tmp_path):
    sf.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.0]), RATE_HZ, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: .*not finite"):
        read_audio(tmp_path / "nan.wav")


@pytest.mark.parametrize(("rate_hz", "frames", "channels"), [(44_100, 1600, 1), (RATE_HZ, 1601, 1), (RATE_HZ, 1600, 2)])
def test_a_stored_clip_of_another_form_is_refused(tmp_path, rate_hz, frames, channels):
    sf.write(tmp_path / "x.flac", np.zeros((frames, channels)), rate_hz, subtype="PCM_16")
    with pytest.raises(UserError, match=r"x\.flac: not 16 kHz mono"):
        flac_duration(tmp_path / "x.flac")
