"""`audio-reasoning export`: a model of this project, in a folder that others can serve."""

from pathlib import Path
from typing import Annotated, Literal

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
    """Write a servable checkpoint: a model's adapter merged into its base, the adapter alone, or the base itself.

    A model card, README.md, is in it: the data, the training, the results and how to load it. The folder is whole or
    absent: what an interrupted run left is removed by the next. Merging takes memory for a few matrices only.
    """
    from audio_reasoning.core.disk import new_folder
    from audio_reasoning.core.errors import UserError
    from audio_reasoning.core.files import write_bytes
    from audio_reasoning.core.models import resolve
    from audio_reasoning.core.runs import BASE
    from audio_reasoning.render.model_card import model_card
    from stages.answer import read_manifest
    from stages.layout import BASE_MODEL, model_dir
    from stages.model_card import facts_of
    from stages.project import load_project

    with new_folder(out) as scratch:
        project = load_project()
        read_manifest(model)
        base, trained = resolve(model_dir(model), BASE_MODEL)
        if trained is None and (adapter or model != BASE):
            raise UserError(f"models/{model} has no adapter: it is the base model, which `export {BASE}` writes")
        kind: Literal["merged", "adapter", "base"] = "base" if trained is None else "adapter" if adapter else "merged"
        checkpoint = _checkpoint(base) if trained is None else base
        if trained is None:
            _copy(checkpoint, scratch)
        elif adapter:
            _check_fits(base, trained)
            _copy(trained, scratch)
        else:
            from audio_reasoning.families.merged import checkpoint_folder, merge

            checkpoint = checkpoint_folder(base)
            merge(base, trained, scratch)
        card = model_card(facts_of(model, kind, base, checkpoint, trained, project))
        write_bytes(scratch / "README.md", card.encode())
    print(
        f"{out}: {'the adapter of' if adapter else 'the checkpoint of'} models/{model}, and its model card, README.md"
    )


def _copy(source: Path, target: Path) -> None:
    """Copy the files of a model, with room for them looked for first."""
    import shutil

    from audio_reasoning.core.disk import check_room

    files = [file for file in sorted(source.iterdir()) if file.is_file()]
    check_room(sum(file.stat().st_size for file in files), target)
    for file in files:
        shutil.copyfile(file, target / file.name)


def _check_fits(base: Path, adapter: Path) -> None:
    """See that the adapter's matrices are the base's, where the base's files are here; else its hash must do."""
    if (base / "pointer.json").is_file():
        return
    from audio_reasoning.families.deltas import deltas
    from audio_reasoning.families.shards import checkpoint_tensors

    deltas(adapter, checkpoint_tensors(base))


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
