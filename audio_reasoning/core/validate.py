"""Data from elsewhere held against a pydantic model, and its first mistake told in one message."""

import functools
import json
from collections.abc import Hashable
from typing import Any, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from audio_reasoning.core.errors import UserError, nearest

T = TypeVar("T")
LONGEST = 200  # characters of a wrong value in a message
UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")  # of a dataclass, of a model


def validated(model: type[T], row: object, where: str) -> T:
    """`row` as a record of a pydantic model or dataclass.

    The description of a field says what it must be. Raises UserError, which `where` begins: an unknown field with its
    nearest name first, then one that is missing, then the first of a wrong value.
    """
    try:
        record: T = _adapter(cast(Hashable, model)).validate_python(row)
    except ValidationError as error:
        rank = {**dict.fromkeys(UNKNOWN, 0), "missing": 1}
        first = min(error.errors(include_url=False), key=lambda one: rank.get(one["type"], 2))
        raise UserError(_told(model, first["type"], first["loc"], first["input"], first["msg"], where)) from None
    return record


@functools.cache
def _adapter(model: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, model))


def _told(model: Any, kind: str, location: tuple[int | str, ...], value: object, message: str, where: str) -> str:
    fields = {field.alias or name: field for name, field in model.__pydantic_fields__.items()}
    if not location:
        return f"{where}: {message.removeprefix('Value error, ')}"
    name, *below = location
    if kind in UNKNOWN and not below:
        return f"{where}: unknown field {name!r} of {model.__name__}; {nearest(str(name), fields)}"
    if kind == "missing" and not below:
        return f"{where}: the field {name!r} is missing"
    field = fields[str(name)]
    record = _record(field.annotation)
    if record and below:
        index = f"[{below.pop(0)}]" if isinstance(below[0], int) else ""
        return _told(record, kind, tuple(below), value, message, f"{where}: {name}{index}")
    if below:
        place = "".join(f"[{index}]" for index in below)
        return f"{where}: {name!r} must be {field.description}, found {_short(value)} in {name}{place}"
    return f"{where}: {name!r} must be {field.description}, found {_short(value)}"


def _record(annotation: Any) -> Any:
    """The record that a field holds, by itself, or null, or in a list; None where it holds none."""
    if hasattr(annotation, "__pydantic_fields__"):
        return annotation
    return next((record for inner in get_args(annotation) if (record := _record(inner))), None)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
