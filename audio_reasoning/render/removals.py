"""What was removed from train and dev since a test set holds it, as a table."""

from collections import Counter
from collections.abc import Sequence

from audio_reasoning.tasks.decontaminate import RULES, Removal


def removal_table(removed: Sequence[Removal]) -> str:
    """Questions removed by source, split, test set and rule, as text."""
    counts = Counter((one.source, one.split, one.test_source, one.why) for one in removed)
    heads = ("removed from", "split", "in the test set of", *RULES)
    rows = []
    for source, split, test_source in dict.fromkeys(key[:3] for key in sorted(counts)):
        of_rules = (str(counts[source, split, test_source, why] or "–") for why in RULES)
        rows.append((source, split, test_source, *of_rules))
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (heads, *rows)
    )
