"""How alike two recordings are, sample by sample, where they fit together best.

Their coherence is the height of the cross-correlation with the phase transform (Knapp and Carter, "The Generalized
Correlation Method for Estimation of Time Delay", 1976): all frequencies count alike, so that two recordings of the
same notes are told apart by what sounds between them. The distance of their spectra tells apart what has the notes,
and not their loudness, in common; a gain on the whole counts for nothing. Both are taken below 4 kHz: above, AAC and
others put noise of their own.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.tasks.audio import RATE_HZ
from audio_reasoning.tasks.fingerprint import power_spectrogram

Samples = NDArray[np.float32]
_LOW_HZ, _HIGH_HZ = 60, 4_000
_BLOCK = RATE_HZ // 2  # samples that are compared at a time: what a coder does to one moment stays there
_NEAR = 4  # samples that a block may lie off by: coders and resamplers delay
_SLACK = 512  # samples that the landmarks' offset may be off by: two of their frames
_FADE = 1024  # samples: a clip's sharp edge has all frequencies, which would be taken for its sound
_LONG = 120 * RATE_HZ  # both together; of more, the middle minute is compared as the landmarks lay them over each other
_BANDS = 16
_SILENT = 1e-7  # power that is added to a band's: two silences are alike


@dataclass(frozen=True)
class Pair:
    """Two recordings laid over each other: `a` and `b` are what is compared, as long as each other.

    `shared_s` is what they have in common of time, in seconds, `overlap` the same as a share of the shorter recording.
    """

    a: Samples
    b: Samples
    shared_s: float
    overlap: float


def laid_over(a: Samples, b: Samples, offset_s: float) -> Pair:
    """Lay 16 kHz recordings over each other as they fit best; `offset_s` is where a's beginning lies in b, about."""
    shorter = min(len(a), len(b))
    if len(a) + len(b) <= _LONG:
        return min((_pair(a, b, lag, shorter) for lag in _best_lags(a, b, offset_s)), key=distance_db)
    whole = _pair(a, b, round(offset_s * RATE_HZ), shorter)
    start = max(0, len(whole.a) - _LONG // 2) // 2
    middle = slice(start, start + _LONG // 2)
    closest = laid_over(whole.a[middle], whole.b[middle], 0.0)
    return replace(whole, a=closest.a, b=closest.b)


def _pair(a: Samples, b: Samples, lag: int, shorter: int) -> Pair:
    """What both have of the time when both sound, where a begins `lag` samples into b."""
    a, b = a[max(0, -lag) :], b[max(0, lag) :]
    length = min(len(a), len(b))
    return Pair(a[:length], b[:length], length / RATE_HZ, length / shorter)


def _best_lags(a: Samples, b: Samples, offset_s: float) -> tuple[int, int]:
    """Where a fits best in b: anywhere, and near the offset, since the best may be a period of a steady sound off."""
    correlation = _phase_correlation(_faded(b), _faded(a))
    anywhere = int(np.argmax(correlation))
    around = np.arange(-_SLACK, _SLACK + 1) + round(offset_s * RATE_HZ)
    near = int(around[np.argmax(correlation.take(around, mode="wrap"))])
    return (anywhere if anywhere < len(b) else anywhere - len(correlation)), near


def coherence(pair: Pair) -> float:
    """1 for the same samples, about 0 for unrelated sounds; 0 too for less than half a second in common.

    Each half second is taken as it is and faded in and out, and the mean of both counts: as it is, a loud note fills
    the frequencies beside it and hides a coder's noise there; faded, it does not hide another recording's either.
    """
    heights = []
    for start in range(0, len(pair.a) - _BLOCK + 1, _BLOCK // 2):
        for shape in (np.float32(1), np.hanning(_BLOCK).astype(np.float32)):
            block = slice(start, start + _BLOCK)
            correlation = _phase_correlation(pair.a[block] * shape, pair.b[block] * shape)
            heights.append(max(correlation[: _NEAR + 1].max(), correlation[-_NEAR:].max()))
    return float(np.mean(heights)) if heights else 0.0


def distance_db(pair: Pair) -> float:
    """The mean difference of the spectra over bands and frames, less that of the whole; infinite for no two frames."""
    difference = _bands_db(pair.a) - _bands_db(pair.b)
    return float(np.mean(np.abs(difference - np.median(difference)))) if difference.size else np.inf


def _phase_correlation(a: Samples, b: Samples) -> Samples:
    """How alike a and b are, where b is shifted by each number of samples (from the end: by negative ones)."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = next_fast_len(len(a) + len(b), real=True)
    low, high = (round(hz * length / RATE_HZ) for hz in (_LOW_HZ, _HIGH_HZ))
    cross = rfft(a, length) * np.conj(rfft(b, length))
    cross[:low] = cross[high:] = 0
    size = np.abs(cross)
    cross /= np.where(size > 0, size, 1)
    return np.asarray(irfft(cross, length) * (length / 2 / (high - low)), np.float32)


def _faded(samples: Samples) -> Samples:
    length = min(_FADE, len(samples) // 2)
    rise = np.hanning(2 * length)[:length].astype(np.float32)
    faded = samples.copy()
    faded[:length] *= rise
    faded[len(faded) - length :] *= rise[::-1]
    return faded


def _bands_db(samples: Samples) -> Samples:
    power = power_spectrogram(samples)
    edges = np.geomspace(_BANDS // 4, power.shape[1], _BANDS + 1).astype(int) - _BANDS // 4
    return np.asarray(10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + _SILENT), np.float32)
