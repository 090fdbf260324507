"""`audio-reasoning export`: a model of this project, in a folder that others can serve."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  audio-reasoning export iter3 --out /models/iter3          && vllm serve /models/iter3
  audio-reasoning export iter3 --out adapters/iter3 --adapter
  audio-reasoning export base --out /models/base
"""


def command(
    model: Annotated[str, typer.Argument(help="A model of models/: iter3, or base")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet")],
    adapter: Annotated[bool, typer.Option("--adapter", help="Its adapter only, as PEFT reads it")] = False,
) -> None:
    """Write a servable checkpoint: a model's adapter merged into its base, the adapter alone, or the base itself."""
    import shutil

    from audio_reasoning.core.errors import UserError
    from audio_reasoning.core.files import atomic_dir
    from audio_reasoning.core.models import resolve
    from audio_reasoning.core.runs import BASE
    from stages.answer import read_manifest
    from stages.layout import BASE_MODEL, cache_dir, model_dir

    if out.exists():
        raise UserError(f"{out}: exists already; give --out a folder that does not")
    read_manifest(model)
    base, trained = resolve(model_dir(model), BASE_MODEL)
    if trained is None and (adapter or model != BASE):
        raise UserError(f"models/{model} has no adapter: it is the base model, which `export {BASE}` writes")
    if trained is None:
        source = _checkpoint(base)
    elif adapter:
        source = trained
    else:
        from audio_reasoning.families.merged import merged_checkpoint

        source = merged_checkpoint(base, trained, cache_dir())
    with atomic_dir(out) as scratch:
        shutil.copytree(source, scratch, dirs_exist_ok=True)
    print(f"{out}: {'the adapter of' if adapter else 'the checkpoint of'} models/{model}")


def _checkpoint(base: Path) -> Path:
    """The folder of a base model; UserError where its weights are not in it."""
    from audio_reasoning.core.errors import UserError
    from audio_reasoning.families.qwen3_omni.checkpoint import source

    hub = source(base)
    if "revision" in hub:
        name, commit = hub.values()
        raise UserError(
            f"{base}: only points at {name} on the hub, so there is nothing to export; "
            f"`vllm serve {name} --revision {commit}` serves it"
        )
    return base
