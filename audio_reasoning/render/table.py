"""One table, and its writers for a terminal and for Markdown; that for a page is in html/.

What a cell is, is said once; each writer shows it in its own way. A figure that is significant has a star in a
terminal and is bold in Markdown; what somebody else wrote is shown to the letter by all of them, and obeyed by none.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from audio_reasoning.core.shown import code_span, plain_text, printable

MARKDOWN: dict[str, Callable[[str], str]] = {"own": str, "foreign": plain_text, "code": code_span}


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    `kind` tells whose words the text is: "own", "foreign" or, to be shown as such in Markdown, foreign "code".
    Of a column in which some are `significant`, the others are False, so that a terminal keeps the star's place.
    A page also has a `link`, a `tone` ("good", "bad", "quiet", or "heat0" to "heat4", with "hit" where what was chosen
    is right), and draws an `interval` (low, value, high), on one scale for the whole table, with zero in the middle.
    `lead` stands before the text, outside its link, such as the lines of a tree; not in Markdown.
    """

    text: str = ""
    kind: Literal["own", "foreign", "code"] = "own"
    significant: bool | None = None
    link: str = ""
    tone: str = ""
    interval: tuple[float, float, float] | None = None
    lead: str = ""


@dataclass(frozen=True)
class Table:
    """Column names, and rows whose first cell names the row; a row that is one text is a heading, in a terminal alone.

    Columns are figures, aligned to the right, but for the first and those whose name is in `words`. A `caption` stands
    above a page's table, `notes` stand beneath those of the others.
    """

    columns: Sequence[Cell | str]
    rows: Sequence[Sequence[Cell | str] | str]
    words: Collection[str] = ()
    caption: str = ""
    notes: Sequence[str] = ()

    @property
    def header(self) -> list[Cell]:
        """The columns' names as cells."""
        return cells(*self.columns)

    @property
    def body(self) -> list[list[Cell]]:
        """All rows but headings."""
        return [cells(*row) for row in self.rows if not isinstance(row, str)]

    @property
    def is_words(self) -> list[bool]:
        """Which columns hold words."""
        return [index == 0 or cell.text in self.words for index, cell in enumerate(self.header)]

    @property
    def scale(self) -> float:
        """How far from zero the widest interval reaches: half the width of their drawings."""
        ends = [abs(end) for row in self.body for cell in row for end in cell.interval or ()]
        return max(ends, default=0.0) or 1.0


def cells(*texts: Cell | str) -> list[Cell]:
    """Plain cells of texts; what is a cell already stays as it is."""
    return [text if isinstance(text, Cell) else Cell(text) for text in texts]


def foreign(text: str) -> Cell:
    """A cell of what somebody else wrote."""
    return Cell(text, "foreign")


def code(text: str) -> Cell:
    """The same, as code where there is such a thing."""
    return Cell(text, "code")


def to_text(table: Table) -> str:
    """A table with aligned columns.

    >>> print(to_text(Table(["model", "n"], ["mine", ["base", "10"], ["iter1", Cell("9", significant=True)]])))
    model   n
    ─────────
    mine
    base   10
    iter1  9*
    """
    shown = [row if isinstance(row, str) else [_plain(cell) for cell in cells(*row)] for row in table.rows]
    header = [_plain(cell) for cell in table.header]
    widths = [max(len(row[i]) for row in (header, *shown) if not isinstance(row, str)) for i in range(len(header))]
    lines = [row if isinstance(row, str) else _aligned(row, widths, table.is_words) for row in (header, *shown)]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:], *_beneath(table)])


def _plain(cell: Cell) -> str:
    text = cell.lead + (cell.text if cell.kind == "own" else printable(cell.text))
    return text if cell.significant is None else text + ("*" if cell.significant else " ")


def _aligned(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    shown = zip(row, widths, left, strict=True)
    return "  ".join(cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in shown).rstrip()


def to_markdown(table: Table) -> str:
    r"""A Markdown table.

    >>> print(to_markdown(Table(["model", "n"], [["base", "10"], [foreign("a|b"), Cell("9", significant=True)]])))
    | model | n |
    |---|---:|
    | base | 10 |
    | a\|b | **9** |
    """
    lines = [f"| {' | '.join(map(_marked_up, row))} |" for row in (table.header, *table.body)]
    alignment = "".join("---|" if words else "---:|" for words in table.is_words)
    return "\n".join([lines[0], f"|{alignment}", *lines[1:], *_beneath(table)])


def _marked_up(cell: Cell) -> str:
    shown = MARKDOWN[cell.kind](cell.text)
    return f"**{shown}**" if cell.significant else shown


def _beneath(table: Table) -> list[str]:
    return ["", *table.notes] if table.notes else []
