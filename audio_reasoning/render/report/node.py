"""JSON that other stages wrote, read with its place at hand: what does not fit is told by file and key."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json


@dataclass(frozen=True)
class Node:
    """A JSON value, and where it stands: a file, and the keys that lead to it."""

    value: Any
    file: Path
    key: str = ""

    def __getitem__(self, key: str) -> "Node":
        """The value under `key`; UserError if this is no object or has no such key."""
        if not isinstance(self.value, dict) or key not in self.value:
            raise UserError(f"{self.file}: {self._below(key)} is missing; `dvc repro` writes the file anew")
        return Node(self.value[key], self.file, self._below(key))

    def get(self, key: str) -> "Node | None":
        """The value under `key`, None where it is absent or null; UserError if this is no object."""
        if not isinstance(self.value, dict):
            raise self._wrong("an object")
        return None if self.value.get(key) is None else self[key]

    def rows(self, least: int = 0) -> list["Node"]:
        """The items of a list; UserError if this is none, or holds fewer than `least`."""
        if not isinstance(self.value, list) or len(self.value) < least:
            raise self._wrong(f"a list of {least} or more" if least else "a list")
        return [Node(item, self.file, f"{self.key}[{index}]") for index, item in enumerate(self.value)]

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The names and values of an object; UserError if this is none."""
        if not isinstance(self.value, dict):
            raise self._wrong("an object")
        return ((key, self[key]) for key in self.value)

    def number(self, key: str) -> float:
        """The number under `key`; UserError if it is missing or something else."""
        node = self[key]
        if not isinstance(node.value, int | float) or isinstance(node.value, bool):
            raise node._wrong("a number")
        return float(node.value)

    def number_or_none(self, key: str) -> float | None:
        """The number under `key`, None where it is absent or null; UserError if it is something else."""
        return None if self.get(key) is None else self.number(key)

    def count(self, key: str) -> int:
        """The whole number under `key`; UserError if it is missing or something else."""
        number = self.number(key)
        if not number.is_integer():
            raise self[key]._wrong("a whole number")
        return int(number)

    def text(self, key: str) -> str:
        """The text under `key`; UserError if it is missing or something else."""
        node = self[key]
        if not isinstance(node.value, str):
            raise node._wrong("a text")
        return node.value

    def _below(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key else key

    def _wrong(self, expected: str) -> UserError:
        found = json.dumps(self.value)[:60]
        place = f"{self.key} must be" if self.key else "must hold"
        return UserError(f"{self.file}: {place} {expected}, found {found}; `dvc repro` writes the file anew")


def read_node(path: Path) -> Node | None:
    """A metrics file, None where there is none; UserError where it is not JSON."""
    return Node(read_json(path), path) if path.is_file() else None
