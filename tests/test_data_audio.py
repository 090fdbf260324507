"""Reading audio: everything becomes 16 kHz mono FLAC, and nothing broken gets in."""

import re

import numpy as np
import pytest
import soundfile as sf
import soxr

from audio_reasoning.core.errors import UserError
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor
from audio_reasoning.tasks.audio import HOP, RATE_HZ, flac_duration, read_audio, read_clip, write_flac


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


# ── Levels and lengths: what a model could not hear is refused, what is odd is told ───────────────


def of(left, right, subtype="FLOAT"):
    return np.stack([left, right], axis=1), subtype


TONE, OTHER = sine(440, 1.0, RATE_HZ), sine(900, 1.0, RATE_HZ)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (of(TONE * 32767, TONE * 32767), "reach 16384, where 1 is full scale"),
        (of(TONE * 255, 0 * TONE, "DOUBLE"), "reach 128, where 1 is full scale"),
        (of(TONE, -TONE), "channels cancel out"),
        (of(TONE, -0.99 * TONE, "PCM_16"), "channels cancel out"),
        (of(TONE[:3], TONE[:3]), r"holds 3 samples, 0\.19 ms"),
        (of(TONE[:159], TONE[:159]), "holds 159 samples"),
    ],
)
def test_what_no_model_could_hear_is_refused(tmp_path, samples, message):
    sf.write(tmp_path / "a.wav", samples[0], RATE_HZ, subtype=samples[1])
    with pytest.raises(UserError, match=rf"a\.wav: .*{message}"):
        read_clip(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (of(TONE, TONE), None),
        (of(TONE, OTHER), None),
        (of(TONE, 0 * TONE), None),
        (of(2.1 * TONE, 2.1 * TONE), None),  # what a codec overshoots
        (of(4 * TONE, 4 * TONE), "reach 2.00, where 1 is full scale: 6[0-9].* of them are clipped"),
        (of(TONE, -0.9 * TONE), "channels nearly cancel out: averaged, it is 2[0-9] dB quieter"),
        (of(0 * TONE, 0 * TONE), "holds silence only"),
        (of(TONE[:160], TONE[:160]), "lasts 10 ms only"),
    ],
)
def test_what_is_odd_is_told(tmp_path, samples, message):
    sf.write(tmp_path / "a.wav", samples[0], RATE_HZ, subtype=samples[1])
    warnings = read_clip(tmp_path / "a.wav").warnings
    assert len(warnings) == (message is not None)
    assert message is None or re.search(message, warnings[0])


@pytest.mark.parametrize(("rate_hz", "frames", "channels"), [(44_100, 1600, 1), (RATE_HZ, 1601, 1), (RATE_HZ, 1600, 2)])
def test_a_stored_clip_of_another_form_is_refused(tmp_path, rate_hz, frames, channels):
    sf.write(tmp_path / "x.flac", np.zeros((frames, channels)), rate_hz, subtype="PCM_16")
    with pytest.raises(UserError, match=r"x\.flac: not 16 kHz mono"):
        flac_duration(tmp_path / "x.flac")


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_the_encoder_hears_the_transcoded_file_as_it_would_the_original(tmp_path, rate_hz):
    """Log-mel features differ by 0.02 at most; in the eight highest bands by 0.15, and by 0.002 in the mean of all.

    There, the resampler's finest quality, which they are held against, keeps a little more.
    """
    t = np.arange(2 * rate_hz) / rate_hz
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(t))
    original = 0.3 * np.sin(2 * np.pi * 440 * t) * np.exp(-t) + noise
    sf.write(tmp_path / "original.wav", original, rate_hz, subtype="FLOAT")
    direct = soxr.resample(original, rate_hz, RATE_HZ, quality="VHQ").astype(np.float32)[: 2 * RATE_HZ]
    write_flac(tmp_path / "transcoded.flac", read_audio(tmp_path / "original.wav"))
    transcoded, _ = sf.read(tmp_path / "transcoded.flac", dtype="float32")
    extract = new_feature_extractor()
    heard = [extract(x, sampling_rate=RATE_HZ, return_tensors="np").input_features[0] for x in (direct, transcoded)]
    apart = np.abs(heard[0] - heard[1])[:, : 2 * RATE_HZ // HOP]
    assert apart.max() < 0.15 and apart.mean() < 0.002 and apart[:-8].max() < 0.02
