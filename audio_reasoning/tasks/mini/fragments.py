"""Where the pieces of instructions are that suit MMAR-mini's questions."""

from pathlib import Path

FRAGMENTS = Path(__file__).with_suffix(".yaml")
