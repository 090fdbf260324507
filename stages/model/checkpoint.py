"""Checkpoints that transformers loads and vLLM serves as they are."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3OmniMoeConfig,
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from stages.common.errors import UserError
from stages.common.files import read_json, write_json

POINTER = "pointer.json"


def save_servable(
    model: Qwen3OmniMoeThinkerForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    extractor: WhisperFeatureExtractor,
    path: Path,
) -> None:
    """Write a thinker as a full Qwen3-Omni checkpoint folder (safetensors) without a talker.

    vLLM's registry knows only the full architecture, so the thinker's weights get its prefix and its
    configuration is wrapped; `Thinker.from_pretrained` strips both again.
    """
    model.save_pretrained(path)
    config = Qwen3OmniMoeConfig(thinker_config=model.config.to_dict(), enable_audio_output=False)
    config.architectures = ["Qwen3OmniMoeForConditionalGeneration"]
    _prefix_weights(path)
    config.save_pretrained(path)
    _complete_thinker_config(path / "config.json", model)
    patch = model.config.vision_config.patch_size
    Qwen3OmniMoeProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=patch),
        video_processor=Qwen2VLVideoProcessor(patch_size=patch),
        feature_extractor=extractor,
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(path)


def _prefix_weights(path: Path) -> None:
    file = path / "model.safetensors"
    weights = {f"thinker.{name}": tensor for name, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def _complete_thinker_config(file: Path, model: Qwen3OmniMoeThinkerForConditionalGeneration) -> None:
    # Keys that transformers drops on saving because it does not know them, and vLLM reads.
    config = read_json(file)
    thinker = config["thinker_config"]
    thinker["text_config"]["tie_word_embeddings"] = False
    for key in ("image_size", "apply_vit_abs_pos_embed", "tokens_per_second"):
        thinker["vision_config"][key] = getattr(model.config.vision_config, key)
    write_json(file, config)


def load_thinker(path: Path) -> Qwen3OmniMoeThinkerForConditionalGeneration:
    """Load the thinker of a checkpoint folder in float32, in evaluation mode."""
    if (path / POINTER).exists():
        raise UserError(f"{path} points at a hub model; the transformers backend runs local checkpoints only")
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: no model there; `dvc repro base_model` makes it")
    return Qwen3OmniMoeThinkerForConditionalGeneration.from_pretrained(path, dtype="float32").eval()
