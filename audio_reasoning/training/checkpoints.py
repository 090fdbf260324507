"""Where a training keeps its checkpoint: outside DVC's outputs, and no longer than it is of use."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.optim import Optimizer

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_path, sha256_json

CHECKPOINT, _LOCK = "checkpoint.pt", "lock"


def save_checkpoint(
    path: Path, trained: Mapping[str, Tensor], optimizer: Optimizer, rows: Sequence[dict[str, Any]]
) -> None:
    """Write weights, the optimiser's state, the generators' and the rows so far; a kill leaves the file before."""
    state = {
        "trained": dict(trained),
        "optimizer": optimizer.state_dict(),
        "generators": [torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []],
        "rows": list(rows),
    }
    with atomic_path(path) as beside:
        torch.save(state, beside)


def load_checkpoint(path: Path | None, trained: Mapping[str, Tensor], optimizer: Optimizer) -> list[dict[str, Any]]:
    """Put the checkpoint's state where it belongs and return its rows; no rows if there is no file."""
    if path is None or not path.is_file():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert state["trained"].keys() == trained.keys(), f"{path}: of another model"
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(state["trained"][name])
    optimizer.load_state_dict(state["optimizer"])
    on_cpu, on_gpus = state["generators"]
    torch.set_rng_state(on_cpu)
    if on_gpus:
        torch.cuda.set_rng_state_all(on_gpus)
    return list(state["rows"])


@contextmanager
def checkpoint_file(name: str, decided_by: Any, work: Path) -> Iterator[Path]:
    """Yield where the one training of the model `name` that `decided_by`, a JSON value, describes keeps its checkpoint.

    It stays when that training is interrupted. It goes when the training has ended, and when it diverged (UserError):
    from there, it would do so again. What other trainings of this model left is deleted at once, unless another
    process is at it. Waits while another process does this very training.
    """
    root = work / "training"
    folder = root / f"{name}-{sha256_json(decided_by)[:16]}"
    with _locked(folder, timeout_s=-1):
        for other in root.glob(f"{name}-*"):  # a name has no dash
            if other != folder:
                _remove_unless_in_use(other)
        try:
            yield folder / CHECKPOINT
        except UserError:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _remove_unless_in_use(folder: Path) -> None:
    """Experiments in temporary workspaces share the cache: one may be training the same model now."""
    try:
        with _locked(folder, timeout_s=0):
            shutil.rmtree(folder)
    except Timeout:
        pass


def _locked(folder: Path, timeout_s: float) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / _LOCK, timeout=timeout_s)
