"""The tree of prompts, each with what was changed in it and what that was worth, for a terminal and for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from audio_reasoning.core.shown import printable
from audio_reasoning.metrics.results import Judged, Metrics
from audio_reasoning.render.comparison import comparison_cells, with_range
from audio_reasoning.render.report.sections import browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.table import Cell, Table, cells, foreign, to_text
from audio_reasoning.render.tables import DASH

HAND = "hand"  # who made a prompt that no optimiser did
LEGEND = """\
Dev: on questions held out of the search that found the prompt; – where none was. Test, and Δ to the prompt that it was
made from: percent and points, with 95 % intervals. p: Holm-adjusted where the comparison is declared, else as it is."""


@dataclass(frozen=True)
class TreeRow:
    """A prompt in the tree.

    `last` says for each step down from a root whether it leads to the last child there; `maker` is HAND, or the
    optimiser with what wrote its proposals in brackets. `dev` is an accuracy and its number of questions.
    """

    name: str
    last: tuple[bool, ...]
    parent: str | None
    change: str
    maker: str
    dev: tuple[float, int] | None
    test: Metrics | None
    versus_parent: Judged | None


def tree_table(rows: Sequence[TreeRow]) -> Table:
    """The tree for a page: names lead to the questions that flipped between a prompt and its parent."""
    body = []
    for row in rows:
        link = browser_link(a=row.parent, b=row.name) if row.parent and row.versus_parent else ""
        name = Cell(row.name, link=link, lead=branches(row.last))
        figures = comparison_cells(row.versus_parent, "Δ", "95 %", "decisive p", "verdict")
        body.append([name, foreign(row.change), foreign(row.maker), *_accuracies(row), *figures])
    columns = ["prompt", "what was changed", "made by", "dev, held out", "test", "Δ parent", "95 %", "p", "verdict"]
    caption = (
        "Which prompt was made from which. Accuracy in percent, in brackets 95 % intervals; Δ in points to the prompt "
        "that it was made from"
    )
    return Table(columns, body, ["what was changed", "made by", "verdict"], caption)


def tree_text(rows: Sequence[TreeRow]) -> str:
    """The tree for a terminal: under each prompt, what was changed."""
    body: list[list[Cell] | str] = []
    for place, row in enumerate(rows):
        name = Cell(row.name, lead=branches(row.last))
        figures = comparison_cells(row.versus_parent, "Δ*", "95 %", "decisive p", "verdict")
        body.append([name, foreign(row.maker), *_accuracies(row), *figures])
        if row.change:
            leads_on = place + 1 < len(rows) and len(rows[place + 1].last) > len(row.last)
            body.append(f"{beneath(row.last)}{'│' if leads_on else ' '}    {printable(row.change)}")
    header = ["prompt", "made by", "dev", "test", "Δ parent", "95 %", "p", "verdict"]
    return "\n\n".join([to_text(Table(header, body, ["made by", "verdict"])), LEGEND])


def _accuracies(row: TreeRow) -> list[Cell]:
    dev = of_questions(*row.dev) if row.dev else DASH
    test = row.test and with_range(row.test.acc_strict, row.test.overall.low, row.test.overall.high)
    return cells(dev, test or DASH)


def branches(last: Sequence[bool]) -> str:
    """The lines that lead to a prompt in the tree; of spaces that no page folds.

    >>> branches(()), branches((False,)), branches((True, False)).replace(chr(160), ".")
    ('', '├─ ', '...├─ ')
    """
    return beneath(last[:-1]) + ("└─ " if last[-1] else "├─ ") if last else ""


def beneath(last: Sequence[bool]) -> str:
    """The lines that go on below a prompt, to its siblings and theirs.

    >>> beneath((False, True)).replace(chr(160), ".")
    '│.....'
    """
    return "".join("\N{NO-BREAK SPACE}" * 3 if step else "│\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}" for step in last)
