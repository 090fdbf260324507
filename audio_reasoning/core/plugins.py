"""Parts that are named in parameters: by a short name of ours, or as `module:object` of anybody's."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from audio_reasoning.core.errors import UserError, nearest


def load_object(name: str, where: str) -> Any:
    """The object that `module:object` names; UserError, prefixed by `where`, if there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}: cannot load {name!r} ({error}); a part is named as module:object") from None


def load_part(name: str, known: Mapping[str, str], where: str) -> Any:
    """The part of that name: one of `known` (name to module:object), or any other as module:object."""
    if ":" in name:
        return load_object(name, where)
    if name not in known:
        raise UserError(f"{where}: {name!r} is not known; {nearest(name, known)}, or module:object")
    return load_object(known[name], where)
