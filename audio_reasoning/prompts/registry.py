"""Prompt variants as data: one YAML file each, rendered with nothing but the question and its choices.

Only `question` and `choices` exist in a template, so no benchmark metadata (category, evidence, answer)
can leak into a prompt; any other name stops at load time.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import read_text, sha256_json

FIELDS = ("name", "title", "strategy", "version", "system", "user")
VARIABLES = ("question", "choices")

# Sandboxed: a prompt file from elsewhere must not be able to run code.
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)


@dataclass(frozen=True)
class Prompt:
    """One variant: a system text (may be empty) and a user template."""

    name: str
    title: str
    strategy: str
    version: int
    system: str
    user: str

    @property
    def text_hash(self) -> str:
        """The identity of what a model is shown: titles and notes do not count."""
        return sha256_json([self.system, self.user])

    @cached_property
    def _template(self) -> jinja2.Template:
        return _ENVIRONMENT.from_string(self.user)

    def render(self, question: str, choices: tuple[str, ...]) -> tuple[str, str]:
        """The (system, user) texts for one question; the system text may be empty."""
        return self.system.strip(), self._template.render(question=question, choices=choices).strip()


def load_prompt(name: str, folder: Path) -> Prompt:
    """Read `folder/name.yaml`; raise UserError on a missing file, an unknown or missing field, or a bad template."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = [p.stem for p in folder.glob("*.yaml")]
        raise UserError(f"{path}: no such prompt; {nearest(name, known)} (variants are listed in prompts.variants)")
    try:
        raw = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected the fields {', '.join(FIELDS)}")
    _check_fields(path, name, raw)
    prompt = Prompt(**raw)
    _check_template(path, prompt)
    return prompt


def _check_fields(path: Path, name: str, raw: dict[str, Any]) -> None:
    for field in raw:
        if field not in FIELDS:
            raise UserError(f"{path}: unknown field {field!r}; {nearest(str(field), FIELDS)}")
    for field in FIELDS:
        if field not in raw:
            raise UserError(f"{path}: the field {field!r} is missing")
        wanted = int if field == "version" else str
        if type(raw[field]) is not wanted:
            raise UserError(f"{path}: {field} must be {wanted.__name__}, found {raw[field]!r}")
    if raw["name"] != name:
        raise UserError(f"{path}: name is {raw['name']!r}, expected {name!r} like the file")


def _check_template(path: Path, prompt: Prompt) -> None:
    if "{{" in prompt.system or "{%" in prompt.system:
        raise UserError(f"{path}: the system text is no template, but holds '{{{{' or '{{%'; use them in user only")
    try:
        used = meta.find_undeclared_variables(_ENVIRONMENT.parse(prompt.user))
        unknown = sorted(used - set(VARIABLES))
        if unknown:
            raise UserError(f"{path}: user template uses {unknown[0]!r}; only question and choices exist there")
        for variable in VARIABLES:
            if variable not in used:
                raise UserError(f"{path}: user template never shows {{{{ {variable} }}}}")
        prompt.render("What is heard?", ("a bell", "rain"))
    except jinja2.TemplateError as error:
        raise UserError(f"{path}: user template: {error}") from None
