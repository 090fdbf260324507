"""Measure what training the full-size model takes, on random weights: nothing is downloaded, no loss means anything.

    python -m benchmarks.full_size                  # needs a CUDA device; about 70 GB of its memory for bf16
    python -m benchmarks.full_size --modes nf4      # about 30 GB
    python -m benchmarks.full_size --tiny           # the same code on a CPU, with a model of a million parameters

The thinker of Qwen3-Omni-30B-A3B-Thinking is built on the device, layer by layer, an adapter of its attention is put
on it, and a few steps are trained, each on one example: 20 s of audio in 4,096 tokens, most of them the completion.

| mode | base weights                                 | optimiser         |
|------|----------------------------------------------|-------------------|
| bf16 | bfloat16                                     | AdamW             |
| nf4  | experts and attention NF4, the rest bfloat16 | paged 8-bit AdamW |

Memory is the most that PyTorch had allocated on the device at any time, building included; without a device it is
the process's greatest resident set so far. GB are 1e9 bytes. Seconds are the median of the steps after the first.
"""

import argparse
import gc
import json
import resource
import statistics
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bitsandbytes
import torch
from torch import Tensor, nn

from audio_reasoning.core.audio import HOP_SAMPLES, SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.families.adapters import adapt, inventory
from audio_reasoning.families.params import Lora, Tiny
from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count

# After our own modules, which declare the operators that these classes look for.
from audio_reasoning.families.qwen3_omni.classes import (
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)
from audio_reasoning.families.qwen3_omni.family import FAMILY
from audio_reasoning.families.qwen3_omni.quantization import quantization_report, quantize_nf4
from audio_reasoning.families.qwen3_omni.tiny import MEL_BINS, tiny_config
from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
from audio_reasoning.training.loss import completion_loss
from benchmarks.run import machine

RESULTS = Path("benchmarks/full_size.json")
MODES = ("bf16", "nf4")
LORA = Lora(targets="attention", rank=64, alpha=128)
NAMES = FAMILY.adapter_names(LORA.targets)
# Billions of parameters of the published model, by part; the configuration below must give them.
PUBLISHED = {
    "experts": 28.99,
    "attention": 0.91,
    "audio_tower": 0.65,
    "visual": 0.54,
    "embeddings": 0.31,
    "lm_head": 0.31,
}
PUBLISHED_TOTAL = 31.72


@dataclass(frozen=True)
class Example:
    """The shape of what one step trains on."""

    audio_s: int
    tokens: int
    completion_tokens: int


FULL_EXAMPLE = Example(audio_s=20, tokens=4096, completion_tokens=3584)
TINY_EXAMPLE = Example(audio_s=2, tokens=192, completion_tokens=128)


def full_config() -> Qwen3OmniMoeThinkerConfig:
    """The thinker of Qwen/Qwen3-Omni-30B-A3B-Thinking; the defaults of transformers are of another model."""
    return Qwen3OmniMoeThinkerConfig(
        audio_config={"output_dim": 2048, "n_window_infer": 800},
        vision_config={"out_hidden_size": 2048},
        text_config={
            "vocab_size": 152_064,
            "hidden_size": 2048,
            "intermediate_size": 768,
            "num_hidden_layers": 48,
            "num_attention_heads": 32,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 768,
            "max_position_embeddings": 65_536,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        audio_token_id=151_675,
        audio_start_token_id=151_669,
        audio_end_token_id=151_670,
        position_id_per_seconds=13,
    )


def small_config() -> Qwen3OmniMoeThinkerConfig:
    """The tiny thinker that `mini` starts from, in its least size."""
    tokenizer = train_tokenizer(["a bell rings"], vocab_size=512, max_length=512)
    tiny = Tiny(
        seed=1, vocab_size=512, hidden_size=128, layers=2, experts=4,
        questions=64, min_share=0.0, steps=1, short_share=0.0, batch_size=1, learning_rate=1e-3,
    )  # fmt: skip
    return tiny_config(tokenizer, tiny)


def empty_thinker(config: Qwen3OmniMoeThinkerConfig) -> Qwen3OmniMoeThinkerForConditionalGeneration:
    """A bfloat16 thinker on the meta device: shapes, no memory."""
    with torch.device("meta"):
        return Qwen3OmniMoeThinkerForConditionalGeneration._from_config(config, dtype=torch.bfloat16)


def check_published(model: Qwen3OmniMoeThinkerForConditionalGeneration) -> None:
    """Assert that the model has the published one's parameters, to the last digit given."""
    found = {row["part"]: row["parameters"] / 1e9 for row in quantization_report(model)}
    wrong = {part: found[part] for part, billions in PUBLISHED.items() if round(found[part], 2) != billions}
    assert not wrong and round(sum(found.values()), 2) == PUBLISHED_TOTAL, f"not the published model's sizes: {found}"


@torch.no_grad()
def build(model: Qwen3OmniMoeThinkerForConditionalGeneration, mode: str, device: str) -> None:
    """Give an empty model random weights on `device`, layer by layer; in nf4 each is quantised before the next."""

    def fill(module: nn.Module) -> None:
        module.to_empty(device=device).apply(model._init_weights)

    if mode == "nf4":
        quantize_nf4(model, fill)
    else:
        for layer in model.model.layers:
            fill(layer)
    for part in [*model.children(), *model.model.children()]:
        if part not in (model.model, model.model.layers):
            fill(part)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


def random_batch(config: Qwen3OmniMoeThinkerConfig, example: Example, device: str) -> dict[str, Tensor]:
    """One example of random text and noise, in the layout of `AudioTextProcessor.batch`."""
    frames = example.audio_s * SAMPLE_RATE_HZ // HOP_SAMPLES
    audio = audio_token_count(example.audio_s * SAMPLE_RATE_HZ)
    ids = torch.randint(config.text_config.vocab_size, (1, example.tokens))
    placeholders = torch.tensor([config.audio_token_id, config.image_token_id, config.video_token_id])
    ids[torch.isin(ids, placeholders)] = 64  # an ordinary token in either vocabulary
    ids[0, 8] = config.audio_start_token_id
    ids[0, 9 : 9 + audio] = config.audio_token_id
    ids[0, 9 + audio] = config.audio_end_token_id
    labels = torch.full_like(ids, -100)
    labels[0, -example.completion_tokens :] = ids[0, -example.completion_tokens :]
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "input_features": torch.randn(1, MEL_BINS, frames),
        "feature_attention_mask": torch.ones(1, frames, dtype=torch.long),
        "labels": labels,
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def measure(mode: str, config: Qwen3OmniMoeThinkerConfig, example: Example, steps: int, device: str) -> dict[str, Any]:
    """Build the model, train `steps` steps, and say what it took."""
    torch.manual_seed(1)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model = empty_thinker(config)
    build(model, mode, device)
    built_gb = peak_gb(device)
    parts = quantization_report(model)
    adapted = adapt(model, LORA, NAMES, seed=1).train()
    adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trainable = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = (bitsandbytes.optim.PagedAdamW8bit if mode == "nf4" else torch.optim.AdamW)(trainable, lr=1e-5)
    batch = random_batch(config, example, device)
    seconds = []
    for _ in range(steps):
        started = time.monotonic()
        loss = completion_loss(adapted, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        assert torch.isfinite(loss), "the loss is not a number"
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - started)
    return {
        "peak_memory_gb": round(peak_gb(device), 2),
        "peak_memory_gb_building": round(built_gb, 2),
        "memory_is": "allocated on the device" if device == "cuda" else "resident set of the process, all modes so far",
        "seconds_per_step": round(statistics.median(seconds[1:] or seconds), 3),
        "seconds_first_step": round(seconds[0], 3),
        "optimizer": type(optimizer).__name__,
        "trainable_parameters": inventory(adapted).trainable,
        "weights_gb": round(sum(row["bytes"] for row in parts) / 1e9, 3),
        "parts": parts,
    }


def peak_gb(device: str) -> float:
    """The most memory so far, in GB."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated() / 1e9)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def on() -> dict[str, Any]:
    """The machine and the libraries that count here."""
    libraries = {name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")}
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        **machine(),
        "gpu": gpu and gpu.name,
        "gpu_memory_gb": gpu and round(gpu.total_memory / 1e9, 1),
        **libraries,
    }


@stage_main
def main() -> None:
    """Measure the modes asked for; the others keep their last figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, on a CPU if need be; writes only with --out")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, help="which modes (both)")
    parser.add_argument("--steps", type=int, default=3, help="training steps (3)")
    parser.add_argument("--out", type=Path, help=f"where the figures go ({RESULTS})")
    args = parser.parse_args()
    if args.steps < 1:
        raise UserError("--steps: at least one step is needed")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not args.tiny:
        raise UserError("no CUDA device here, which the full-size model needs; --tiny runs the same code at tiny size")
    config, example = (small_config(), TINY_EXAMPLE) if args.tiny else (full_config(), FULL_EXAMPLE)
    if not args.tiny:
        check_published(empty_thinker(config))
    out = args.out or (None if args.tiny else RESULTS)
    results = read_json(out) if out and out.exists() else {}
    for mode in args.modes:
        try:
            found = measure(mode, config, example, args.steps, device)
        except torch.OutOfMemoryError as error:
            raise UserError(f"{mode} does not fit on this device: {str(error).splitlines()[0]}") from None
        results[mode] = {**found, "example": asdict(example), "lora": LORA.model_dump(), "on": on()}
        print(mode, json.dumps(results[mode]))
        if out:
            write_json(out, results)
        gc.collect()  # adapted models hold themselves in cycles
        if device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
