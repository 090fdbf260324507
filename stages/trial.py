"""`trial: true`: the whole study on about a hundred questions, to see that it runs before it costs days.

Everything that is a number of questions, problems, samples or passes is brought down to a few; what a run is (prompts,
arms, models, recipes) stays. Its figures carry a profile of their own, `a100_trial`: nothing takes them for others.
"""

from collections.abc import Mapping
from typing import Any

QUESTIONS = 100  # of a source, of each split
SUFFIX = "_trial"  # of the profile's name
_METHODS = ("rest", "sft")
_RECIPE = {
    "generate": {"problems": 30, "n": 4, "requests": 1, "silence_n": 1},
    "check": {"control_questions": 40, "control_n": 2},
    "train": {"epochs": 1},
    "gate": {"retention_n": 2, "parity_questions": 5},
}
_SEARCH = {"train": 10, "validation": 20, "heldout": 20, "minibatch": 10, "candidates": 3, "budget": 150}


def with_trial(raw: Any) -> Any:
    """Parameters as they are, or brought down where `trial` is true; what cannot be read is left to the schema."""
    if not isinstance(raw, Mapping) or raw.get("trial") is not True:
        return raw
    small = dict(raw)
    small["profile"] = f"{raw.get('profile')}{SUFFIX}"
    if isinstance(data := raw.get("data"), Mapping):
        small["data"] = _data(data)
    for method in _METHODS:
        if isinstance(group := raw.get(method), Mapping):
            small[method] = _at_most(group, _RECIPE)
    if isinstance(models := raw.get("models"), Mapping):
        small["models"] = _each(models, _RECIPE)
    if isinstance(searches := raw.get("optimize"), Mapping):
        small["optimize"] = _each(searches, _SEARCH)
    return small


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Sources that can fetch less are told to; of all, no more than a hundred questions of a split are taken."""
    sources = data.get("sources")
    if not isinstance(sources, Mapping):
        return dict(data)
    combine = dict(data.get("combine") or {})
    parts = dict(combine.get("parts") or {})
    small = {}
    for name, source in sources.items():
        limited = isinstance(source, Mapping) and "limit" in source
        small[name] = {**source, "limit": _least(source["limit"], QUESTIONS)} if limited else source
        part = dict(parts.get(name) or {})
        parts[name] = {**part, "limit": _least(part.get("limit"), QUESTIONS)}
    return {**data, "sources": small, "combine": {**combine, "parts": parts}}


def _each(named: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _at_most(one, limits) if isinstance(one, Mapping) else one for name, one in named.items()}


def _least(value: Any, most: int) -> int:
    return min(value, most) if isinstance(value, int) else most


def _at_most(group: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """The group with each number that is limited no larger than its limit; keys that it lacks are not added."""
    small = dict(group)
    for key, limit in limits.items():
        value = group.get(key)
        if isinstance(limit, Mapping):
            small |= {key: _at_most(value, limit)} if isinstance(value, Mapping) else {}
        elif isinstance(value, int):
            small[key] = min(value, limit)
    return small
