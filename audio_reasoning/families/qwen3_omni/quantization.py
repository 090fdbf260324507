"""NF4 weights for the thinker's text layers (QLoRA, Dettmers et al. 2023, arXiv 2305.14314).

The experts are nine tenths of the model, and fused parameters instead of linear layers: what quantises linear layers
alone, as `load_in_4bit` of transformers 5 does, leaves them as they are and saves next to nothing. Here experts and
attention are quantised, and what is stored how can be read off the model.

Each forward pass makes a full-precision copy of a layer's experts, which autograd keeps until the backward pass.
Train with gradient checkpointing: without it the copies of all layers add up to the unquantised model.
"""

from collections.abc import Callable
from typing import Final, TypedDict

import torch
from bitsandbytes.functional import QuantState
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from bitsandbytes.nn.parametrize import Bnb4bitParametrization, replace_parameter_4bit
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from audio_reasoning.families.qwen3_omni.classes import Qwen3OmniMoeThinkerForConditionalGeneration

NF4: Final = "nf4"
QUANTIZED = ("experts", "attention")
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_EXPERTS = ("gate_up_proj", "down_proj")


class PartRow(TypedDict):
    """A part of the model: how many parameters, in how many bytes (statistics included), stored as what."""

    part: str
    parameters: int
    bytes: int
    stored: str


def quantize_nf4(
    model: Qwen3OmniMoeThinkerForConditionalGeneration, place: Callable[[nn.Module], object] | None = None
) -> None:
    """Quantise the attention and the experts of all text layers to NF4, in place, where they are.

    Audio tower, vision, embeddings, router, norms and output head stay. `place` is called with each layer right
    before: it may move the layer to the device, which then holds one unquantised layer at a time.
    Any adapter comes after.
    """
    for layer in model.model.layers:
        if place:
            place(layer)
        for name in _ATTENTION:
            setattr(layer.self_attn, name, _linear_4bit(getattr(layer.self_attn, name)))
        for name in _EXPERTS:
            replace_parameter_4bit(layer.mlp.experts, name, compress_statistics=True, quant_type=NF4)
    model.is_loaded_in_4bit = True  # PEFT takes its layers for 4-bit weights, whose merging is another, only then
    stored = {row["part"]: row["stored"] for row in quantization_report(model)}
    assert all(stored[part] == NF4 for part in QUANTIZED), f"not all of {QUANTIZED} became NF4: {stored}"


def quantization_report(model: nn.Module) -> list[PartRow]:
    """What each part of a thinker is stored as, read off its tensors; an adapter on it is a part of its own."""
    states = _quant_states(model)
    rows: dict[str, PartRow] = {}
    for name, parameter in model.named_parameters():
        row = rows.setdefault(part := _part(name), PartRow(part=part, parameters=0, bytes=0, stored=""))
        count, size, stored = parameter.numel(), parameter.nbytes, str(parameter.dtype).removeprefix("torch.")
        if state := states.get(id(parameter)):
            count, stored = state.shape.numel(), state.quant_type
            assert parameter.nbytes == -(-count // 2), f"{name} is not packed to four bits"
            size += sum(t.nbytes for t in state.as_dict().values() if isinstance(t, torch.Tensor))
        row["parameters"] += count
        row["bytes"] += size
        row["stored"] = "+".join(sorted({stored, *filter(None, row["stored"].split("+"))}))
    return [rows[part] for part in sorted(rows)]


def _linear_4bit(linear: nn.Linear) -> Linear4bit:
    assert type(linear) is nn.Linear and linear.bias is None, f"expected a plain linear layer, found {linear}"
    weight = linear.weight
    quantized = Linear4bit(  # type: ignore[no-untyped-call]
        linear.in_features, linear.out_features, bias=False, compute_dtype=weight.dtype, quant_type=NF4, device="meta"
    )
    quantized.weight = Params4bit(weight.data, requires_grad=False, quant_type=NF4, module=quantized).to(weight.device)
    # On CPUs with AVX512-BF16 an evaluating forward pass would repack the weights, after which bitsandbytes 0.50
    # passes no gradient through them.
    quantized.support_avx512bf16_for_cpu = False
    return quantized


def _quant_states(model: nn.Module) -> dict[int, QuantState]:
    """Statistics of quantised parameters by the parameter's identity."""
    states = {}
    for module in model.modules():
        if isinstance(module, ParametrizationList) and isinstance(module[0], Bnb4bitParametrization):
            states[id(module.original)] = module[0].quant_state
        elif isinstance(module, Linear4bit):
            states[id(module.weight)] = module.weight.quant_state
    return states


def _part(name: str) -> str:
    name = name.removeprefix("base_model.model.")  # of an adapted model
    if ".lora_" in name:
        return "adapter"
    for part in ("audio_tower", "visual", "lm_head"):
        if name.startswith(f"{part}."):
            return part
    for mark, part in (
        ("embed_tokens", "embeddings"),
        ("norm.", "norms"),
        (".mlp.experts.", "experts"),
        (".mlp.gate.", "router"),
        (".self_attn.", "attention"),
    ):
        if mark in name:
            return part
    raise AssertionError(f"{name} belongs to no known part of a thinker")
