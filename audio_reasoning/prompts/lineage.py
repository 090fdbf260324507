"""Which prompt was made from which: the prompts of a folder as a tree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.prompts.registry import Prompt, load_prompt


@dataclass(frozen=True)
class Branch:
    """A prompt in the tree: `parent` is the prompt that it was made from, None if that is not in the folder.

    `last` says for each step down from a root whether it leads to the last child there; empty at a root.
    """

    prompt: Prompt
    parent: Prompt | None
    last: tuple[bool, ...]


def read_prompts(folder: Path) -> list[Prompt]:
    """Every prompt of a folder once, in alphabetical order: files that are called by an alias are passed over.

    Raises UserError as `load_prompt` does.
    """
    files = [path for path in sorted(folder.glob("*.yaml")) if not path.is_symlink()]
    prompts = [(path.stem, load_prompt(path.stem, folder)) for path in files]
    return [prompt for name, prompt in prompts if name == prompt.name]  # a copy may have made files of links


def lineage(prompts: Sequence[Prompt]) -> list[Branch]:
    """The tree, each prompt before those that were made from it, and otherwise in the order given.

    A parent may be called by an alias. Raises UserError for prompts that were made from each other.
    """
    named = {name: prompt for prompt in prompts for name in (prompt.name, *prompt.aliases)}
    children: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        parent = named.get(prompt.parent or "")
        children.setdefault(parent.name if parent else "", []).append(prompt)

    def below(parent: Prompt | None, last: tuple[bool, ...]) -> Iterator[Branch]:
        siblings = children.get(parent.name if parent else "", [])
        for prompt in siblings:
            place = (*last, prompt is siblings[-1]) if parent else ()
            yield Branch(prompt, parent, place)
            yield from below(prompt, place)

    tree = list(below(None, ()))
    if circle := {prompt.name for prompt in prompts} - {branch.prompt.name for branch in tree}:
        raise UserError(
            f"prompts: {', '.join(sorted(circle))} are each made from another of them; the `parent` of one is wrong"
        )
    return tree
