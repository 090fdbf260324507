"""How many tokens a clip becomes, without loading a model."""

from audio_reasoning.core.audio import HOP_SAMPLES

WINDOW_FRAMES = 100  # the encoder's convolutions run on windows of 2 * n_window frames


def audio_token_count(samples: int) -> int:
    """The number of audio tokens of a 16 kHz mono clip of `samples` samples, a multiple of 160.

    Each full window of 100 frames gives 13 tokens; a shorter last one is halved three times by strided
    convolutions. Equal to `_get_feat_extract_output_lengths` of transformers' Qwen3-Omni processor.

    >>> audio_token_count(16_000 * 20)
    260
    """
    if samples % HOP_SAMPLES:
        raise ValueError(f"{samples} samples is not a whole number of 10 ms frames")
    windows, rest = divmod(samples // HOP_SAMPLES, WINDOW_FRAMES)
    for _ in range(3):
        rest = (rest - 1) // 2 + 1
    return windows * 13 + rest
