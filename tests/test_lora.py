"""Adapters: exactly what was asked for is adapted, and what is loaded is what was saved."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_reasoning.core.errors import UserError
from audio_reasoning.families import adapters as lora
from audio_reasoning.families.adapters import (
    adapt,
    attach,
    check_inventory,
    expected_inventory,
    inventory,
    save_adapter,
    scale_adapter,
)
from audio_reasoning.families.family import AdapterNames, family_of
from audio_reasoning.families.params import Lora
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker, save_servable
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor, new_thinker
from audio_reasoning.training.dataset import collate
from audio_reasoning.training.loss import completion_loss
from tests.training_project import BASE, ROOT, TINY, dataset, processor, trace, write_adapter, write_base

# PEFT needs torchvision, whose operators the packages above declare.
from peft import LoraConfig, PeftModel, get_peft_model  # isort: skip

TARGETS = ("attention", "experts", "all")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Found missing adapter keys"),  # PEFT warns of what is an error here
]


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/base, which is the working directory."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_base(BASE)
        processor.cache_clear()
        yield folder


def asked(targets: str, rank: int = 4) -> Lora:
    return Lora(targets=targets, rank=rank, alpha=2 * rank)  # type: ignore[arg-type]


def names(targets: str) -> AdapterNames:
    return family_of(BASE).adapter_names(targets)


def logits(model: torch.nn.Module) -> torch.Tensor:
    batch = collate(processor(), [dataset([trace(0), trace(1)])[i] for i in range(2)])
    with torch.inference_mode():
        return model(**{name: batch[name] for name in batch if name not in ("labels", "weights")}).logits


def edited(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """A copy of an adapter with other tensors."""
    shutil.copytree(source, target)
    weights = load_file(source / lora.WEIGHTS)
    change(weights)
    save_file(weights, target / lora.WEIGHTS)
    return target


# ── What is adapted ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("targets", "matrices"), [("attention", 4), ("experts", 2), ("all", 6)])
def test_exactly_what_is_asked_for_is_adapted_and_trains(targets: str, matrices: int) -> None:
    model = load_thinker(BASE)
    wanted = expected_inventory(model, asked(targets), names(targets))
    adapted = adapt(model, asked(targets), names(targets), seed=0)
    found = inventory(adapted)
    assert found == wanted and len(found.modules) == matrices * TINY.layers
    assert found.trainable == sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert not [name for name, p in adapted.named_parameters() if "audio_tower" in name and "lora" in name]


def test_a_gradient_reaches_every_adapted_matrix_and_nothing_else() -> None:
    model = adapt(load_thinker(BASE), asked("all"), names("all"), seed=0)
    batch = collate(processor(), [dataset([trace(0), trace(1)])[i] for i in range(2)])
    completion_loss(model, batch).backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {name for name, _ in model.named_parameters() if "lora_" in name}
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if "lora_B" in name)


def test_adapted_towers_are_refused() -> None:
    """PEFT's bare layer names match the audio tower too, unless it is excluded."""
    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(names("attention").layers))
    with pytest.raises(UserError, match=r"not what train\.lora asks for: .*differing: audio_tower\.layers\.0"):
        check_inventory(get_peft_model(load_thinker(BASE), config), asked("attention"), names("attention"))


@pytest.mark.parametrize("targets", TARGETS)
def test_another_rank_or_other_targets_are_refused(targets: str) -> None:
    adapted = adapt(load_thinker(BASE), asked(targets, rank=4), names(targets), seed=0)
    with pytest.raises(UserError, match=r"expected .*; differing: only their sizes"):
        check_inventory(adapted, asked(targets, rank=8), names(targets))
    other = "attention" if targets == "experts" else "experts"
    with pytest.raises(UserError, match="differing: model"):
        check_inventory(adapted, asked(other), names(other))


def test_a_frozen_part_is_refused() -> None:
    adapted = adapt(load_thinker(BASE), asked("attention"), names("attention"), seed=0)
    next(p for p in adapted.parameters() if p.requires_grad).requires_grad = False
    with pytest.raises(UserError, match="differing: only their sizes"):
        check_inventory(adapted, asked("attention"), names("attention"))


def test_a_new_adapter_changes_nothing_and_depends_on_the_seed_alone() -> None:
    first, again, other = (adapt(load_thinker(BASE), asked("all"), names("all"), seed) for seed in (1, 1, 2))
    assert torch.equal(logits(first), logits(load_thinker(BASE)))
    drawn = [[p for name, p in model.named_parameters() if "lora_A" in name] for model in (first, again, other)]
    assert all(torch.equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(drawn[0], drawn[2], strict=True))


# ── Saved and loaded ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("targets", TARGETS)
def test_a_loaded_adapter_says_bit_for_bit_what_the_saved_one_said(tmp_path: Path, targets: str) -> None:
    adapter = write_adapter(tmp_path / "first", targets)
    loaded = attach(load_thinker(BASE), adapter)
    said = logits(loaded)
    assert not torch.allclose(said, logits(load_thinker(BASE)), atol=1e-3), "the adapter does something"
    (tmp_path / "second").mkdir()
    save_adapter(loaded, tmp_path / "second")
    assert torch.equal(logits(attach(load_thinker(BASE), tmp_path / "second")), said)
    for name in (lora.WEIGHTS, lora.CONFIG):
        assert (tmp_path / "second" / name).read_bytes() == (adapter / name).read_bytes()


def test_an_adapter_is_the_same_bytes_whatever_the_order_of_sets(tmp_path: Path, project: Path) -> None:
    here, there = write_adapter(tmp_path / "here", "all"), tmp_path / "there"
    script = (
        "import sys; from pathlib import Path; from tests.training_project import write_adapter;"
        "write_adapter(Path(sys.argv[1]), 'all')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}  # here it is another one
    subprocess.run([sys.executable, "-c", script, str(there)], cwd=project, env=environment, check=True)
    written = {folder: {file.name: file.read_bytes() for file in folder.iterdir()} for folder in (here, there)}
    assert written[here] == written[there] and sorted(written[here]) == [lora.CONFIG, lora.WEIGHTS]


def test_to_save_an_adapter_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(*args: object, **options: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("peft.utils.save_and_load.check_file_exists_on_hf_hub", asks)
    adapted = adapt(load_thinker(BASE), asked("attention"), names("attention"), seed=0)
    adapted.peft_config["default"].base_model_name_or_path = "organisation/model"
    save_adapter(adapted, tmp_path)


@pytest.mark.parametrize("targets", TARGETS)
def test_a_trainable_adapter_trains_alone_and_from_where_it_was(tmp_path: Path, targets: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", targets)
    model = attach(load_thinker(BASE), adapter, trainable=True)
    assert check_inventory(model, asked(targets), names(targets)).trainable > 0
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    completion_loss(model, collate(processor(), [dataset([trace(0)])[0]])).backward()
    optimizer.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name in before if "lora_" in name}
    assert inventory(attach(load_thinker(BASE), adapter)).trainable == 0, "unless asked to"


# ── What does not fit ────────────────────────────────────────────────────────────────────────────────────────────────


def refused(adapter: Path, reason: str, base: Path = BASE) -> None:
    with pytest.raises(UserError, match=f"{adapter.name}.*{reason}"):
        attach(load_thinker(base), adapter)


def test_an_adapter_of_a_larger_model_is_refused(tmp_path: Path) -> None:
    tokenizer = processor().tokenizer
    for name, change in (("wide", {"hidden_size": 128}), ("deep", {"layers": 3})):
        model = new_thinker(tokenizer, TINY.model_copy(update=change))
        save_servable(model, tokenizer, new_feature_extractor(), tmp_path / name)
    adapter = write_adapter(tmp_path / "adapter")
    refused(adapter, "does not fit this model", tmp_path / "wide")
    refused(adapter, "0 that the model lacks .*, 8 that it lacks .*layers.2", tmp_path / "deep")


@pytest.mark.parametrize("targets", TARGETS)
def test_a_missing_an_unknown_and_a_misshapen_tensor_are_refused(tmp_path: Path, targets: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", targets)
    some = sorted(load_file(adapter / lora.WEIGHTS))[0]
    missing = edited(adapter, tmp_path / "missing", lambda weights: weights.pop(some))
    refused(missing, r"0 that the model lacks \(none\), 1 that it lacks")
    extra = edited(adapter, tmp_path / "extra", lambda w: w.update({some.replace("layers.0", "layers.9"): w[some] + 0}))
    refused(extra, r"1 that the model lacks \(.*layers\.9.*\), 0 that it lacks \(none\)")
    misshapen = edited(adapter, tmp_path / "misshapen", lambda w: w.update({some: torch.cat([w[some], w[some]])}))
    refused(misshapen, "does not fit this model")


@pytest.mark.parametrize(
    ("given", "claimed"),
    [("attention", "experts"), ("experts", "attention"), ("all", "attention"), ("attention", "all")],
)
def test_an_adapter_whose_configuration_names_other_targets_is_refused(
    tmp_path: Path, given: str, claimed: str
) -> None:
    adapter, other = (write_adapter(tmp_path / name, name) for name in (given, claimed))
    shutil.copyfile(other / lora.CONFIG, adapter / lora.CONFIG)
    refused(adapter, "the adapter's matrices are not this model's")


def test_a_folder_without_or_with_a_damaged_adapter_is_refused(tmp_path: Path) -> None:
    refused(BASE, "not an adapter")
    adapter = write_adapter(tmp_path / "adapter")
    (adapter / lora.WEIGHTS).write_bytes((adapter / lora.WEIGHTS).read_bytes()[:1_000])
    refused(adapter, "damaged")


# ── Strength ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def merged(model: PeftModel) -> dict[str, torch.Tensor]:
    return model.merge_and_unload().state_dict()


@pytest.mark.parametrize("targets", TARGETS)
def test_half_the_scale_is_half_the_change_of_every_weight(tmp_path: Path, targets: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", targets)
    (tmp_path / "half").mkdir()
    scale_adapter(adapter, tmp_path / "half", 0.5)
    base = load_thinker(BASE).state_dict()
    whole, half = (merged(attach(load_thinker(BASE), folder)) for folder in (adapter, tmp_path / "half"))
    changed = [name for name in base if not torch.equal(base[name], whole[name])]
    assert len(changed) == len(expected_inventory(load_thinker(BASE), asked(targets), names(targets)).modules)
    for name in base:
        assert torch.allclose(half[name] - base[name], (whole[name] - base[name]) / 2, atol=1e-6), name
    assert json.loads((tmp_path / "half" / lora.CONFIG).read_text()) == json.loads((adapter / lora.CONFIG).read_text())
