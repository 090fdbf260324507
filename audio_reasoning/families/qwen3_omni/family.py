"""The family Qwen3-Omni: its thinker, which hears and writes (Xu et al. 2025, arXiv 2509.17765)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio_reasoning.families.family import AdapterNames, Processor
from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
TOWERS = r".*(audio_tower|visual).*"


class Qwen3Omni:
    """See `audio_reasoning.families.family.Family`."""

    name = "qwen3_omni"

    def audio_tokens(self, samples: int) -> int:
        """13 tokens a second, whatever the length."""
        return audio_token_count(samples)

    def audio_token_id(self, config: Mapping[str, Any]) -> int:
        """That of `<|audio_pad|>`."""
        return int(config["thinker_config"]["audio_token_id"])

    def adapter_names(self, targets: str) -> AdapterNames:
        """Attention of the language model; its experts, which are fused parameters; or both."""
        layers = ATTENTION if targets != "experts" else ()
        return AdapterNames(layers, EXPERTS if targets != "attention" else (), TOWERS)

    def server_flags(self, clips: int) -> list[str]:
        """Clips alone, neither image nor video."""
        return ["--limit-mm-per-prompt", json.dumps({"audio": clips, "image": 0, "video": 0})]

    def load(self, folder: Path, dtype: str = "float32", quantization: str = "none", device: str | None = None) -> Any:
        """The thinker; see `load_thinker`."""
        from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker

        return load_thinker(folder, dtype, quantization, device)  # type: ignore[arg-type]

    def processor(self, folder: Path) -> Processor:
        """Bit-identical to the official one, and never truncates."""
        from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor

        return AudioTextProcessor.from_checkpoint(folder)

    def save(self, model: Any, processor: Processor, folder: Path) -> None:
        """A full checkpoint without a talker."""
        from audio_reasoning.families.qwen3_omni.checkpoint import save_servable

        save_servable(model, processor.tokenizer, processor.extractor, folder)


FAMILY = Qwen3Omni()
