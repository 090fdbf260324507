"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685): made, attached, and never misattached in silence.

PEFT 0.21 turns a regular expression in `target_modules` into bare layer names for Qwen3-Omni, which then also match
the audio tower; experts are fused parameters that module names do not reach at all; and what matches
nothing is a warning. So what was adapted is compared with what was asked for, matrix by matrix.
"""

import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from audio_reasoning.core import torchvision_ops as torchvision_ops  # before PEFT, which imports transformers
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.core.models import CONFIG, WEIGHTS
from audio_reasoning.families.deltas import not_of_this_model, read_adapter
from audio_reasoning.families.family import AdapterNames
from audio_reasoning.families.params import Lora

from peft import LoraConfig, PeftModel, get_peft_model  # isort: skip
from peft.tuners.lora import LoraLayer  # isort: skip


@dataclass(frozen=True)
class Inventory:
    """What an adapter adapts: full names of matrices, and how many of its parameters there are and train."""

    modules: tuple[str, ...]
    parameters: int
    trainable: int


def adapt(model: Any, lora: Lora, names: AdapterNames, seed: int) -> PeftModel:
    """Put a new adapter on `model`, in place; it changes nothing yet. The same for the same seed."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,  # adapters of experts cannot have any
        bias="none",
        target_modules=list(names.layers),
        target_parameters=list(names.parameters) or None,
        exclude_modules=names.excluded,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rank_pattern.*")  # spurious for fused experts
        adapted = get_peft_model(model, config)
    check_inventory(adapted, lora, names)
    return adapted


def attach(model: Any, adapter: Path, trainable: bool = False) -> PeftModel:
    """Put the saved adapter in the folder `adapter` on `model`, in place.

    Raises UserError when it is not an adapter, or its matrices are not those of this model.
    """
    factors, config = read_adapter(adapter)
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter), is_trainable=trainable)
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{adapter}: the adapter does not fit this model: {str(error).splitlines()[0]}") from None
    names = set(factors)
    expected = {name.replace(".default", "") for name, _ in adapted.named_parameters() if "lora_" in name}
    if names != expected:
        raise not_of_this_model(adapter, sorted(names - expected), sorted(expected - names), config)
    return adapted


def inventory(model: PeftModel) -> Inventory:
    """What is adapted, read off the model itself."""
    modules = []
    for name, module in model.get_base_model().named_modules():
        if isinstance(module, LoraLayer):
            # A fused parameter's layer knows which parameter it wraps; two of them are nested in one module.
            parameter = getattr(module, "parameter_name", None)
            modules.append(f"{name.replace('.base_layer', '')}.{parameter}" if parameter else name)
    counts = [(p.numel(), p.requires_grad) for n, p in model.named_parameters() if "lora_" in n]
    others = [n for n, p in model.named_parameters() if p.requires_grad and "lora_" not in n]
    assert not others, f"parameters outside the adapter would be trained: {others[:3]}"
    return Inventory(tuple(sorted(modules)), sum(n for n, _ in counts), sum(n for n, trains in counts if trains))


def expected_inventory(model: Any, lora: Lora, names: AdapterNames) -> Inventory:
    """What adapting `model` as asked must give, by the shapes of its own layers and parameters."""
    sizes: dict[str, int] = {}
    for name, module in model.named_modules():
        name = name.replace(".base_layer", "")
        if name.rpartition(".")[2] in names.layers and not re.fullmatch(names.excluded, name):
            sizes[name] = lora.rank * (module.in_features + module.out_features)
    for name, parameter in model.named_parameters():
        name = name.replace(".base_layer", "")
        if name.endswith(tuple(names.parameters)) and not re.fullmatch(names.excluded, name):
            experts, outputs, inputs = parameter.shape
            sizes[name] = experts * lora.rank * (outputs + inputs)
    total = sum(sizes.values())
    return Inventory(tuple(sorted(sizes)), total, total)


def check_inventory(model: PeftModel, lora: Lora, names: AdapterNames) -> Inventory:
    """See that exactly what was asked for is adapted, and all of it trains; return it. Raises UserError if not."""
    actual, wanted = inventory(model), expected_inventory(model.get_base_model(), lora, names)
    if actual != wanted or not actual.modules:
        raise UserError(
            f"the adapter is not what train.lora asks for: {actual.trainable:,} of {actual.parameters:,} "
            f"parameters in {len(actual.modules)} matrices train, expected {wanted.trainable:,} in "
            f"{len(wanted.modules)}; differing: "
            f"{', '.join(sorted(set(actual.modules) ^ set(wanted.modules))[:4]) or 'only their sizes'}"
        )
    return actual


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write an adapter to an empty folder, byte for byte the same for the same weights."""
    model.save_pretrained(str(folder), save_embedding_layers=False)  # "auto" looks at the hub whether it should
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card
    config = read_json(folder / CONFIG)
    for key in ("target_modules", "target_parameters"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])  # PEFT keeps sets, whose order changes from run to run
    write_json(folder / CONFIG, config)


def scale_adapter(source: Path, target: Path, scale: float) -> None:
    """Copy an adapter into an empty folder with its effect multiplied by `scale`."""
    weights = load_file(source / WEIGHTS)
    scaled = {name: tensor * scale if "lora_B" in name else tensor for name, tensor in weights.items()}
    save_file(scaled, target / WEIGHTS, metadata={"format": "pt"})
    shutil.copyfile(source / CONFIG, target / CONFIG)
