"""What a model family decides, in one object, and how the family of a model folder is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from audio_reasoning.core.plugins import load_object

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

FAMILIES = {"qwen3_omni_moe": "audio_reasoning.families.qwen3_omni.family:FAMILY"}  # by config.json's model_type


class Shown(NamedTuple):
    """A worked example before the question: a user's text, features of its clip or None, and the response to it."""

    user: str
    features: "torch.Tensor | None"
    response: str


@dataclass(frozen=True)
class AdapterNames:
    """What LoRA adapts: layers by the ends of their names, fused parameters by theirs, and where it never may."""

    layers: Sequence[str]
    parameters: Sequence[str]
    excluded: str  # a regular expression over module names


class Processor(Protocol):
    """Audio and text to model inputs, and token ids to text."""

    tokenizer: Any
    extractor: Any
    audio_token_id: int

    def audio_tokens(self, samples: int) -> int:
        """How many tokens a clip of so many 16 kHz samples becomes."""

    def features(self, samples: "NDArray[np.float32]") -> "torch.Tensor":
        """Features [bins, frames] of one 16 kHz mono clip."""

    def encode(
        self, system: str, user: str, features: "torch.Tensor | None", demonstrations: Sequence[Shown] = ()
    ) -> Any:
        """Token ids (`ids`) and `features` of one prompt; None: no audio. `demonstrations` come before the question."""

    def batch(
        self, prompts: Sequence[Any], completions: Sequence[list[int]] | None = None
    ) -> "dict[str, torch.Tensor]":
        """The inputs of one forward pass: prompts padded to the left; with completions to the right, and `labels`."""


class Family(Protocol):
    """A model family. Nothing here imports torch before `load`, `processor` or `save` is called."""

    name: str

    def audio_tokens(self, samples: int) -> int:
        """How many tokens a clip of so many 16 kHz samples becomes.

        Raises ValueError for a length that the family does not hear whole.
        """

    def audio_token_id(self, config: Mapping[str, Any]) -> int:
        """The id of the placeholder of audio in a prompt, from the model's config.json."""

    def adapter_names(self, targets: str) -> AdapterNames:
        """What `attention`, `experts` or `all` means in this family; ValueError for what it has not."""

    def server_flags(self, clips: int) -> list[str]:
        """What vLLM is told to serve the family with; requests have up to so many `clips`."""

    def load(self, folder: Path, dtype: str = "float32", quantization: str = "none", device: str | None = None) -> Any:
        """The model of a folder, in evaluation mode; its language model projects to the vocabulary by `lm_head`."""

    def processor(self, folder: Path) -> Processor:
        """The processor of a model folder."""

    def save(self, model: Any, processor: Processor, folder: Path) -> None:
        """Write a checkpoint that transformers loads and vLLM serves."""


def family_of(folder: Path) -> Family:
    """The family of the model in a folder: the one that its `family.json` names, or that of its config.json's type.

    Raises UserError for a model of no family that is known here.
    """
    named = folder / "family.json"
    if named.is_file():
        family: Family = load_object(read_json(named)["family"], str(named))
        return family
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder}: no model there; `dvc repro base_model` makes it")
    kind = read_json(config).get("model_type")
    if kind not in FAMILIES:
        raise UserError(
            f"{config}: no family for model_type {kind!r}; known are {', '.join(sorted(FAMILIES))}; a "
            "family.json in the folder can name another, as module:object"
        )
    family = load_object(FAMILIES[kind], str(config))
    return family
