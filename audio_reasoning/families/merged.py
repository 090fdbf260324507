"""Checkpoints with an adapter merged into the base model, for servers that cannot put one on by themselves.

vLLM needs Triton for adapters of a mixture of experts, and so a GPU; on a CPU it serves these.
"""

import fcntl
import shutil
from pathlib import Path

import torch

from audio_reasoning.core.disk import check_room, filling
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_dir, read_json
from audio_reasoning.core.hub import fetch_model
from audio_reasoning.core.models import merged_path
from audio_reasoning.core.progress import progress
from audio_reasoning.families.deltas import Delta, deltas
from audio_reasoning.families.shards import Change, checkpoint_tensors, copy_others, rewrite, shards_of

KEPT = 8  # merged checkpoints; each is as large as its base


def merged_checkpoint(base: Path, adapter: Path, work: Path) -> Path:
    """The folder of a servable checkpoint of `base` with `adapter` merged into it, made where it is missing.

    The `KEPT` checkpoints that were made last stay in the folder `work`, older ones go.

    Raises UserError as `merge` does.
    """
    path = merged_path(base, adapter, work)
    cache = path.parent.parent
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:  # two processes must not replace each other's folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_dir():
            with filling(path), atomic_dir(path) as scratch:
                merge(base, adapter, scratch)
            for old in sorted(cache.glob("*/"), key=_made, reverse=True)[KEPT:]:
                shutil.rmtree(old)
    return path


def merge(base: Path, adapter: Path, target: Path) -> None:
    """Write the checkpoint of `base` with `adapter` merged into it to the empty folder `target`.

    Shard by shard and matrix by matrix, in the base's own type, so that memory is needed for a few matrices only. All
    other files are the base's. A hub model is read from the hub's own cache, to which it is downloaded if need be.

    Raises UserError when the adapter does not fit the base, a shard is missing or cut short, the disk has no room, or
    merging gives numbers that are none.
    """
    folder = checkpoint_folder(base)
    tensors = checkpoint_tensors(folder)
    changes = {name: _change(name, delta, base, adapter) for name, delta in deltas(adapter, tensors).items()}
    shards = shards_of(folder)
    check_room(sum(file.stat().st_size for file in shards), target)
    with progress(len(shards), "file", f"merging {adapter}") as bar:
        copy_others(folder, target)
        if folder != base and (base / "family.json").is_file():
            shutil.copyfile(base / "family.json", target / "family.json")
        for shard in shards:
            rewrite(shard, target / shard.name, changes)
            bar.update()


def checkpoint_folder(base: Path) -> Path:
    """The folder of the base's files: itself, or that of the hub's cache which its pointer.json stands for.

    Raises UserError when the hub model cannot be had.
    """
    if not (base / "config.json").is_file():
        raise UserError(f"{base}: no model there; `dvc repro base_model` makes it")
    if not (base / "pointer.json").is_file():
        return base
    pointer = read_json(base / "pointer.json")
    return fetch_model(pointer["id"], pointer["revision"])


def _change(name: str, delta: Delta, base: Path, adapter: Path) -> Change:
    def change(weights: torch.Tensor) -> torch.Tensor:
        try:
            return delta.add_to(weights)
        except ValueError as error:
            raise UserError(f"{adapter}: the adapter cannot be merged into {base}: {name}: {error}") from None

    return change


def _made(folder: Path) -> int:
    return folder.stat().st_mtime_ns
