"""Prompt variants as data: one YAML file each, rendered with nothing but the question and its choices.

Only `question` and `choices` exist in a template, so no benchmark metadata (category, evidence, answer)
can leak into a prompt; any other name stops at load time.
"""

from pathlib import Path

import jinja2
import yaml
from jinja2 import meta
from pydantic import TypeAdapter

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import atomic_write, read_text
from audio_reasoning.core.parse import parse_yaml
from audio_reasoning.core.validate import validated
from audio_reasoning.prompts.prompt import ENVIRONMENT
from audio_reasoning.prompts.prompt import Prompt as Prompt

FIELDS = ("name", "title", "strategy", "version", "system", "user")  # that every prompt has
VARIABLES = ("question", "choices")


def load_prompt(name: str, folder: Path) -> Prompt:
    """Read `folder/name.yaml`; the prompt of a file that is called by an alias keeps its own name.

    Raises UserError on a missing file, an unknown or missing field, or a bad template.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = [p.stem for p in folder.glob("*.yaml")]
        raise UserError(f"{path}: no such prompt; {nearest(name, known)} (variants are listed in prompts.variants)")
    raw = parse_yaml(read_text(path), str(path))
    if not isinstance(raw, dict):
        raise UserError(f"{path}: expected the fields {', '.join(FIELDS)}")
    prompt = validated(Prompt, raw, str(path))
    if name not in (prompt.name, *prompt.aliases):
        raise UserError(f"{path}: name is {prompt.name!r}, expected {name!r} like the file")
    _check_template(path, prompt)
    return prompt


def write_prompt(path: Path, prompt: Prompt) -> None:
    """Write a prompt as readable YAML, whole or not at all: `load_prompt` gives an equal one.

    `path` ends in the prompt's name and .yaml.
    """
    fields = TypeAdapter(Prompt).dump_python(prompt, mode="json", exclude_defaults=True)
    shown = {name: fields.pop(name) for name in ("system", "user", "demonstrations") if name in fields}
    with atomic_write(path) as file:
        yaml.dump({**fields, **shown}, file, _Readable, sort_keys=False, allow_unicode=True, width=110)


class _Readable(yaml.SafeDumper):  # type: ignore[misc]
    """Writes texts of several lines as such, and what no reader of YAML would keep as it is in escapes."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """One text in the style that shows it best."""
        lines = text.split("\n")
        if not all(line.isprintable() for line in lines):
            return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if len(lines) > 1 else None)


_Readable.add_representer(str, _Readable.represent_text)


def _check_template(path: Path, prompt: Prompt) -> None:
    if "{{" in prompt.system or "{%" in prompt.system:
        raise UserError(f"{path}: the system text is no template, but holds '{{{{' or '{{%'; use them in user only")
    try:
        used = meta.find_undeclared_variables(ENVIRONMENT.parse(prompt.user))
        unknown = sorted(used - set(VARIABLES))
        if unknown:
            raise UserError(f"{path}: user template uses {unknown[0]!r}; only question and choices exist there")
        for variable in VARIABLES:
            if variable not in used:
                raise UserError(f"{path}: user template never shows {{{{ {variable} }}}}")
        prompt.render("What is heard?", ("a bell", "rain"))
    except jinja2.TemplateError as error:
        raise UserError(f"{path}: user template: {error}") from None
