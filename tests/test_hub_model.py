"""Loading a model for training: from a folder or from the hub at one commit, whole or not at all."""

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
from audio_reasoning.core.files import read_json, sha256_file, write_json
from audio_reasoning.families import merged
from audio_reasoning.families.adapters import adapt, save_adapter
from audio_reasoning.families.params import Lora
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker, save_servable
from audio_reasoning.families.qwen3_omni.family import FAMILY
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from tests import tiny_thinker
from tests.fake_hub import COMMIT, Seen, serve_hub

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
MODEL = "org/omni"
LAYER = "thinker.model.layers.1"

# The hub's address is read when its client is imported, so what talks to it is a process of its own: it loads what is
# in the folder, puts an adapter of nothing but noise on it, and merges that.
PROGRAM = """
from pathlib import Path
from safetensors.torch import save_file
from audio_reasoning.core.errors import stage_main
from audio_reasoning.families.adapters import adapt, save_adapter
from audio_reasoning.families.merged import merged_checkpoint
from audio_reasoning.families.params import Lora
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker
from audio_reasoning.families.qwen3_omni.family import FAMILY
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor

@stage_main
def main():
    model = load_thinker(Path("."))
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, "loaded.safetensors")
    Path("chat.txt").write_text(AudioTextProcessor.from_checkpoint(Path(".")).chat_text("Listen.", "Which?"))
    adapted = adapt(model, Lora(targets="all", rank=4, alpha=8), FAMILY.adapter_names("all"), 0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    Path("iter1/adapter").mkdir(parents=True)
    save_adapter(adapted, Path("iter1/adapter"))
    print(merged_checkpoint(Path("."), Path("iter1/adapter"), Path(".cache")))

main()
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def load_from_hub(base: Path, files: dict[str, bytes]) -> tuple[subprocess.CompletedProcess[str], Seen]:
    """Make the checkpoint `base` a pointer, run PROGRAM with a hub of these `files`; the process, the requests."""
    for file in base.iterdir():
        if file.name != "config.json":
            file.unlink()
    write_json(base / "pointer.json", {"id": MODEL, "revision": COMMIT})
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    with serve_hub(f"/{MODEL}/resolve/{COMMIT}/", files, (MODEL,)) as (seen, endpoint):
        environment = {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": endpoint, "HF_HOME": str(base / "hf")}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=base, env=kept | environment, capture_output=True, text=True
        )
    return done, seen


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def as_published(checkpoint: Path, folder: Path) -> dict[str, bytes]:
    """The same checkpoint as Qwen publishes its own: weights in shards, the chat template with the processor."""
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: shard for shard, held in shards.items() for name in held}}
    write_json(folder / "model.safetensors.index.json", index)
    write_json(folder / "chat_template.json", {"chat_template": (folder / "chat_template.jinja").read_text()})
    return {k: v for k, v in contents(folder).items() if k not in ("model.safetensors", "chat_template.jinja")}


@pytest.fixture(scope="module")
def pointer(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Seen]:
    """A pointer to a sharded model of the hub: its folder after PROGRAM, what that printed, and the requests."""
    root = tmp_path_factory.mktemp("pointer")
    folder = Path(shutil.copytree(checkpoint, root / "base"))
    done, seen = load_from_hub(folder, as_published(folder, root / "hub"))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.strip(), seen


def test_a_pointer_loads_the_same_model_as_the_folder(checkpoint: Path, pointer: tuple[Path, str, Seen]) -> None:
    folder, _, seen = pointer
    local, loaded = load_thinker(checkpoint).state_dict(), load_file(folder / "loaded.safetensors")
    assert loaded.keys() == local.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in local.items())
    chat = AudioTextProcessor.from_checkpoint(checkpoint).chat_text("Listen.", "Which?")
    assert (folder / "chat.txt").read_text() == chat
    assert all(COMMIT in path for _, path, _ in seen if MODEL in path), "asked for at another revision"


def test_an_adapter_of_a_sharded_hub_model_is_trained_and_merged_as_of_a_folder(
    checkpoint: Path, pointer: tuple[Path, str, Seen], tmp_path: Path
) -> None:
    folder, printed, _ = pointer
    local = merged.merged_checkpoint(checkpoint, folder / "iter1/adapter", tmp_path)
    of_hub, wanted = (load_thinker(made).state_dict() for made in (folder / printed, local))
    assert all(torch.equal(of_hub[name], wanted[name]) for name in wanted)
    base = load_thinker(checkpoint).state_dict()
    assert any(not torch.equal(base[name], wanted[name]) for name in wanted)


def in_shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*-of-*.safetensors"))


def test_a_thinker_of_several_shards_is_saved_servable_and_loads_as_it_was(checkpoint: Path, tmp_path: Path) -> None:
    processor = AudioTextProcessor.from_checkpoint(checkpoint)
    save_servable(load_thinker(checkpoint), processor.tokenizer, processor.extractor, tmp_path, max_shard_size="200KB")
    assert len(in_shards(tmp_path)) > 2 and not (tmp_path / "model.safetensors").exists()
    index = read_json(tmp_path / "model.safetensors.index.json")["weight_map"]
    held = {name: file.name for file in in_shards(tmp_path) for name in load_file(file)}
    assert index == held and all(name.startswith("thinker.") for name in index)
    saved, wanted = load_thinker(tmp_path).state_dict(), load_thinker(checkpoint).state_dict()
    assert saved.keys() == wanted.keys() and all(torch.equal(saved[name], wanted[name]) for name in wanted)


def test_an_adapter_is_merged_into_a_checkpoint_of_several_shards(checkpoint: Path, tmp_path: Path) -> None:
    """What is merged of it is in the same shards."""
    sharded, adapter = tmp_path / "sharded", tmp_path / "iter1" / "adapter"
    as_published(checkpoint, sharded)
    (sharded / "model.safetensors").unlink()
    write_adapter_on(sharded, adapter)
    of_shards = merged.merged_checkpoint(sharded, adapter, tmp_path)
    of_one = merged.merged_checkpoint(checkpoint, adapter, tmp_path)
    assert [file.name for file in in_shards(of_shards)] == [file.name for file in in_shards(sharded)] != []
    assert not in_shards(of_one)
    for name in ("model.safetensors.index.json", "config.json", "chat_template.json"):
        assert (of_shards / name).read_bytes() == (sharded / name).read_bytes()
    one, other, base = (load_thinker(folder).state_dict() for folder in (of_one, of_shards, checkpoint))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], base[name]) for name in one)


def write_adapter_on(folder: Path, adapter: Path) -> None:
    """An adapter of all kinds of matrices on the checkpoint in `folder`, which does something."""
    adapted = adapt(load_thinker(folder), Lora(targets="all", rank=4, alpha=8), FAMILY.adapter_names("all"), 0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    adapter.mkdir(parents=True)
    save_adapter(adapted, adapter)


def test_a_hub_without_safetensors_is_one_message_and_pickles_are_left_alone(copy: Path) -> None:
    files = contents(copy) | {"pytorch_model.bin": b"a pickle"}
    del files["model.safetensors"]
    done, seen = load_from_hub(copy, files)
    assert done.returncode == 2, done.stderr
    assert MODEL in done.stderr and "HF_TOKEN" in done.stderr and "Traceback" not in done.stderr
    assert not any("pytorch_model" in path for _, path, _ in seen)


@pytest.mark.parametrize("lacks", ["config.json", "tokenizer.json", "processor_config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_one_message(copy: Path, lacks: str) -> None:
    (copy / lacks).unlink()
    with pytest.raises(UserError, match="dvc repro base_model"):
        load_thinker(copy)
        AudioTextProcessor.from_checkpoint(copy)


def test_another_architecture_is_refused_before_it_is_built(copy: Path) -> None:
    write_json(copy / "config.json", {"model_type": "qwen2_audio"})
    with pytest.raises(UserError, match="qwen2_audio"):
        load_thinker(copy)


def test_a_folder_without_a_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="without a chat template"):
        AudioTextProcessor.from_checkpoint(copy)


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("self_attn.q_proj.weight", "1 tensors are missing (model.layers.1.self_attn.q_proj.weight)"),
        ("mlp.gate.weight", "1 tensors are missing (model.layers.1.mlp.gate.weight)"),
        ("mlp.experts.3.gate_proj.weight", "damaged"),  # half of a fused parameter
        ("mlp.experts.3.down_proj.weight", "damaged"),
    ],
)
def test_a_checkpoint_that_lacks_a_tensor_is_refused(copy: Path, name: str, message: str) -> None:
    edit(copy, lambda weights: weights.pop(f"{LAYER}.{name}"))
    with pytest.raises(UserError) as caught:
        load_thinker(copy)
    assert message in str(caught.value)


def test_a_tensor_of_another_shape_is_refused(copy: Path) -> None:
    edit(copy, lambda weights: weights.update({f"{LAYER}.self_attn.q_proj.weight": torch.zeros(3, 3)}))
    with pytest.raises(UserError, match="damaged, or not of the thinker"):
        load_thinker(copy)


def test_a_layer_too_many_is_refused(copy: Path) -> None:
    edit(copy, lambda weights: weights.update({"thinker.model.layers.2.mlp.gate.weight": torch.zeros(4, 128)}))
    with pytest.raises(UserError, match="1 are unknown"):
        load_thinker(copy)


def test_the_talker_of_a_full_checkpoint_is_left_out(checkpoint: Path, copy: Path) -> None:
    edit(copy, lambda weights: weights.update({"talker.x": torch.zeros(2), "code2wav.y": torch.zeros(2)}))
    assert load_thinker(copy).state_dict().keys() == load_thinker(checkpoint).state_dict().keys()


def test_a_truncated_file_is_one_message(copy: Path) -> None:
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="damaged"):
        load_thinker(copy)


@pytest.mark.parametrize("whole", [True, False], ids=["full config", "thinker's config"])
@pytest.mark.parametrize("key", [{}, {"use_sliding_window": False}], ids=["without", "with"])
def test_configs_with_and_without_use_sliding_window_load(
    checkpoint: Path, copy: Path, whole: bool, key: dict[str, bool]
) -> None:
    config = read_json(copy / "config.json")
    for part in (config["thinker_config"], config["talker_config"]):
        part["text_config"].pop("use_sliding_window", None)
        part["text_config"].update(key)
    if not whole:
        config = config["thinker_config"] | {"architectures": ["Qwen3OmniMoeThinkerForConditionalGeneration"]}
        edit(copy, strip_prefix)
    (copy / "config.json").write_text(json.dumps(config))
    loaded, wanted = load_thinker(copy).state_dict(), load_thinker(checkpoint).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in wanted.items())


def strip_prefix(weights: dict[str, torch.Tensor]) -> None:
    for name in list(weights):
        weights[name.removeprefix("thinker.")] = weights.pop(name)


def test_the_dtype_is_the_one_asked_for_and_evaluation_the_mode(checkpoint: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        model = load_thinker(checkpoint, dtype)
        assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
        assert not model.training


def test_loading_changes_no_file(checkpoint: Path) -> None:
    before = {file.name: sha256_file(file) for file in checkpoint.iterdir()}
    load_thinker(checkpoint)
    assert {file.name: sha256_file(file) for file in checkpoint.iterdir()} == before
