"""A prompt variant: the texts that a model is shown around a question, and where they come from."""

import json
from functools import cached_property
from typing import Annotated

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from audio_reasoning.core.choices import kept_choices
from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.records import Audio, Text, Whole
from audio_reasoning.core.typed import Name, unique
from audio_reasoning.prompts.provenance import Provenance

# Sandboxed: a prompt file from elsewhere must not be able to run code.
ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
_KNOWN_FIELDS = ConfigDict(extra="forbid")
_Shown = Annotated[str, Field(strict=True, pattern=r"\S", description="a text that is not blank")]


@dataclass(frozen=True, config=_KNOWN_FIELDS)
class Demonstration:
    """A worked example that is shown before the question: what is asked, of which clip if any, and the response.

    `response` is all that the assistant says, its thinking included.
    """

    question: _Shown
    choices: Annotated[tuple[Annotated[str, Field(strict=True)], ...], Field(description="a list of texts")]
    response: _Shown
    audio: Annotated[Audio | None, Field(description="an object or null")] = None

    @model_validator(mode="after")
    def _has_choices(self) -> "Demonstration":
        if len(kept_choices(self.choices)) < len(self.choices):
            raise ValueError(f"'choices' must not hold a blank text, found {json.dumps(self.choices)}")
        return self


@dataclass(frozen=True, config=_KNOWN_FIELDS)
class Prompt:
    """One variant: a system text (may be empty), a user template, and worked examples, if any.

    `aliases` are other names of the same prompt. `parent` is the prompt that it was made from by hand, and `change`
    what was changed and why; `provenance` is what an optimiser says of a prompt that it wrote.
    """

    name: Text
    title: Text
    strategy: Text
    version: Whole
    system: Text
    user: Text
    aliases: Annotated[
        tuple[Name, ...], AfterValidator(unique), Field(description="a list of names, [a-z][a-z0-9_]*, none twice")
    ] = ()
    parent: Annotated[Name | None, Field(description="the name of a prompt")] = None
    change: Annotated[str | None, Field(strict=True, pattern=r"\S", description="a text that is not blank")] = None
    provenance: Annotated[Provenance | None, Field(description="what an optimiser wrote")] = None
    demonstrations: Annotated[tuple[Demonstration, ...], Field(description="a list of worked examples")] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> "Prompt":
        if (self.parent is None) != (self.change is None):
            there, absent = ("parent", "change") if self.change is None else ("change", "parent")
            raise ValueError(f"the field {there!r} needs the field {absent!r} beside it: what was changed of which")
        if self.name in (self.parent, *self.aliases):
            raise ValueError(f"{self.name!r} is the prompt's own name, which is neither its parent nor an alias")
        return self

    @property
    def text_hash(self) -> str:
        """The identity of what a model is shown: titles and notes do not count, and a clip by its bytes."""
        shown = [
            [one.question, list(one.choices), one.response, one.audio.sha256 if one.audio else None]
            for one in self.demonstrations
        ]
        return sha256_json([self.system, self.user, *([shown] if shown else [])])

    @cached_property
    def _template(self) -> jinja2.Template:
        return ENVIRONMENT.from_string(self.user)

    def render(self, question: str, choices: tuple[str, ...]) -> tuple[str, str]:
        """The (system, user) texts for one question; the system text may be empty."""
        return self.system.strip(), self._template.render(question=question, choices=choices).strip()
