"""MMAU's test-mini, the 1,000 questions whose answers are public (Sakshi et al., arXiv 2410.19168).

From https://huggingface.co/datasets/gamma-lab-umd/MMAU-test-mini: test_mini.parquet, one row a question, with the
columns `instruction`, `choices` ("(A) Man"), `answer`, `context` (the audio file's bytes) and `other_attributes`, a
JSON text with `id`, `task` (sound, music or speech), `category`, `sub-category`, `difficulty` and `dataset`.

A quarter of the questions changed in May 2025 (v05.15.25), and labels again until August: figures on two versions are
not comparable, so the provenance names the version by what the labels are. The listed ones are all that
https://github.com/Sakshi113/MMAU had until 110127f.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.download import use_fetched
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.hub import commit_of, dataset_file
from audio_reasoning.core.parse import parse_json
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.inline import parquet_rows, write_inline
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import ready, scratch_beside
from audio_reasoning.tasks.source_params import MmauSource

COLUMNS = ("instruction", "choices", "answer", "other_attributes")
AUDIO = "context"
LICENSE = "Apache-2.0"  # of questions and answers; their recordings come from fifteen datasets with terms of their own
MODALITIES = ("sound", "music", "speech")
# The versions of the labels by the start of their hash (see `labels_version`), with the days of their commits: what is
# called v05.15.25 was corrected until August.
VERSIONS = {
    "7359001ceb235ac8": "of 2024-10-25",
    "870b3510e6b2b862": "of 2025-03-25",
    "ddaec10960709ab8": "v05.15.25 of 2025-05-15",
    "34c2d5fc26246c16": "v05.15.25 of 2025-05-16",
    "50bb3f131d474717": "v05.15.25 of 2025-05-18",
    "9c00f676de6166fd": "v05.15.25 of 2025-05-19",
    "ed9c02b4530ed2dc": "v05.15.25 of 2025-05-22",
    "6302d39369cbd3bb": "v05.15.25 of 2025-05-30",
    "f5ba87789e480226": "v05.15.25 of 2025-06-23, first",
    "ee8a939445396aa6": "v05.15.25 of 2025-06-23, second",
    "21206cfbf7590458": "v05.15.25 of 2025-08-09",
}
_LETTER = re.compile(r"^\([A-Z]\)\s+")


def load(source: MmauSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download the questions with their audio, and transcode it; the provenance names the version of the labels.

    Raises UserError for what `dataset_file`, `ready` and `transcode` refuse, and a table of another layout.
    """
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    label = f"{source.repo}/{source.file}"
    with scratch_beside(folder) as scratch:

        def read(table: Path) -> tuple[list[Any], str]:
            found = [(f"{label} row {number}", _row(raw)) for number, raw in parquet_rows(table, COLUMNS)]
            noted: list[dict[str, str]] = []
            rows = ready(found, source, noted, label)
            paths = {row.id: scratch / row.audio_path for row in rows}
            wanted = {number: paths[raw["id"]] for number, (_, raw) in enumerate(found) if raw.get("id") in paths}
            write_inline(table, AUDIO, wanted)
            dropped.extend(noted)
            return rows, labels_version([raw for _, raw in found])

        rows, version = use_fetched(lambda anew: dataset_file(source.repo, commit, source.file, anew), read)
        audio = transcode(rows, scratch, folder, source.invalid, dropped, label)
        yield from with_provenance(audio, LICENSE, f"{source.repo}@{commit}, labels {version}", "as published")


def labels_version(questions: list[dict[str, Any]]) -> str:
    """The name of the version that the labels are of, or what they hash to where that is not a listed one.

    Ids with answers are hashed, whatever their order.
    """
    digest = sha256_json(sorted([str(row.get("id")), str(row.get("answer"))] for row in questions))[:16]
    return VERSIONS.get(digest, f"not listed ({digest})")


def _row(raw: dict[str, Any]) -> dict[str, Any]:
    """A question of the table in MMAR's schema; what is not as it should be is left for the schema to refuse."""
    try:
        more = parse_json(raw["other_attributes"], "other_attributes") if raw["other_attributes"] else {}
    except UserError:
        more = {}
    if not isinstance(more, dict):
        more = {}
    name, task, category = more.get("id"), more.get("task"), more.get("category")
    choices, answer = raw["choices"], raw["answer"]
    row = {
        "id": name,
        "audio_path": f"{name}.wav",
        "question": raw["instruction"],
        "choices": [_LETTER.sub("", choice) for choice in choices] if isinstance(choices, list) else choices,
        "answer": _LETTER.sub("", answer) if isinstance(answer, str) else answer,
        "modality": task if task in MODALITIES else None,
        "category": category[0] if isinstance(category, list) and len(category) == 1 else category,
        "sub-category": more.get("sub-category"),
        "source": more.get("dataset"),
        "difficulty": more.get("difficulty"),
    }
    return {key: value for key, value in row.items() if value is not None}
