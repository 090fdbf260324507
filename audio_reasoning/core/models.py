"""Model folders, told apart by what is in them; nothing here imports torch.

The base model's is a checkpoint or points at one on the hub. A trained model's holds a model.json and, unless it
ended with the base model itself, an adapter on it in `adapter/`.
"""

from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, sha256_file, sha256_json

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def base_identity(base: Path) -> str:
    """The hash of the base model's files (for a hub model: of its pointer and configuration).

    Raises UserError when there is no such folder.
    """
    if not base.is_dir():
        raise UserError(f"{base}: no model there; `dvc repro base_model` makes it")
    return sha256_json({file.name: sha256_file(file) for file in sorted(base.iterdir()) if file.is_file()})


def adapter_of(model_dir: Path, base: Path) -> Path | None:
    """The adapter of a model folder, None for the base itself or a model that stayed it.

    Raises UserError when the folder is not there, the adapter was trained on another base, or its file is not the
    one that was accepted.
    """
    if model_dir == base:
        return None
    manifest = model_dir / "model.json"
    row = read_json(manifest)
    if row["base"] != base_identity(base):
        raise UserError(
            f"{model_dir}: its adapter was trained on another base model than {base}; `dvc repro` retrains it"
        )
    if row["adapter"] is None:
        return None
    adapter = model_dir / "adapter"
    if adapter_identity(adapter)["adapter"] != row["adapter"]:
        raise UserError(f"{adapter}: the weights are not those that {manifest} names; `dvc checkout {model_dir}`")
    return adapter


def resolve(model_dir: Path, base: Path) -> tuple[Path, Path | None]:
    """The checkpoint that a model folder stands for, and the adapter on it, if any; trained models adapt `base`.

    Raises UserError as `adapter_of` does.
    """
    if not (model_dir / "model.json").is_file():
        return model_dir, None
    return base, adapter_of(model_dir, base)


def adapter_identity(adapter: Path | None) -> dict[str, str]:
    """What of an adapter decides answers, nothing without one: its weights' hash, and that of their configuration.

    The latter is told apart because it holds the scale. Raises UserError when a file is missing.
    """
    if adapter is None:
        return {}
    for name in (WEIGHTS, CONFIG):
        if not (adapter / name).is_file():
            raise UserError(f"{adapter}: not an adapter ({name} is missing); `dvc repro` trains it")
    return {"adapter": sha256_file(adapter / WEIGHTS), "adapter_config": sha256_file(adapter / CONFIG)}


def adapter_name(adapter: Path) -> str:
    """The model that an adapter comes from: candidates/iter1 and iter1/adapter are iter1's."""
    return adapter.absolute().parent.name if adapter.name == "adapter" else adapter.absolute().name


def merged_path(base: Path, adapter: Path, work: Path) -> Path:
    """Where in `work` the checkpoint of `base` with `adapter` merged into it is, once `merged_checkpoint` made it.

    The folder's own name is the model's: servers name models by it.
    """
    key = sha256_json([base_identity(base), adapter_identity(adapter)])[:16]
    return work.absolute() / "merged" / key / adapter_name(adapter)
