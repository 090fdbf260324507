"""Where a training keeps its checkpoints: outside DVC's outputs, and no longer than they are of use."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import cache_dir, sha256_json

_WHOLE = "complete"  # written into a checkpoint last


class WholeCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Mark a checkpoint once all of it is written: a kill may leave half of one."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the mark."""
        (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _WHOLE).touch()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, None if there is none."""
    whole = [mark.parent for mark in folder.glob(f"checkpoint-*/{_WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


@contextmanager
def checkpoint_folder(iteration: str, decided_by: Any) -> Iterator[Path]:
    """Yield the folder of the one training of `iteration` that `decided_by`, a JSON value, describes.

    It stays when that training is interrupted. It goes when the training has ended, and when it diverged (UserError):
    from its last checkpoint, it would do so again. What other trainings of this iteration left is deleted at once.
    """
    root = cache_dir() / "training"
    folder = root / f"{iteration}-{sha256_json(decided_by)[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_SH):
        for other in root.glob(f"{iteration}-*"):  # a name has no dash
            if other != folder:
                _remove_unless_in_use(other)
        try:
            yield folder
        except UserError:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _remove_unless_in_use(folder: Path) -> None:
    """Experiments in temporary workspaces share the cache: one may be training the same iteration now."""
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder)
    except (BlockingIOError, FileNotFoundError):
        pass


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
