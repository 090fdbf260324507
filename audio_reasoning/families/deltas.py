"""What an adapter adds to each matrix of a checkpoint on disk: B·A times a scale (Hu et al. 2021, arXiv 2106.09685).

Without the model, and so without its memory. Names are translated from the model's to those of the files: transformers
fuses all experts of a layer into parameters of three dimensions, and checkpoints hold each expert's matrices apart.
The products are computed as PEFT 0.21 does (`tuners/lora/layer.py`, `get_delta_weight`), bit for bit.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from audio_reasoning.core.models import CONFIG, WEIGHTS
from audio_reasoning.families.shards import Stored, stored_in

THINKER = "thinker."  # before all names of a full checkpoint's thinker; a talker has the same names behind its own
FUSED = {"gate_up_proj": ("gate_proj", "up_proj")}  # one below the other; others are not fused of several
_NAME = re.compile(r"base_model\.model\.(.+?)((?:\.base_layer)*)\.lora_([AB])\.weight")
_EXPERT = re.compile(r".*\.experts\.\d+\.[^.]+\.weight")
_PLAIN = ("alpha_pattern", "rank_pattern", "use_dora", "lora_bias", "modules_to_save", "fan_in_fan_out", "use_qalora")


class Factors:
    """An adapter's matrices, of which the last few are kept: all experts of a layer share four."""

    def __init__(self) -> None:
        self.load = lru_cache(maxsize=4)(Stored.load)


@dataclass(frozen=True)
class Delta:
    """The change of one matrix [outputs, inputs]: rows of B·A times `scale`, of one expert out of `experts`."""

    a: Stored  # [experts * rank, inputs]
    b: Stored  # [outputs of all that is fused, rank * experts]
    scale: float
    rank: int
    factors: Factors
    experts: int = 1
    expert: int = 0
    rows: tuple[int, int | None] = (0, None)  # from, and up to

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        return len(range(*slice(*self.rows).indices(self.b.shape[0]))), self.a.shape[-1]

    @property
    def inner(self) -> int:
        """What the two matrices must have in common."""
        return self.rank * self.experts

    def add_to(self, weights: torch.Tensor) -> torch.Tensor:
        """The weights with the change: computed in float32, and rounded once to their own type.

        Raises ValueError where that gives numbers that are none.
        """
        a, b = self.factors.load(self.a).float(), self.factors.load(self.b).float()
        if self.experts > 1:
            a = a.reshape(self.experts, -1, a.shape[-1])[self.expert]
            b = b.reshape(b.shape[0], -1, self.experts)[:, :, self.expert]
        merged = (weights.float() + (b[slice(*self.rows)] @ a) * self.scale).to(weights.dtype)
        if not torch.isfinite(merged).all():
            raise ValueError("there are NaN or infinite numbers among the merged weights; its training diverged")
        return merged


def read_adapter(adapter: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """The tensors of an adapter's folder by name, and its configuration.

    Raises UserError when it is none, or damaged.
    """
    if not (adapter / CONFIG).is_file() or not (adapter / WEIGHTS).is_file():
        raise UserError(f"{adapter}: not an adapter ({CONFIG} and {WEIGHTS}); `dvc repro` trains it")
    config = read_json(adapter / CONFIG)
    if not isinstance(config, dict):
        raise UserError(f"{adapter / CONFIG}: expected an object; `dvc repro` trains it")
    return stored_in(adapter / WEIGHTS), config


def deltas(adapter: Path, tensors: Mapping[str, Stored]) -> dict[str, Delta]:
    """What the adapter in a folder changes of a checkpoint's `tensors`, by their names there.

    Raises UserError where its matrices are not exactly those of this checkpoint that its configuration says, or it is
    of a kind of which more than B·A would have to be added.
    """
    factors, config = read_adapter(adapter)
    if other := [key for key in _PLAIN if config.get(key)]:
        raise UserError(f"{adapter / CONFIG}: {other[0]} is set, and such adapters are not merged here")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
        raise UserError(f"{adapter / CONFIG}: r and lora_alpha must be numbers; `dvc repro` trains the adapter")
    scale = alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
    prefix = THINKER if any(name.startswith(THINKER) for name in tensors) else ""
    pairs: dict[tuple[str, int], dict[str, Stored]] = {}
    for name, stored in factors.items():
        if not (parts := _NAME.fullmatch(name)):
            raise UserError(f"{adapter / WEIGHTS}: {name} is no matrix of a LoRA adapter")
        pairs.setdefault((prefix + parts[1], parts[2].count(".")), {})[parts[3]] = stored
    found: dict[str, Delta] = {}
    kept = Factors()
    for (module, wrapped), pair in pairs.items():
        if len(pair) < 2:
            raise UserError(f"{adapter / WEIGHTS}: {module} has only one of its two matrices; `dvc repro` trains it")
        whole = Delta(pair["A"], pair["B"], scale, rank, kept)
        if f"{module}.weight" in tensors and not wrapped:
            found[f"{module}.weight"] = whole
        else:
            found |= _of_parameter(module, whole, config.get("target_parameters") or (), tensors)
    extra = sorted(found.keys() - tensors.keys())
    missing = sorted(_targets(config, tensors, prefix) - found.keys())
    if extra or missing:
        raise not_of_this_model(adapter, extra, missing, config)
    for name, delta in found.items():
        if not _fits(delta, tensors[name]):
            raise UserError(
                f"{adapter}: the adapter does not fit this model: {name} is {list(tensors[name].shape)} there, "
                f"and {list(delta.shape)} in the adapter (matrices {list(delta.a.shape)} and {list(delta.b.shape)}, "
                f"rank {rank}); it was trained on another base"
            )
    return found


def not_of_this_model(adapter: Path, extra: list[str], missing: list[str], config: Mapping[str, Any]) -> UserError:
    """That an adapter has other matrices than a model: those that the model lacks, and those that the adapter lacks."""
    return UserError(
        f"{adapter}: the adapter's matrices are not this model's: {len(extra)} that the model lacks "
        f"({', '.join(extra[:2]) or 'none'}), {len(missing)} that it lacks ({', '.join(missing[:2]) or 'none'}); "
        f"it was trained with targets {sorted(config.get('target_modules') or [])} on another architecture"
    )


def _of_parameter(module: str, whole: Delta, targets: Iterable[str], tensors: Mapping[str, Stored]) -> dict[str, Delta]:
    """The changes by the one of a module's fused parameters that a pair of matrices, as one Delta, belongs to.

    PEFT wraps a module once for each, in the order in which the model's code creates them, and names a pair by how many
    wrappers are around it. No file says that order, so the parameter is known by its shape: of experts, no two have the
    same. Of the wrong shapes any will do, for the message about them.
    """
    held = [
        name
        for holder, _, name in (target.rpartition(".") for target in sorted(targets))
        if f".{module}.".endswith(f".{holder}.")
    ]
    choices = [_of_experts(module, name, whole) for name in held]
    choices.sort(key=lambda choice: not all(_fits(delta, tensors.get(name)) for name, delta in choice.items()))
    return choices[0] if choices else {f"{module}.weight": whole}


def _of_experts(module: str, fused: str, whole: Delta) -> dict[str, Delta]:
    experts, parts = whole.a.shape[0] // whole.rank, FUSED.get(fused, (fused,))
    rows = whole.b.shape[0] // len(parts)
    return {
        f"{module}.{expert}.{part}.weight": replace(
            whole, experts=experts, expert=expert, rows=(rows * place, rows * (place + 1))
        )
        for expert in range(experts)
        for place, part in enumerate(parts)
    }


def _targets(config: Mapping[str, Any], tensors: Mapping[str, Stored], prefix: str) -> set[str]:
    """The names of all matrices that an adapter with this configuration has on a checkpoint with these tensors."""
    layers, excluded = config.get("target_modules") or (), config.get("exclude_modules") or ()
    fused = [
        re.escape(module) + r"\.\d+\." + re.escape(part) + r"\.weight"
        for module, _, name in (target.rpartition(".") for target in config.get("target_parameters") or ())
        for part in FUSED.get(name, (name,))
    ]
    wanted = set()
    for stored_name, stored in tensors.items():
        if not stored_name.startswith(prefix) or len(stored.shape) != 2:
            continue
        name = stored_name.removeprefix(prefix)
        if _EXPERT.fullmatch(name):
            hit = any(re.fullmatch(rf"(.*\.)?{pattern}", name) for pattern in fused)
        else:
            module = name.removesuffix(".weight")
            hit = name.endswith(".weight") and _named(module, layers) and not _named(module, excluded)
        if hit:
            wanted.add(stored_name)
    return wanted


def _named(module: str, names: Any) -> bool:
    """PEFT's rule: a text is a regular expression for whole names; of a list, each is the end of some."""
    if isinstance(names, str):
        return re.fullmatch(names, module) is not None
    return any(f".{module}".endswith(f".{name}") for name in names)


def _fits(delta: Delta, stored: Stored | None) -> bool:
    inner = (delta.a.shape[0], delta.b.shape[-1])
    return stored is not None and delta.shape == stored.shape and inner == (delta.inner, delta.inner)
