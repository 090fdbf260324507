"""One value of a YAML file replaced in place: comments, order and quotes of all else stay as they are."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_write, read_text
from audio_reasoning.core.parse import parse_yaml


def with_text(text: str, keys: Sequence[str], value: str, where: str) -> str | None:
    r"""The YAML `text` with a text as the value of nested `keys`; None if the mapping that would hold it is not there.

    Raises UserError, which `where` begins, for what is no YAML, and for a mapping in braces that lacks the last key.

    >>> with_text("a:\n  b: ''   # why\n", ["a", "b"], "x", "f")
    'a:\n  b: "x"   # why\n'
    """
    parse_yaml(text, where)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(keys):
        if not isinstance(node, yaml.MappingNode):
            return None
        child = next((v for k, v in node.value if k.value == key), None)
        if child is None and depth == len(keys) - 1 and node.value:
            first = node.value[0][0].start_mark
            if node.flow_style:
                raise UserError(
                    f'{where}:{first.line + 1}: add {key}: "{value}" by hand: what is in braces is not edited'
                )
            return f'{text[: first.index]}{key}: "{value}"\n{" " * first.column}{text[first.index :]}'
        node = child
    if node is None:
        return None
    return f'{text[: node.start_mark.index]}"{value}"{text[node.end_mark.index :]}'


def write_text_value(path: Path, keys: Sequence[str], value: str) -> bool:
    """Set a text in a YAML file; False, and nothing written, where the file or its mapping is not there."""
    if not path.is_file():
        return False
    changed = with_text(read_text(path), keys, value, str(path))
    if changed is None:
        return False
    node = parse_yaml(changed, str(path))
    for key in keys:
        node = node[key]
    if node != value:
        raise UserError(f"{path}: {'.'.join(keys)} cannot be set in place; set it to {value} by hand")
    with atomic_write(path) as file:
        file.write(changed)
    return True
