"""A checkpoint that any test can afford: the tiny thinker with random weights, which answers nonsense at once."""

from pathlib import Path


def save(folder: Path) -> Path:
    """Write the checkpoint to `folder`, and return that."""
    from audio_reasoning.families.qwen3_omni.checkpoint import save_servable  # these import torch
    from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor, new_thinker
    from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
    from tests.test_model import TINY

    tokenizer = train_tokenizer(["HEARD: a bell rings. ANSWER: a bell", "Which sound is heard? - rain"] * 5, 600, 4096)
    save_servable(new_thinker(tokenizer, TINY), tokenizer, new_feature_extractor(), folder)
    return folder
