"""What the overview says: sections of text, tables and figures, ready to be laid out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
class Part:
    """A part of a section under a title of its own, or `folded` behind it until a reader asks for it."""

    title: str
    tables: Sequence[Table]
    figures: Sequence[Figure]
    folded: bool


@dataclass(frozen=True)
class Section:
    """A part of the overview. One whose data do not exist names them in `absent`, and the `command` that makes them."""

    id: str
    title: str
    files: Sequence[str] = ()
    lead: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    parts: Sequence[Part] = ()
    notes: Sequence[str] = ()
    absent: str = ""
    command: str = ""

    def missing(self, what: str, command: str) -> "Section":
        """The section without data, which says what is not there, and the command that makes it."""
        return replace(self, absent=what, command=command)


def browser_link(**state: str) -> str:
    """A link into the browser of questions: `a` and `b` name runs, `q` a question, `flip` what became of it."""
    return f"#{urlencode(state)}"
