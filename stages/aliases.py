"""What the parameters call a prompt that has several names: an alias is another name, never another prompt."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.run_names import Prompts
from audio_reasoning.core.runs import Run, named_run
from audio_reasoning.prompts.aliases import own_name
from stages.layout import PROMPTS

# Where parameters name a prompt or runs that no path in dvc.yaml is made of.
NAMING = (("headline", "variant"), ("compare", "contrasts"), ("judge", "runs"), ("submission", "run"))


def listed_name(variant: str, variants: Collection[str]) -> str:
    """The name by which `variants` list a prompt, its own where they do not."""
    if variant in variants:
        return variant
    own = own_name(variant, PROMPTS)
    return next((name for name in variants if own_name(name, PROMPTS) == own), own)


def listed_run(run: Run, variants: Collection[str]) -> Run:
    """The same run, its prompt named by `listed_name`."""
    return replace(run, variant=listed_name(run.variant, variants))


def same_prompt(variants: Collection[str]) -> tuple[str, str] | None:
    """Two of `variants` that are names of one prompt; None where there are none."""
    seen: dict[str, str] = {}
    for name in variants:
        first = seen.setdefault(own_name(name, PROMPTS), name)
        if first != name:
            return first, name
    return None


def with_listed_names(raw: Any) -> Any:
    """Parameters in which what NAMING lists calls prompts as prompts.variants does.

    What cannot be read is left as it is, for the schema to refuse.
    """
    try:
        variants = Prompts.model_validate(raw["prompts"]).variants
    except (LookupError, TypeError, ValueError):
        return raw

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(one) for one in value]
        if isinstance(value, dict):
            return {key: renamed(one) for key, one in value.items()}
        try:
            run = listed_run(named_run(value), variants)
        except (TypeError, UserError):
            return value
        return run.name if run.variant in variants else value

    named = dict(raw)
    for group, key in NAMING:
        if isinstance(raw.get(group), dict) and key in raw[group]:
            named[group] = {**raw[group], key: renamed(raw[group][key])}
    return named
