"""Sounds from arithmetic: tones, instruments, voices, surroundings, and what recordings do to them.

Signals are float arrays at 16 kHz, near 0.3 RMS at most. Pitched sounds are additive: one period is
built from harmonic amplitudes by an inverse FFT, then read at a moving phase, which is band-limited
and costs one table look-up a sample.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Signal = NDArray[np.float64]

RATE_HZ = 16_000
_TABLE = 2048
_TOP_HZ = 7_000.0

INSTRUMENTS = ("flute", "organ", "violin", "bell", "drum")
SURROUNDINGS = ("rain", "wind", "engine", "crickets", "birds")
# The first two formants, Hz (Peterson & Barney 1952, men's averages, rounded; "oh" after its diphthong's onset).
VOWELS = {"ah": (730.0, 1090.0), "ee": (270.0, 2290.0), "oo": (300.0, 700.0), "eh": (530.0, 1840.0)}
# Pitch, Hz, and a factor on the formants: shorter vocal tracts resonate higher.
SPEAKERS = {"man": (95.0, 1.0), "woman": (205.0, 1.12), "child": (380.0, 1.3), "whisper": (0.0, 1.1)}
# The middle of each instrument's register, Hz.
_REGISTERS = {"flute": 1050.0, "organ": 260.0, "violin": 520.0, "bell": 1600.0}
# Courses of a pitch over a time from 0 to 1, one high.
SHAPES: dict[str, Callable[[Signal], Signal]] = {
    "level": lambda t: 0 * t,
    "rising": lambda t: t - 0.5,
    "falling": lambda t: 0.5 - t,
    "dipping": lambda t: np.abs(2 * t - 1) - 0.5,
}


def samples(duration_s: float) -> int:
    """A duration as a whole number of samples."""
    return round(duration_s * RATE_HZ)


def silence(duration_s: float) -> Signal:
    """Zeros."""
    return np.zeros(samples(duration_s))


def envelope(x: Signal, attack_s: float = 0.01, release_s: float = 0.01) -> Signal:
    """`x` with linear ramps at both ends, so that it neither starts nor stops with a click."""
    n = np.arange(len(x))
    ramps = np.minimum(n / (attack_s * RATE_HZ), n[::-1] / (release_s * RATE_HZ))
    faded: Signal = x * np.minimum(1.0, ramps)
    return faded


def periodic(harmonics: Sequence[float] | Signal, pitch_hz: float | Signal, duration_s: float) -> Signal:
    """A harmonic sound of RMS 0.2; `pitch_hz` is one number or one for each sample."""
    pitch = np.broadcast_to(pitch_hz, samples(duration_s))
    spectrum = np.zeros(_TABLE // 2 + 1)
    kept = min(len(harmonics), int(_TOP_HZ / float(np.max(pitch_hz))))
    spectrum[1 : kept + 1] = harmonics[:kept]
    # Schroeder's phases (IEEE Trans. Inf. Theory 16, 1970) keep the peaks low.
    table = np.fft.irfft(spectrum * np.exp(-1j * np.pi * np.arange(len(spectrum)) ** 2 / max(kept, 1)))
    table *= 0.2 / rms(table)
    phase = np.cumsum(pitch) * (_TABLE / RATE_HZ)
    return table[phase.astype(np.int64) % _TABLE]


def tone(pitch_hz: float | Signal, duration_s: float) -> Signal:
    """A beep: a sine with short ramps."""
    return envelope(periodic([1.0], pitch_hz, duration_s))


@cache
def _timbre(instrument: str) -> tuple[float, ...]:
    return {
        "flute": (1.0, 0.06),
        "organ": tuple(1.0 / h if h % 2 else 0.0 for h in range(1, 16)),
        "violin": tuple(h**-0.7 for h in range(1, 24)),
    }[instrument]


def note(rng: Generator, instrument: str, semitones: float, duration_s: float) -> Signal:
    """One note of an instrument, `semitones` above the middle of its register; a drum has a pitch of its own."""
    t = np.arange(samples(duration_s)) / RATE_HZ
    if instrument == "drum":
        thump = np.sin(2 * np.pi * (70.0 * t + 4.0 * (1 - np.exp(-t * 30.0)))) * np.exp(-t * 14.0)
        return envelope(0.7 * thump + 0.4 * rng.standard_normal(len(t)) * np.exp(-t * 60.0), 0.002)
    pitch_hz = _REGISTERS[instrument] * 2 ** (semitones / 12)
    if instrument == "bell":
        partials = [np.sin(2 * np.pi * ratio * pitch_hz * t) * a for ratio, a in ((1, 1.0), (2.76, 0.6))]
        return envelope(0.3 * np.sum(partials, axis=0) * np.exp(-t * 6.0), 0.003)
    if instrument == "violin":
        vibrato = 1 + 0.02 * np.sin(2 * np.pi * 6 * t)
        return envelope(periodic(_timbre("violin"), pitch_hz * vibrato, duration_s), 0.05)
    return envelope(periodic(_timbre(instrument), pitch_hz, duration_s), 0.02, 0.03)


def noise(rng: Generator, duration_s: float, low_hz: float = 0.0, high_hz: float = RATE_HZ / 2) -> Signal:
    """Gaussian noise between two frequencies, RMS 0.1, drawn in the frequency domain."""
    n = samples(duration_s)
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    spectrum = np.zeros(len(hz), dtype=complex)
    band = slice(*np.searchsorted(hz, (low_hz, high_hz)))
    width = band.stop - band.start
    spectrum[band] = rng.standard_normal(width) + 1j * rng.standard_normal(width)
    x = np.fft.irfft(spectrum, n)
    return x * (0.1 / rms(x))


def surrounding(rng: Generator, name: str, duration_s: float) -> Signal:
    """Rain, wind, an engine, crickets or birds, RMS near 0.1."""
    t = np.arange(samples(duration_s)) / RATE_HZ
    if name == "rain":
        return noise(rng, duration_s, 1500.0, 7500.0)
    if name == "wind":
        gusts = 1 + 0.3 * np.sin(2 * np.pi * (rng.uniform(0.4, 0.8) * t + rng.random()))
        return noise(rng, duration_s, 60.0, 600.0) * gusts
    if name == "engine":
        pitch = rng.uniform(55.0, 75.0) * (1 + 0.01 * np.sin(2 * np.pi * 3 * t))
        return 0.7 * periodic([h**-0.4 for h in range(1, 30)], pitch, duration_s)
    if name == "crickets":
        pulses = np.clip(np.sin(2 * np.pi * 16 * t), 0, 1) * (np.sin(2 * np.pi * 1.7 * t + 6 * rng.random()) > -0.4)
        return 0.9 * pulses * periodic([1.0], rng.uniform(4300.0, 4800.0), duration_s)
    return sum_at(
        [(at, 0.8 * chirp(rng)) for at in every(0.28, rng.uniform(0.0, 0.15), duration_s)],
        duration_s,
    )


def chirp(rng: Generator) -> Signal:
    """One bird's chirp: a fast glide down, near 3 kHz."""
    return envelope(
        periodic([1.0], np.geomspace(rng.uniform(3300, 3900), rng.uniform(2200, 2600), samples(0.14)), 0.14), 0.02, 0.03
    )


def vowel(rng: Generator, name: str, speaker: str, duration_s: float, bend: float | Signal = 0.0) -> Signal:
    """A vowel in a speaker's voice; `bend` moves its pitch, in semitones, at once or sample by sample."""
    pitch, factor = SPEAKERS[speaker]
    formants = [f * factor for f in VOWELS[name]]
    if speaker == "whisper":
        bands = [noise(rng, duration_s, f * 0.85, f * 1.15) for f in formants]
        return envelope(1.2 * bands[0] + bands[1], 0.03, 0.05)
    pitch_hz = pitch * 2.0 ** (np.asarray(bend) / 12)
    hz = float(np.mean(pitch_hz)) * np.arange(1, 60)
    gains = sum(np.exp(-(((hz - f) / 130.0) ** 2)) * a for f, a in zip(formants, (1.0, 0.6), strict=True))
    return envelope(periodic(gains + 0.02 * (hz < 4500.0), pitch_hz, duration_s), 0.03, 0.05)


def sum_at(parts: Sequence[tuple[float, Signal]], duration_s: float) -> Signal:
    """Each part added from its start, in seconds; what runs past the end is cut."""
    out = silence(duration_s)
    for start_s, part in parts:
        start = samples(start_s)
        cut = part[: len(out) - start]
        out[start : start + len(cut)] += cut
    return out


def every(gap_s: float, start_s: float, end_s: float) -> list[float]:
    """Regular starting times, in seconds."""
    return [float(at) for at in np.arange(start_s, end_s, gap_s)]


def in_turn(parts: Sequence[Signal], gap_s: float, lead_s: float = 0.05) -> Signal:
    """The parts one after another, `gap_s` apart, after `lead_s` of silence."""
    gap = silence(gap_s)
    return np.concatenate([silence(lead_s), *(piece for part in parts for piece in (part, gap))])


def loudness(course: str, n: int, depth: float) -> Signal:
    """A gain over `n` samples, from `depth` to 1: growing, fading, steady or swelling."""
    t = np.linspace(0, 1, n)
    path = {"growing": t, "fading": 1 - t, "steady": np.full(n, 0.7), "swelling": 1 - np.abs(2 * t - 1)}[course]
    return np.asarray(depth ** (1 - path))


def filtered(x: Signal, low_hz: float, high_hz: float) -> Signal:
    """Only what lies between two frequencies, with edges an octave-eighth wide."""
    hz = np.maximum(np.fft.rfftfreq(len(x), 1 / RATE_HZ), 1e-3)
    gain = 1 / (1 + (low_hz / hz) ** 12) / (1 + (hz / high_hz) ** 12)
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x))


def reverberant(rng: Generator, x: Signal, decay_s: float, wet: float) -> Signal:
    """`x` in a room whose echoes fall by 60 dB in `decay_s`."""
    n = samples(decay_s)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail *= wet / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    size = 1 << int(len(x) + n - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]


def rms(x: Signal) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(x**2)))
