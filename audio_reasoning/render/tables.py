"""Figures as people read them, and tables of them for a terminal and for Markdown."""

from collections.abc import Collection, Sequence

DASH = "–"  # stands for a figure that there is none of
MINI_NOTE = "mini figures are evidence about mechanics, not about any 30B model"


def percent(fraction: float | None) -> str:
    """A fraction of one in percent, or a dash.

    >>> percent(0.5514), percent(None)
    ('55.1', '–')
    """
    return DASH if fraction is None else f"{100 * fraction:.1f}"


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign.

    >>> points(0.0125), points(-0.0001)
    ('+1.2', '-0.0')
    """
    return f"{100 * fraction:+.1f}"


def p_value(value: float) -> str:
    """A p value with four decimals.

    >>> p_value(0.0181), p_value(0.000001)
    ('0.0181', '<0.0001')
    """
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def percent_range(low: float | None, high: float | None) -> str:
    """An interval of a fraction, in percent, or a dash.

    >>> percent_range(0.515, 0.584), percent_range(None, None)
    ('51.5–58.4', '–')
    """
    return DASH if low is None or high is None else f"{percent(low)}–{percent(high)}"


def points_range(low: float, high: float) -> str:
    """An interval of a difference, in percentage points.

    >>> points_range(-0.02, 0.031)
    '-2.0 to +3.1'
    """
    return f"{points(low)} to {points(high)}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str] | str], words: Collection[str] = ()) -> str:
    """A table with aligned columns; a row that is one text is a heading.

    The first column and those whose header is among `words` are aligned to the left.

    >>> print(text_table(["model", "n"], ["mine", ["base", "10"]]))
    model   n
    ─────────
    mine
    base   10
    """
    cells = [header, *(row for row in rows if not isinstance(row, str))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    left = _left(header, words)
    lines = [row if isinstance(row, str) else _aligned(row, widths, left) for row in (header, *rows)]
    return "\n".join([lines[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    cells = zip(row, widths, left, strict=True)
    return "  ".join(cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in cells).rstrip()


def _left(header: Sequence[str], words: Collection[str]) -> list[bool]:
    return [column == 0 or name in words for column, name in enumerate(header)]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[str] = ()) -> str:
    """A Markdown table; the first column and those whose header is among `words` are aligned to the left.

    >>> print(markdown_table(["model", "n"], [["base", "10"]]))
    | model | n |
    |---|---:|
    | base | 10 |
    """
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    alignment = "".join("---|" if left else "---:|" for left in _left(header, words))
    return "\n".join([lines[0], f"|{alignment}", *lines[1:]])
