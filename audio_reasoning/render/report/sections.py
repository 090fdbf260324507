"""What the overview says: sections of text, tables and figures, ready to be laid out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, where it leads, and how it is toned ("good", "bad", "quiet" or "").

    "heat0" to "heat4" are the tones of a heat table, with "hit" where what was chosen is right.
    An `interval` (low, value, high) is drawn, on one scale for the whole table, with zero in the middle.
    """

    text: str = ""
    link: str = ""
    tone: str = ""
    interval: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table: a caption, column names, and rows whose first cell names the row.

    Columns are figures, but for the first and those whose numbers are in `words`.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[int] = ()

    @property
    def scale(self) -> float:
        """How far from zero the widest interval reaches: half the width of their drawings."""
        ends = [abs(end) for row in self.rows for cell in row for end in cell.interval or ()]
        return max(ends, default=0.0) or 1.0


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


def cells(*texts: str) -> list[Cell]:
    """Plain cells."""
    return [Cell(text) for text in texts]


def browser_link(**state: str) -> str:
    """A link into the browser of questions: `a` and `b` name runs, `q` a question, `flip` what became of it."""
    return f"#{urlencode(state)}"
