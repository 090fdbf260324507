"""What the overview says: sections of text, tables and figures, ready to be laid out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import ndiff
from typing import Literal
from urllib.parse import urlencode

from markupsafe import Markup

from audio_reasoning.render.table import Table


@dataclass(frozen=True)
class Figure:
    """A drawing, and the same in figures."""

    caption: str
    svg: Markup
    table: Table


@dataclass(frozen=True)
class Line:
    """A line of a text that was changed: whether it is new, gone, or as it was."""

    change: Literal["added", "removed", "kept"]
    text: str


@dataclass(frozen=True)
class Diff:
    """A text before and after a change, line by line."""

    caption: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Part:
    """A part of a section under a title of its own, or `folded` behind it until a reader asks for it."""

    title: str
    tables: Sequence[Table]
    figures: Sequence[Figure]
    folded: bool
    diffs: Sequence[Diff] = ()


@dataclass(frozen=True)
class Section:
    """A part of the overview. One whose data do not exist names them in `absent`, and the `command` that makes them."""

    id: str
    title: str
    files: Sequence[str] = ()
    lead: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    diffs: Sequence[Diff] = ()
    parts: Sequence[Part] = ()
    notes: Sequence[str] = ()
    absent: str = ""
    command: str = ""

    def missing(self, what: str, command: str) -> "Section":
        """The section without data, which says what is not there, and the command that makes it."""
        return replace(self, absent=what, command=command)


def diff_of(caption: str, before: str, after: str) -> Diff:
    r"""How a text was changed.

    >>> [(line.change, line.text) for line in diff_of("", "Listen.\nThink.", "Listen.\nCount.").lines]
    [('kept', 'Listen.'), ('removed', 'Think.'), ('added', 'Count.')]
    """
    signs: dict[str, Literal["added", "removed", "kept"]] = {"+": "added", "-": "removed", " ": "kept"}
    old, new = (text.split("\n") if text else [] for text in (before, after))
    lines = ndiff(old, new)
    return Diff(caption, [Line(signs[line[0]], line[2:]) for line in lines if line[0] in signs])


def browser_link(**state: str) -> str:
    """A link into the browser of questions: `a` and `b` name runs, `q` a question, `flip` what became of it."""
    return f"#{urlencode(state)}"
