"""The writer of a table for a page, and the environment of all templates: whatever is no text of ours is escaped."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audio_reasoning.render.table import Table


def to_html(table: Table) -> Markup:
    """A table under its caption, in a region that scrolls; its styles are those of the report."""
    return Markup(_environment().get_template("table.html").render(table=table))


@cache
def _environment() -> Environment:
    return environment_of(Path(__file__).parent)


def environment_of(folder: Path) -> Environment:
    """An environment for the templates in a folder; in them, `table|html` is a table, `text|typeset` a text to read."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"typeset": typeset, "html": to_html}
    return environment


def typeset(text: str) -> str:
    r"""The text with a real minus before each negative number, as wide as a plus, and no line's end before a percent.

    >>> typeset("-7.9 to +0.7 in 2024-01"), typeset("text-only -"), typeset("95 %")
    ('−7.9 to +0.7 in 2024-01', 'text-only -', '95\xa0%')
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text).replace(" %", "\N{NO-BREAK SPACE}%")
