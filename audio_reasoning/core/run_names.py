"""Parts of parameter groups that name runs: all that stages need to know of a group which other stages act on."""

from typing import Annotated

from pydantic import AfterValidator, Field

from audio_reasoning.core.typed import Name, Names, Part, Strict, Variants, unique


class Prompts(Strict):
    """Which prompt variants are compared."""

    variants: Names


class Headline(Strict):
    """The variant to quote."""

    variant: Name


class ArmNames(Part):
    """Which prompt variants are asked in which control arms."""

    variants: Variants
    kinds: Annotated[list[Name], Field(min_length=1), AfterValidator(unique)]


class VoteNames(Part):
    """Which prompt variants are sampled."""

    variants: Variants


class Start(Part):
    """The model that another one starts from."""

    start: Name = Field(alias="from")


class EvalPrompts(Part):
    """The prompts that models which are trained are measured under."""

    eval_prompts: Names


class SearchStart(Part):
    """The prompt that a search for a better one starts from."""

    start: Name
