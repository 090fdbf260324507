"""Checkpoints with an adapter merged into the base model, for servers that cannot put one on by themselves.

vLLM needs Triton for adapters of a mixture of experts, and so a GPU; on a CPU it serves these.
"""

import fcntl
import shutil
from pathlib import Path

import torch

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_dir
from audio_reasoning.core.models import merged_path
from audio_reasoning.families.adapters import attach
from audio_reasoning.families.family import family_of

KEPT = 8  # merged checkpoints; each is as large as its base


def merged_checkpoint(base: Path, adapter: Path, work: Path) -> Path:
    """The folder of a servable checkpoint of `base` with `adapter` merged into it, made where it is missing.

    The `KEPT` checkpoints that were made last stay in the folder `work`, older ones go.

    Raises UserError when the adapter does not fit the base, or merging gives numbers that are none.
    """
    path = merged_path(base, adapter, work)
    cache = path.parent.parent
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:  # two processes must not replace each other's folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_dir():
            with atomic_dir(path) as scratch:
                _merge(base, adapter, scratch)
            for old in sorted(cache.glob("*/"), key=_made, reverse=True)[KEPT:]:
                shutil.rmtree(old)
    return path


def _merge(base: Path, adapter: Path, target: Path) -> None:
    family = family_of(base)
    adapted = attach(family.load(base, device="cpu"), adapter)
    try:
        merged = adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:  # of safe_merge: an adapter whose training diverged
        raise UserError(f"{adapter}: the adapter cannot be merged into {base}: {error}") from None
    family.save(merged, family.processor(base), target)
    wanted, saved = merged.state_dict(), family.load(target, device="cpu").state_dict()
    assert wanted.keys() == saved.keys(), f"{target}: other weights than the merged model has"
    for name, weights in wanted.items():
        assert torch.equal(weights, saved[name]), f"{target}: {name} is not as it was merged"


def _made(folder: Path) -> int:
    return folder.stat().st_mtime_ns
