"""Acoustic fingerprints: the same recording is found again after coding, a change of gain, a shift or a cut.

Landmarks are pairs of peaks of the spectrogram: two frequencies and the time between them. A copy shares many of them
at one and the same offset, whatever its gain (Wang, "An Industrial-Strength Audio Search Algorithm", ISMIR 2003).
They propose; whether two recordings are one is for audio_reasoning/tasks/same_sound.py to say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.tasks.audio import RATE_HZ

HOP = 256  # samples between two frames: 16 ms
_WINDOW = 1024  # 64 ms
_FRAMES = 4096  # that are transformed at a time, which bounds memory
_LOW, _BINS = 4, 256  # 62 Hz to 4 kHz, which every codec and line keeps
_AROUND_FRAMES, _AROUND_BINS = 4, 5  # a peak is the highest as far around: some 80 a second
_PARTNERS = 5  # of each peak, the next ones in time
_REACH = 63  # frames from a peak to its partner at most: a second
_FLOOR = 1e-8  # of the highest peak's power: what lies below is the rounding of 16 bits
_VOTES = 5  # landmarks at one offset
_MOST = 10  # recordings that are proposed at most
_PLACES = 1 << 24  # offsets that are told apart, in frames: three days


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of one recording: what each is, and the frame that it begins in."""

    keys: NDArray[np.uint32]
    frames: NDArray[np.int32]


@dataclass(frozen=True)
class Likeness:
    """A recording of the index that shares landmarks with the one asked about, whose second 0 is its `offset_s`."""

    clip: int
    offset_s: float
    votes: int


def landmarks(samples: NDArray[np.float32]) -> Landmarks:
    """The landmarks of 16 kHz mono samples, some 400 a second; none of silence, nor of less than two frames."""
    power = power_spectrogram(samples)
    if not power.size or not power.max():
        return Landmarks(np.zeros(0, np.uint32), np.zeros(0, np.int32))
    around = _highest(_highest(power, _AROUND_FRAMES).T, _AROUND_BINS).T
    frames, bins = np.nonzero((power == around) & (power > _FLOOR * power.max()))
    keys, starts = [], []
    for ahead in range(1, _PARTNERS + 1):
        gap = frames[ahead:] - frames[:-ahead]
        near = (gap > 0) & (gap <= _REACH)
        keys.append(((bins[:-ahead] << 14) | (bins[ahead:] << 6) | gap)[near])
        starts.append(frames[:-ahead][near])
    return Landmarks(np.concatenate(keys).astype(np.uint32), np.concatenate(starts).astype(np.int32))


def power_spectrogram(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power [frames, bins] of 16 kHz samples, 62 Hz to 4 kHz; no frames of less than two."""
    from scipy.fft import rfft  # keeps float32

    if len(samples) < _WINDOW + HOP:
        return np.zeros((0, _BINS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]
    shape, power = np.hanning(_WINDOW).astype(np.float32), np.empty((len(windows), _BINS), np.float32)
    for start in range(0, len(windows), _FRAMES):
        spectrum = rfft(windows[start : start + _FRAMES] * shape, axis=1)[:, _LOW : _LOW + _BINS]
        power[start : start + _FRAMES] = spectrum.real**2 + spectrum.imag**2
    return power


def _highest(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The highest value as far as `reach` rows before and after; several times as fast as SciPy's filter."""
    highest = np.pad(values, ((reach, reach), (0, 0)))
    rows = 1
    while rows < 2 * reach + 1:
        step = min(rows, 2 * reach + 1 - rows)
        highest = np.maximum(highest[:-step], highest[step:])
        rows += step
    return highest


class Index:
    """Recordings to look for, by their landmarks."""

    def __init__(self, recordings: Iterable[Landmarks]) -> None:
        """Number the recordings from 0 in their order."""
        all_of = list(recordings)
        keys = np.concatenate([marks.keys for marks in all_of] or [np.zeros(0, np.uint32)])
        order = np.argsort(keys, kind="stable")
        counts = [len(marks.keys) for marks in all_of]
        self._keys = keys[order]
        self._clips = np.repeat(np.arange(len(all_of), dtype=np.int32), counts)[order]
        self._frames = np.concatenate([marks.frames for marks in all_of] or [np.zeros(0, np.int32)])[order]

    def like(self, marks: Landmarks) -> Iterator[Likeness]:
        """The recordings that share enough landmarks at one offset, those that share most first."""
        first = np.searchsorted(self._keys, marks.keys, "left")
        counts = np.searchsorted(self._keys, marks.keys, "right") - first
        hits = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        offsets = self._frames[hits].astype(np.int64) - np.repeat(marks.frames, counts)
        # One number for a recording and an offset, such that neighbours in offset are neighbours in number.
        places, votes = np.unique(
            self._clips[hits].astype(np.int64) * _PLACES + offsets + _PLACES // 2, return_counts=True
        )
        following = np.zeros_like(votes)
        following[:-1] = np.where(np.diff(places) == 1, votes[1:], 0)  # an offset may fall between two frames
        votes = votes + following
        best: dict[int, Likeness] = {}
        for index in np.argsort(-votes, kind="stable"):
            if votes[index] < _VOTES or len(best) == _MOST:
                break
            clip, offset = divmod(int(places[index]), _PLACES)
            found = Likeness(clip, (offset - _PLACES // 2) * HOP / RATE_HZ, int(votes[index]))
            best.setdefault(clip, found)
        yield from best.values()
