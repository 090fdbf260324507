"""MMAR's metadata: the real file where there is one, and a sample like it, of our own making, everywhere.

MMAR-meta.jsonl is from https://huggingface.co/datasets/BoJack/MMAR; MMAR_METADATA names it (.ci/run finds it beside the
repository). tests/data/mmar_like.jsonl has its fields, its taxonomy and its quirks: blank choices, two to six choices,
one choice within another, the same words in another order, two questions on one video, letters that are choices.
"""

import os
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "data/mmar_like.jsonl"
METADATA = Path(os.environ.get("MMAR_METADATA", Path(__file__).parents[2] / "shared/data/MMAR-meta.jsonl"))
needs_metadata = pytest.mark.skipif(
    not METADATA.is_file(), reason="MMAR's metadata is not here; set MMAR_METADATA to its path"
)
