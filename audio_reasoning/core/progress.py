"""Progress on long work: a bar in a terminal, a line now and then in a log."""

import sys
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
        ncols=None if interactive else 80,
        file=sys.stderr,
    )
