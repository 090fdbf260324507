"""A checkpoint that any test can afford: the tiny thinker with random weights, which answers nonsense at once."""

from pathlib import Path


def save(folder: Path) -> Path:
    """Write the checkpoint to `folder`, and return that."""
    from stages.model.checkpoint import save_servable  # these import torch
    from stages.model.tiny import new_feature_extractor, new_thinker
    from stages.model.tokenizer import train_tokenizer
    from tests.test_model import TINY

    tokenizer = train_tokenizer(["HEARD: a bell rings. ANSWER: a bell", "Which sound is heard? - rain"] * 5, 600, 4096)
    save_servable(new_thinker(tokenizer, TINY), tokenizer, new_feature_extractor(), folder)
    return folder
