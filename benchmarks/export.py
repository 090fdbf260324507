"""Measure the memory and time that merging an adapter takes, and write benchmarks/export.json.

    make bench-export

Makes a checkpoint of Qwen3-Omni-30B-A3B's names and widths (bfloat16, random weights, as many layers as fit in 4 GB) in
four shards, and an adapter of rank 64 on its attention and its experts, and merges them as `export` does,
in a process of its own:

| figure         | what is measured                                                                              |
|----------------|-----------------------------------------------------------------------------------------------|
| checkpoint_mb  | the base's shards                                                                             |
| adapter_mb     | the adapter, which is read matrix by matrix too                                               |
| imports_mb     | VmHWM of that process before it begins: Python, torch and the libraries                       |
| peak_mb        | VmHWM at its end: all resident pages, those of mapped files included                          |
| seconds        | merging alone                                                                                 |
| copy_seconds   | copying the same shards in blocks, for comparison                                             |
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from audio_reasoning.core.files import write_json

RESULTS = Path("benchmarks/export.json")
ROOT = Path(__file__).parents[1]
RANK = 64
WIDTHS = {"hidden": 2048, "inner": 768, "experts": 128, "queries": 4096, "keys": 512}  # of the published config.json
SMALL = {"hidden": 512, "inner": 256, "experts": 16, "queries": 512, "keys": 128}
PROGRAM = """
import json, sys, time
from pathlib import Path
from audio_reasoning.families.merged import merge

def peak():
    return next(int(line.split()[1]) / 1e3 for line in open("/proc/self/status") if line.startswith("VmHWM"))

root, imports, started = Path(sys.argv[1]), peak(), time.monotonic()
(root / "out").mkdir()
merge(root / "base", root / "adapter", root / "out")
print(json.dumps({"imports_mb": imports, "peak_mb": peak(), "seconds": time.monotonic() - started}))
"""


def layer_tensors(layer: int, widths: dict[str, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and shapes [outputs, inputs] of what an adapter changes in a layer, and its router."""
    at, hidden = f"thinker.model.layers.{layer}", widths["hidden"]
    for name, outputs in (("q", widths["queries"]), ("k", widths["keys"]), ("v", widths["keys"])):
        yield f"{at}.self_attn.{name}_proj.weight", (outputs, hidden)
    yield f"{at}.self_attn.o_proj.weight", (hidden, widths["queries"])
    yield f"{at}.mlp.gate.weight", (widths["experts"], hidden)
    for expert in range(widths["experts"]):
        for name in ("gate", "up"):
            yield f"{at}.mlp.experts.{expert}.{name}_proj.weight", (widths["inner"], hidden)
        yield f"{at}.mlp.experts.{expert}.down_proj.weight", (hidden, widths["inner"])


def write_checkpoint(root: Path, megabytes: int, shards: int, widths: dict[str, int] = SMALL) -> None:
    """Write `root`/base, about so large, and `root`/adapter."""
    torch.manual_seed(0)
    size = sum(2 * a * b for _, (a, b) in layer_tensors(0, widths)) / 1e6
    layers = max(1, round(megabytes / size))
    tensors = [pair for layer in range(layers) for pair in layer_tensors(layer, widths)]
    base, each = root / "base", -(-len(tensors) // shards)
    base.mkdir()
    index = {}
    for number in range(shards):
        held = tensors[number * each : (number + 1) * each]
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        weights = {name: torch.randn(shape, dtype=torch.bfloat16) for name, shape in held}
        save_file(weights, base / file, metadata={"format": "pt"})
        index |= dict.fromkeys(weights, file)
    write_json(base / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})
    write_json(base / "config.json", {"model_type": "qwen3_omni_moe"})
    write_adapter(root / "adapter", layers, widths)


def write_adapter(folder: Path, layers: int, widths: dict[str, int]) -> None:
    """An adapter as PEFT writes it: two fused parameters of a layer's experts, one wrapped in the other."""
    folder.mkdir()
    fused = {
        "experts": (widths["hidden"], widths["inner"]),
        "experts.base_layer": (2 * widths["inner"], widths["hidden"]),
    }
    weights = {}
    for layer in range(layers):
        at = f"base_model.model.model.layers.{layer}"
        for name, (outputs, inputs) in layer_tensors(layer, widths):
            if "self_attn" in name:
                module = f"{at}.self_attn.{name.split('.')[-2]}"
                weights[f"{module}.lora_A.weight"] = torch.randn(RANK, inputs)
                weights[f"{module}.lora_B.weight"] = torch.randn(outputs, RANK)
        for module, (outputs, inputs) in fused.items():
            weights[f"{at}.mlp.{module}.lora_A.weight"] = torch.randn(RANK * widths["experts"], inputs)
            weights[f"{at}.mlp.{module}.lora_B.weight"] = torch.randn(outputs, RANK * widths["experts"])
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": ["k_proj", "o_proj", "q_proj", "v_proj"],
        "target_parameters": ["mlp.experts.down_proj", "mlp.experts.gate_up_proj"],
        "exclude_modules": r".*(audio_tower|visual).*",
    }
    write_json(folder / "adapter_config.json", config)


def measure(root: Path) -> dict[str, Any]:
    """Merge what `write_checkpoint` wrote, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    sizes = {
        f"{name}_mb": sum(file.stat().st_size for file in (root / folder).glob("*.safetensors")) / 1e6
        for name, folder in (("checkpoint", "base"), ("adapter", "adapter"), ("written", "out"))
    }
    return sizes | json.loads(done.stdout)


def copying(root: Path) -> float:
    """The seconds that it takes to copy the base's shards."""
    (root / "copy").mkdir()
    started = time.monotonic()
    for file in (root / "base").glob("*.safetensors"):
        with file.open("rb") as source, (root / "copy" / file.name).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 23)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=4_000)
    parser.add_argument(
        "--folder", type=Path, help="where to write three times as much (the system's temporary folder)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        root = Path(name)
        write_checkpoint(root, args.megabytes, shards=4, widths=WIDTHS)
        figures = measure(root)
        shutil.rmtree(root / "out")
        figures["copy_seconds"] = copying(root)
    machine = {"cpus": os.cpu_count(), "processor": platform.machine(), "torch_threads": torch.get_num_threads()}
    write_json(RESULTS, {"machine": machine, "figures": {key: round(value, 1) for key, value in figures.items()}})
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
