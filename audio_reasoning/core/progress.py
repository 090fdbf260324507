"""Progress on long work: a bar in a terminal, a line now and then in a log."""

import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm


def progress(total: int, unit: str, desc: str) -> "tqdm[Any]":
    """A bar with rate and time left."""
    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        unit=unit,
        desc=desc,
        smoothing=0.1,
        mininterval=0.2 if interactive else 10.0,
        ncols=None if interactive else 110,
        file=sys.stderr,
    )


def show_at_end(bar: "tqdm[Any]") -> Callable[[str], None]:
    """A function that shows a text at the bar's end: at once in a terminal, in a log with its next line."""

    def show(text: str) -> None:
        bar.set_postfix_str(text, refresh=sys.stderr.isatty())

    return show
