"""NF4: what is quantised really is, and adapters train on top of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audio_reasoning.families.adapters import adapt
from audio_reasoning.families.params import Lora
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker, save_servable
from audio_reasoning.families.qwen3_omni.family import FAMILY
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.families.qwen3_omni.quantization import PartRow, quantization_report, quantize_nf4
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor, new_thinker
from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
from audio_reasoning.training.loss import completion_loss
from tests.test_model import TINY, clip

pytestmark = pytest.mark.slow

LORA = Lora(targets="attention", rank=8, alpha=16)
PARTS = ["attention", "audio_tower", "embeddings", "experts", "lm_head", "norms", "router", "visual"]


@pytest.fixture(scope="module")
def processor() -> AudioTextProcessor:
    tokenizer = train_tokenizer(["HEARD: a bell rings. ANSWER: a bell"] * 5, 600, 4096)
    return AudioTextProcessor(tokenizer, new_feature_extractor())


@pytest.fixture(scope="module")
def batch(processor: AudioTextProcessor) -> dict[str, Tensor]:
    prompts = [processor.encode("Listen.", "Which?", processor.features(clip(s))) for s in (0.5, 2.0)]
    ids = [processor.tokenizer.encode(text, add_special_tokens=False) for text in ("a bell", "a bell rings")]
    return processor.batch(prompts, ids)


@pytest.fixture
def model(processor: AudioTextProcessor) -> nn.Module:
    return new_thinker(processor.tokenizer, TINY).eval()


def rows(model: nn.Module) -> dict[str, PartRow]:
    return {row["part"]: row for row in quantization_report(model)}


def test_every_parameter_is_reported_once(model: nn.Module) -> None:
    report = rows(model)
    assert list(report) == PARTS
    assert sum(row["parameters"] for row in report.values()) == sum(p.numel() for p in model.parameters())
    assert all(row["bytes"] == 4 * row["parameters"] and row["stored"] == "float32" for row in report.values())


def test_experts_and_attention_become_nf4_and_nothing_else(model: nn.Module) -> None:
    before = rows(model)
    quantize_nf4(model)
    after = rows(model)
    assert {part for part, row in after.items() if row["stored"] == "nf4"} == {"experts", "attention"}
    assert 0.5 < after["experts"]["bytes"] / after["experts"]["parameters"] < 0.55
    assert 0.5 < after["attention"]["bytes"] / after["attention"]["parameters"] < 0.65  # tables of small matrices
    for part, row in before.items():
        assert after[part]["parameters"] == row["parameters"]
        if part not in ("experts", "attention"):
            assert after[part] == row
    held = sum(p.nbytes for name, p in model.named_parameters() if ".experts." in name)
    assert held * 2 == after["experts"]["parameters"], "unquantised experts are still held"


def test_the_report_tells_of_one_layer_that_was_left_out(model: nn.Module) -> None:
    first = nn.ModuleList(model.model.layers[:1])
    layers, model.model.layers = model.model.layers, first
    quantize_nf4(model)
    model.model.layers = layers
    assert rows(model)["experts"]["stored"] == rows(model)["attention"]["stored"] == "float32+nf4"


def test_a_layer_is_quantised_before_the_next_is_placed(model: nn.Module) -> None:
    layers = list(model.model.layers)
    seen: list[int] = []

    def place(layer: nn.Module) -> None:
        position = layers.index(layer)
        stored = [rows(nn.ModuleList([other]))["experts"]["stored"] for other in layers]
        assert stored == ["nf4"] * position + ["float32"] * (len(layers) - position)
        seen.append(position)

    quantize_nf4(model, place)
    assert seen == list(range(len(layers)))


def test_quantised_weights_are_close_to_the_originals(model: nn.Module, batch: dict[str, Tensor]) -> None:
    experts = model.model.layers[1].mlp.experts
    weight = experts.down_proj.detach().clone()
    with torch.no_grad():
        exact = completion_loss(model, batch)
        quantize_nf4(model)
        assert torch.isclose(completion_loss(model, batch), exact, rtol=0.02)
    error = (experts.down_proj - weight).norm() / weight.norm()
    assert 0.05 < error < 0.12  # that of NF4 on normally distributed weights


def test_quantising_twice_or_after_an_adapter_is_refused(model: nn.Module) -> None:
    quantize_nf4(model)
    with pytest.raises(AssertionError, match="expected a plain linear layer"):
        quantize_nf4(model)
    adapted = adapt(model, LORA, FAMILY.adapter_names(LORA.targets), seed=0)
    with pytest.raises(AssertionError, match="expected a plain linear layer"):
        quantize_nf4(adapted.get_base_model())


def test_an_adapter_trains_on_nf4_with_gradient_checkpointing(model: nn.Module, batch: dict[str, Tensor]) -> None:
    quantize_nf4(model)
    adapted = adapt(model, LORA, FAMILY.adapter_names(LORA.targets), seed=0)  # which checks its inventory
    assert type(model.model.layers[0].self_attn.q_proj).__module__ == "peft.tuners.lora.bnb"
    adapted.train()
    adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for step in range(3):
        loss = completion_loss(adapted, batch)
        loss.backward()
        for name, parameter in adapted.named_parameters():
            if ".lora_" in name:
                # The first matrix gets no gradient before the second, zero at first, has moved.
                assert parameter.grad.any() or (step == 0 and ".lora_A" in name), name
            else:
                assert parameter.grad is None, name
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    assert rows(adapted)["experts"]["stored"] == rows(adapted)["attention"]["stored"] == "nf4"
    assert rows(adapted)["adapter"]["parameters"] == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_evaluating_before_training_changes_no_gradient(model: nn.Module, batch: dict[str, Tensor]) -> None:
    quantize_nf4(model)
    adapted = adapt(model, LORA, FAMILY.adapter_names(LORA.targets), seed=0)

    def gradients() -> dict[str, Tensor]:
        adapted.zero_grad()
        completion_loss(adapted.train(), batch).backward()
        return {name: p.grad.clone() for name, p in adapted.named_parameters() if ".lora_B" in name}

    before = gradients()
    with torch.no_grad():
        completion_loss(adapted.eval(), batch)  # bitsandbytes would repack its weights for some CPUs here
    after = gradients()
    assert all(torch.equal(after[name], gradient) for name, gradient in before.items())


def test_checkpointing_keeps_no_full_precision_experts(model: nn.Module, batch: dict[str, Tensor]) -> None:
    quantize_nf4(model)
    adapted = adapt(model, LORA, FAMILY.adapter_names(LORA.targets), seed=0).train()
    sizes: list[int] = []
    experts = TINY.experts * 2 * TINY.hidden_size * TINY.hidden_size

    def keeps_experts() -> bool:
        sizes.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            completion_loss(adapted, batch)
        return experts in sizes

    assert keeps_experts()
    adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert not keeps_experts()


def test_a_checkpoint_loads_in_nf4(processor: AudioTextProcessor, batch: dict[str, Tensor], tmp_path: Path) -> None:
    save_servable(new_thinker(processor.tokenizer, TINY), processor.tokenizer, processor.extractor, tmp_path)
    model = load_thinker(tmp_path, "bfloat16", "nf4", "cpu")
    assert {part: row["stored"] for part, row in rows(model).items()} == {
        part: "nf4" if part in ("experts", "attention") else "bfloat16" for part in PARTS
    }
    assert not model.training
    with torch.no_grad():
        assert np.isclose(completion_loss(model, batch), completion_loss(load_thinker(tmp_path), batch), rtol=0.02)
