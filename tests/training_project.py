"""A tiny project for self-training: a thinker of random weights, two sounds, and traces that name them."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from audio_reasoning.core.files import sha256_file, write_json
from audio_reasoning.core.models import base_identity
from audio_reasoning.core.rollouts import Trace, write_records
from audio_reasoning.families.adapters import adapt, save_adapter
from audio_reasoning.families.family import family_of
from audio_reasoning.families.params import Lora, Tiny
from audio_reasoning.families.qwen3_omni.checkpoint import save_servable
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.families.qwen3_omni.tiny import new_feature_extractor, new_thinker
from audio_reasoning.families.qwen3_omni.tokenizer import train_tokenizer
from audio_reasoning.training.dataset import Clips, Rows
from audio_reasoning.training.params import Train
from stages.layout import AUDIO, TRAINING
from tests.training_records import write_parameters

ROOT = Path(__file__).parent.parent
BASE = Path("models/base")
TINY = Tiny(
    seed=1, vocab_size=600, hidden_size=64, layers=2, experts=2,
    questions=64, min_share=0.03, steps=1, short_share=0.0, batch_size=2, learning_rate=1e-3,
)  # fmt: skip
SECONDS = 0.5
SOUNDS = ("a bell rings", "rain falls down")  # in clips of even and of odd numbers


def write_base(folder: Path) -> None:
    """A tiny thinker of random weights."""
    texts = [f"<think>HEARD: {sound}.</think> ANSWER: {sound}" for sound in SOUNDS] + ["Which sound is heard?"]
    tokenizer = train_tokenizer(texts * 5, 600, 4096)
    save_servable(new_thinker(tokenizer, TINY), tokenizer, new_feature_extractor(), folder)


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make `folder`, which holds models/base, the project and the working directory."""
    patch.chdir(folder)
    patch.setenv("DVC_ROOT", str(folder))
    patch.setenv("PYTHONPATH", str(ROOT))
    processor.cache_clear()


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Training takes all the cores it may use; for models this small, threads cost more than they give."""
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(cores)})
    torch.set_num_threads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)


def train_params(**changes: Any) -> Train:
    """Small and plain, whatever the profile says."""
    plain = {
        "reset_to_base": True,
        "lora": {"targets": "attention", "rank": 4, "alpha": 8},
        "quantization": "none",
        "optimizer": "adamw",
        "dtype": "float32",
        "learning_rate_scale": 1.0,
        "warmup_share": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "epochs": 1,
        "batch_size": 8,
        "share_prompts": False,
        "micro_batch_size": 8,
        "gradient_checkpointing": False,
        "kl_coefficient": 0.0,
    }
    return Train.model_validate({**plain, **changes})


def clip(number: int) -> Path:
    """A tone, high or low, with noise of its own."""
    path = AUDIO / f"mini/{number}.flac"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        t = np.arange(round(SECONDS * 16_000)) / 16_000
        tone = np.sin(2 * np.pi * (3_000 if number % 2 else 300) * t)
        soundfile.write(path, 0.3 * tone + 0.01 * np.random.default_rng(number).standard_normal(len(t)), 16_000)
    return path


@functools.cache
def processor() -> AudioTextProcessor:
    return AudioTextProcessor.from_checkpoint(BASE)


def trace(number: int, weight: float = 1.0, more: str = "") -> Trace:
    """What is heard in clip `number`, named right; `more` is said while thinking."""
    path = clip(number)
    text = f"<think>HEARD: {SOUNDS[number % 2]}. {more}</think> ANSWER: {SOUNDS[number % 2]}"
    features = processor().features(soundfile.read(path, dtype="float32")[0])
    return Trace(
        problem_id=f"q{number}",
        model="iter1",
        sample_index=0,
        pass_rate=0.5,
        weight=weight,
        sub_category="Music Theory",
        group=f"g{number}",
        audio_path=str(path.relative_to(AUDIO)),
        audio_sha256=sha256_file(path),
        duration_s=SECONDS,
        text=text,
        prompt_token_ids=tuple(processor().encode("", "Which sound is heard?", features).ids),
        completion_token_ids=tuple(processor().tokenizer.encode(text + "<|im_end|>", add_special_tokens=False)),
    )


def dataset(traces: Sequence[Trace], share_prompts: bool = False) -> Rows:
    return Rows(traces, Clips(processor(), AUDIO), share_prompts)


def write_adapter(folder: Path, targets: str = "attention", rank: int = 4, seed: int = 0, std: float = 0.2) -> Path:
    """An adapter in `folder` that does something, the more the larger `std` is."""
    family, lora = family_of(BASE), Lora(targets=targets, rank=rank, alpha=2 * rank)  # type: ignore[arg-type]
    adapted = adapt(family.load(BASE), lora, family.adapter_names(targets), seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=std)
    folder.mkdir(parents=True)
    save_adapter(adapted, folder)
    return folder


def write_model_folder(name: str, **adapter: Any) -> Path:
    """A model folder as a model leaves it; the adapter's folder."""
    folder = write_adapter(Path("models") / name / "adapter", **adapter)
    weights = sha256_file(folder / "adapter_model.safetensors")
    row = {"base": base_identity(BASE), "adapter": weights, "model": name, "depth": 1, "accepted": True}
    write_json(folder.parent / "model.json", row)
    return folder


def write_params(train: Train, checkpoint_steps: int = 10, **models: dict[str, Any]) -> None:
    """The parameters of the working tree, with this training."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["rest"]["train"] = train.model_dump()
    raw["models"] = {name: {"method": "rest", **node} for name, node in models.items()}
    raw["runtime"]["checkpoint_steps"] = checkpoint_steps
    write_parameters(raw)


def write_bank(name: str, traces: Sequence[Trace]) -> None:
    write_records(TRAINING / name / "bank.parquet", Trace, traces)
