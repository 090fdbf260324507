"""The tree of models: each says which one it starts from, what is done to that, and how its recipe differs.

A recipe is the method's group of the parameters (`rest`), with what the model itself says laid over it.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from audio_reasoning.algorithms.methods import OF_OTHERS
from audio_reasoning.algorithms.params import Recipe
from audio_reasoning.algorithms.rest.params import Rest
from audio_reasoning.algorithms.sft.params import Sft
from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import Start
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Strict

# The methods of our own, each with a group of its name in the parameters.
METHOD_RECIPES: dict[str, type[Recipe]] = {"rest": Rest, "sft": Sft}
CANDIDATES = "candidates"  # a folder beside those of the models


class Node(Start):
    """One model of the tree, and what of its method's recipe is otherwise."""

    model_config = Strict.model_config

    # What trains: a method of our own, or module:object of anybody's, which alone reads `options`.
    method: Annotated[str, Field(pattern=r"^([a-z]\w*|[\w.]+:\w+)$")]
    options: dict[str, Any] = Field(default_factory=dict)
    prompt: str | None = None
    seed: int | None = None
    learning_rate: float | None = None
    generate: dict[str, Any] = Field(default_factory=dict)
    select: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    check: dict[str, Any] = Field(default_factory=dict)
    gate: dict[str, Any] = Field(default_factory=dict)

    @property
    def group(self) -> str:
        """The group of the parameters that its recipe is laid over."""
        return OF_OTHERS if ":" in self.method else self.method

    def changes(self) -> dict[str, Any]:
        """What of the recipe is otherwise."""
        return self.model_dump(exclude={"start", "method", "options"}, exclude_unset=True)


def laid_over(group: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with changes, mapping by mapping.

    >>> laid_over({"seed": 1, "train": {"epochs": 8, "batch_size": 6}}, {"train": {"epochs": 2}})
    {'seed': 1, 'train': {'epochs': 2, 'batch_size': 6}}
    """
    below = {key for key in changes if isinstance(changes[key], Mapping) and isinstance(group.get(key), Mapping)}
    return {**group, **changes, **{key: laid_over(group[key], changes[key]) for key in below}}


def check_tree(nodes: Mapping[str, Node]) -> Mapping[str, Node]:
    """The nodes, if each one starts from the base or from an earlier one, so that there are no cycles.

    Raises ValueError with the fault and the nearest name, for methods too.
    """
    for name in (BASE, CANDIDATES):
        if name in nodes:
            raise ValueError(f"a model must not be called {name!r}, whose folder of models/ is another one's")
    names = [BASE, *nodes]
    for position, (name, node) in enumerate(nodes.items()):
        earlier = names[: position + 1]
        if node.start not in names:
            raise ValueError(f"{name} starts from the unknown {node.start!r}; {nearest(node.start, earlier)}")
        if node.start not in earlier:
            raise ValueError(
                f"{name} starts from {node.start!r}, which is not listed before it; "
                f"a model starts from {BASE} or from an earlier one: {', '.join(earlier)}"
            )
        if node.group not in METHOD_RECIPES:
            raise ValueError(f"{name} has the unknown method {node.method!r}; {nearest(node.method, METHOD_RECIPES)}")
        if node.options and node.method in METHOD_RECIPES:
            raise ValueError(f"{name} has options, which the method {node.method} does not read; leave them out")
    return nodes
