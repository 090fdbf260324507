"""Checkpoints that transformers loads and vLLM serves as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from httpx import HTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.core.hub import reaching_hub
from audio_reasoning.families.qwen3_omni.classes import (
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3OmniMoeConfig,
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

POINTER = "pointer.json"
OTHER_PARTS = ("talker.", "code2wav.")  # of a full checkpoint, beside the thinker


def save_servable(
    model: Qwen3OmniMoeThinkerForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    extractor: WhisperFeatureExtractor,
    path: Path,
    max_shard_size: str = "50GB",
) -> None:
    """Write a thinker as a full Qwen3-Omni checkpoint folder (safetensors) without a talker.

    vLLM's registry knows only the full architecture, so the thinker's weights get its prefix and its
    configuration is wrapped; `Thinker.from_pretrained` strips both again.
    """
    model.save_pretrained(path, max_shard_size=max_shard_size)
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
    """Shard by shard, where there are several: from 50 GB on, transformers writes an index beside them."""
    index = path / SAFE_WEIGHTS_INDEX_NAME
    files = [path / SAFE_WEIGHTS_NAME]
    if index.is_file():
        shards = read_json(index)
        shards["weight_map"] = {f"thinker.{name}": shard for name, shard in shards["weight_map"].items()}
        files = [path / shard for shard in sorted(set(shards["weight_map"].values()))]
    for file in files:
        weights = {f"thinker.{name}": tensor for name, tensor in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
    if index.is_file():
        write_json(index, shards)


def _complete_thinker_config(file: Path, model: Qwen3OmniMoeThinkerForConditionalGeneration) -> None:
    # Keys that transformers drops on saving because it does not know them, and vLLM reads.
    config = read_json(file)
    thinker = config["thinker_config"]
    thinker["text_config"]["tie_word_embeddings"] = False
    for key in ("image_size", "apply_vit_abs_pos_embed", "tokens_per_second"):
        thinker["vision_config"][key] = getattr(model.config.vision_config, key)
    write_json(file, config)


def source(path: Path) -> dict[str, str]:
    """What `from_pretrained` of transformers takes to load from a model folder.

    A folder with `pointer.json` stands for that hub model at that commit, any other for the checkpoint in it.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: no model there; `dvc repro base_model` makes it")
    if not (path / POINTER).exists():
        return {"pretrained_model_name_or_path": str(path)}
    pointer = read_json(path / POINTER)
    return {"pretrained_model_name_or_path": pointer["id"], "revision": pointer["revision"]}


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Tell what goes wrong while something is loaded from `source(path)` in one message."""
    try:
        yield
    except (OSError, ValueError, HTTPError) as error:  # ValueError: a tokenizer's files are missing
        where = source(path)
        name, revision = where["pretrained_model_name_or_path"], where.get("revision")
        if revision is None:
            raise UserError(f"{path}: cannot load this checkpoint ({error}); `dvc repro base_model` makes it") from None
        with reaching_hub(f"{name}@{revision}"):
            raise


def load_thinker(
    path: Path,
    dtype: str = "float32",
    quantization: Literal["none", "nf4"] = "none",
    device: str | None = None,
) -> Qwen3OmniMoeThinkerForConditionalGeneration:
    """Load the thinker of a model folder onto `device` (default: the GPU if there is one), in evaluation mode.

    A hub model's safetensors are streamed onto the device. With `nf4` they are read into main memory and
    quantised on the device layer by layer, so that the device never holds more than the quantised model and a layer.
    Raises UserError for what cannot be loaded, or lacks any of the thinker's weights: transformers would make up
    random ones.
    """
    where = source(path)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    config = _thinker_config(path)
    with loading(path):
        try:
            model, found = Qwen3OmniMoeThinkerForConditionalGeneration.from_pretrained(
                **where,
                config=config,
                dtype=dtype,
                device_map="cpu" if quantization == "nf4" else place,
                use_safetensors=True,
                output_loading_info=True,
            )
        except torch.OutOfMemoryError:
            raise UserError(f"{path}: the model in {dtype} does not fit on {place}; load it in NF4") from None
        except (RuntimeError, SafetensorError) as error:
            raise UserError(
                f"{path}: the weights are damaged, or not of the thinker that config.json describes: {error}"
            ) from None
    _check_complete(path, found)
    if quantization == "nf4":
        from audio_reasoning.families.qwen3_omni.quantization import (
            quantize_nf4,  # bitsandbytes takes seconds to import
        )

        quantize_nf4(model, lambda layer: layer.to(place))
        model.to(place)
    return model.eval()


def _thinker_config(path: Path) -> Qwen3OmniMoeThinkerConfig:
    """Read from the folder, where a pointer has it too: to transformers a missing or foreign one means defaults."""
    kind = read_json(path / "config.json").get("model_type")
    if kind not in (Qwen3OmniMoeConfig.model_type, Qwen3OmniMoeThinkerConfig.model_type):
        raise UserError(f"{path}/config.json: expected a Qwen3-Omni model (qwen3_omni_moe), found model_type {kind!r}")
    return Qwen3OmniMoeThinkerConfig.from_pretrained(path)


def _check_complete(path: Path, found: dict[str, Any]) -> None:
    missing = sorted(found["missing_keys"])
    foreign = sorted(name for name in found["unexpected_keys"] if not name.startswith(OTHER_PARTS))
    if missing or foreign:
        raise UserError(
            f"{path}: the checkpoint does not hold exactly a thinker: {len(missing)} tensors are missing "
            f"({', '.join(missing[:3]) or 'none'}), {len(foreign)} are unknown ({', '.join(foreign[:3]) or 'none'})"
        )
