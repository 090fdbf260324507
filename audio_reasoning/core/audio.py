"""What every clip is here: 16 kHz mono, a whole number of 10 ms frames."""

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160  # a frame each 10 ms


def samples_of(duration_s: float) -> int:
    """The number of samples of a clip of that length."""
    return round(duration_s * SAMPLE_RATE_HZ)
