"""Reading `params.yaml`: an unknown or mistyped key stops the run at once and names the nearest valid one.

Each stage says which groups it reads by a schema of its own, and which keys of them; all groups together are
stages/project.py.
"""

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.parse import parse_yaml
from stages.aliases import with_listed_names
from stages.trial import with_trial

PARAMS = Path("params.yaml")
Schema = TypeVar("Schema", bound=BaseModel)


def load_params(schema: type[Schema], *declared: str, path: Path = PARAMS) -> Schema:
    """Read and check the groups of `schema`, then keep only the `declared` dotted keys and `runtime`.

    A stage passes the keys that `dvc.yaml` declares for it. Reading any other key raises
    AttributeError (KeyError in a mapping), so no stage can depend on a parameter that DVC does not
    track for it. Without `declared`, everything is kept.

    Raises UserError for a missing file, a key that does not exist, or a value of the wrong type.
    """
    raw = with_trial(with_listed_names(_read_yaml(path)))
    if isinstance(raw, dict) and declared:  # what else there is concerns other stages
        raw = {group: value for group, value in raw.items() if group in schema.model_fields}
    params = parse_params(schema, raw, str(path))
    if not declared:
        return params
    untracked = ["runtime"] if "runtime" in schema.model_fields else []
    kept = [key.split(".") for key in (*declared, *untracked)]
    for key in kept:
        _resolve(params, key)
    _prune(params, kept)
    return params


def parse_params(schema: type[Schema], raw: Any, where: str, below: str = "") -> Schema:
    """Check a composed mapping; `where` names it in the message, and `below` the key that it is the value of."""
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise UserError("\n".join(_explain(schema, e, where, raw, below) for e in error.errors())) from None


def _read_yaml(path: Path) -> Any:
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (run from the folder that holds dvc.yaml)") from None


def _explain(schema: type[BaseModel], error: Any, where: str, raw: Any, below: str) -> str:
    # pydantic names the discriminated branch ("mini") inside the location; only real keys stay.
    location: list[str] = []
    node = raw
    for part in error["loc"]:
        known = (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int))
        if known or (error["type"] == "missing" and part == error["loc"][-1]):
            location.append(str(part))
            node = node[part] if known else None
    key = ".".join([below, *location] if below else location)
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown parameter {key}; {nearest(location[-1], _siblings(schema, location[:-1], raw))}"
    if error["type"] == "missing":
        return f"{where}: parameter {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if isinstance(error["input"], dict) else f" (found {error['input']!r})"
    return f"{where}: {key + ': ' if key else ''}{message}{given}"


def _siblings(schema: type[BaseModel], path: list[str], raw: Any) -> list[str]:
    """The valid keys beside an unknown one, read off the schema."""
    models: list[type[BaseModel]] = [schema]
    for part in path:
        raw = raw[part]
        below = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if below:  # else part is a name in a mapping, whose schema is that of its values
            models = [model for annotation in below for model in _models_in(annotation)]
    loader = raw.get("loader")
    names = {m: get_args(m.model_fields["loader"].annotation) for m in models if "loader" in m.model_fields}
    chosen = [m for m in names if loader in names[m]] or [m for m in names if not names[m]]
    return sorted({field.alias or name for model in chosen or models for name, field in model.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _resolve(node: Any, key: list[str]) -> None:
    for index, part in enumerate(key):
        valid = node if isinstance(node, dict) else _attributes(node)
        if part not in valid:
            raise UserError(f"no parameter {'.'.join(key[: index + 1])}; {nearest(part, valid)}")
        node = node[part] if isinstance(node, dict) else getattr(node, valid[part])


def _prune(node: Any, kept: list[list[str]]) -> None:
    values = node if isinstance(node, dict) else node.__dict__
    attributes = {name: name for name in node} if isinstance(node, dict) else _attributes(node)
    for name, attribute in attributes.items():
        below = [key[1:] for key in kept if key[0] == name]
        if not below:
            del values[attribute]
        elif all(below) and isinstance(values[attribute], (BaseModel, dict)):
            _prune(values[attribute], below)


def _attributes(node: BaseModel) -> dict[str, str]:
    """The names that a group has in `params.yaml`, and its attributes' names here, which cannot be `from`."""
    return {field.alias or name: name for name, field in type(node).model_fields.items()}
