"""Other names of a prompt: links beside its file, so that whatever is given the name of a prompt finds its text."""

from pathlib import Path

from audio_reasoning.prompts.prompt import Prompt


def own_name(name: str, folder: Path) -> str:
    """The name of the prompt that is called `name`: that of the file which the link `folder/name.yaml` leads to.

    A name that is no link to a prompt of the same folder is its own.
    """
    path = folder / f"{name}.yaml"
    if not path.is_symlink():
        return name
    target = path.resolve()
    return target.stem if target.is_file() and target.parent == folder.resolve() else name


def missing_links(prompt: Prompt, folder: Path) -> list[str]:
    """For each alias that does not lead to the prompt's file, how to mend it."""
    return [
        f"{folder / prompt.name}.yaml: the alias {alias} is no link to it; "
        f"`ln -sf {prompt.name}.yaml {folder / alias}.yaml`, or take it out of aliases"
        for alias in prompt.aliases
        if own_name(alias, folder) != prompt.name
    ]
