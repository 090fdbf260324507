"""Figures as people read them, and tables of them for a terminal and for Markdown."""

from collections.abc import Sequence


def percent(fraction: float) -> str:
    """A fraction of one in percent.

    >>> percent(0.5514)
    '55.1'
    """
    return f"{100 * fraction:.1f}"


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


def percent_range(low: float, high: float) -> str:
    """An interval of a fraction, in percent.

    >>> percent_range(0.515, 0.584)
    '51.5–58.4'
    """
    return f"{percent(low)}–{percent(high)}"


def points_range(low: float, high: float) -> str:
    """An interval of a difference, in percentage points.

    >>> points_range(-0.02, 0.031)
    '-2.0 to +3.1'
    """
    return f"{points(low)} to {points(high)}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str] | str]) -> str:
    """A table with aligned columns, the first to the left; a row that is one text is a heading.

    >>> print(text_table(["model", "n"], ["mine", ["base", "10"]]))
    model   n
    ─────────
    mine
    base   10
    """
    cells = [header, *(row for row in rows if not isinstance(row, str))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [row if isinstance(row, str) else _aligned(row, widths) for row in (header, *rows)]
    return "\n".join([lines[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    right = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *right]).rstrip()


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, every column but the first to the right.

    >>> print(markdown_table(["model", "n"], [["base", "10"]]))
    | model | n |
    |---|---:|
    | base | 10 |
    """
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(header) - 1), *lines[1:]])
