"""How loud the channels of a file are, measured while they are mixed: what no model could hear is refused."""

import numpy as np
from numpy.typing import NDArray

from audio_reasoning.core.errors import UserError

# Full scale is 1. Lossy codecs overshoot it a little; mixes by more, integers stored as floats by a thousandfold.
_OVERSHOOT, _ANOTHER_SCALE = 1.1, 8.0
_CLIPPED_SHARE = 0.01
_LEAST_MS = 10  # one mel frame
_SHORT_S = 0.1
# How much quieter than its channels a mono mix may be: uncorrelated channels lose 3 dB.
_LOST_DB, _QUIETER_DB = 40.0, 20.0
_IN_ORDER = 8  # channels from which on NumPy's sum depends on how they lie in memory


class Levels:
    """What is known of a file from the blocks that were mixed so far."""

    def __init__(self) -> None:
        self._frames = self._values = self._clipped = 0
        self._peak = 0.0
        self._finite = True
        self._power = self._mixed_power = 0.0

    def mixed(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean of the channels of a block [frames, channels]."""
        if x.shape[1] < _IN_ORDER:
            x = np.asfortranarray(x)  # ten times as fast
        mono: NDArray[np.float32] = x.mean(axis=1)
        low, high = float(x.min()), float(x.max())
        self._finite &= bool(np.isfinite(low) and np.isfinite(high))  # NaN is the minimum of what holds it
        self._peak = max(self._peak, -low, high)
        self._frames += len(x)
        self._values += x.size
        self._power += _power(x.reshape(-1, order="A"))
        self._mixed_power += _power(mono)
        if high > _OVERSHOOT or low < -_OVERSHOOT:
            self._clipped += int((np.abs(mono) > _OVERSHOOT).sum())
        return mono

    def checked(self, rate_hz: int) -> list[str]:
        """What is odd; UserError for what no model could hear."""
        if not self._finite:
            raise UserError("holds samples that are not finite numbers")
        if self._peak > _ANOTHER_SCALE:
            raise UserError(
                f"its samples reach {self._peak:.0f}, where 1 is full scale: perhaps integers stored as floats; "
                "divide them (16-bit values by 32768) and write it again"
            )
        frames = self._frames
        if 1000 * frames < _LEAST_MS * rate_hz:
            raise UserError(f"holds {frames} samples, {1000 * frames / rate_hz:.2g} ms; {_LEAST_MS} ms is the least")
        warnings = []
        if frames < _SHORT_S * rate_hz:
            warnings.append(f"lasts {1000 * frames / rate_hz:.0f} ms only")
        loud, mixed = np.sqrt(self._power / self._values), np.sqrt(self._mixed_power / frames)
        if self._peak == 0:
            warnings.append("holds silence only")
        elif mixed < loud * 10 ** (-_LOST_DB / 20):
            raise UserError("its channels cancel out when they are averaged; keep one of them, or invert one")
        elif mixed < loud * 10 ** (-_QUIETER_DB / 20):
            quieter_db = 20 * np.log10(loud / mixed)
            warnings.append(f"its channels nearly cancel out: averaged, it is {quieter_db:.0f} dB quieter")
        clipped = self._clipped / frames
        if clipped > _CLIPPED_SHARE:
            warnings.append(
                f"its samples reach {self._peak:.2f}, where 1 is full scale: {clipped:.1%} of them are clipped"
            )
        return warnings


def _power(x: NDArray[np.float32]) -> float:
    """The sum of squares of a block: blocks are added in 64 bits, so that it is as exact for a file of any length."""
    return float(np.einsum("i,i->", x, x))
