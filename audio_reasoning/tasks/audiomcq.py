"""AudioMCQ-StrongAC-GeminiCoT: training questions that need their audio, each with a trace (arXiv 2509.21060).

From https://huggingface.co/datasets/Harland/AudioMCQ-StrongAC-GeminiCoT: data.jsonl, 19,480 rows with `id`,
`audio_path` (a WAV or MP3 file of the repository, 9.7 GB in all), `question`, four `choices`, `answer` (one of them),
`source_dataset`, `question_type` and `gemini_cot`. Read as by NVIDIA-NeMo/RL (nemo_rl/data/datasets) in August 2026.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.files import read_rows
from audio_reasoning.core.hub import commit_of, dataset_file, dataset_files
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.provenance import annotated, with_provenance
from audio_reasoning.tasks.published import ready, scratch_beside
from audio_reasoning.tasks.source_params import AudioMcqSource

LICENSE = "Apache-2.0"  # of questions and traces; the clips keep the licences of the seven datasets they are from
TRACE = "gemini_cot"
# What is heard in the clips of a source dataset, by how its name begins, in small letters without signs.
MODALITIES = {
    "audiocaps": "sound",
    "clotho": "sound",
    "compar": "sound",
    "tacos": "sound",
    "musiccaps": "music",
    "lpmusiccaps": "music",
    "speechcraft": "speech",
}
_LABELS = {
    "sound": ("Perception Layer", "Environmental Perception and Reasoning"),
    "music": ("Perception Layer", "Music Theory"),
    "speech": ("Semantic Layer", "Content Analysis"),
}
TEMPORAL = ("Perception Layer", "Temporal Analysis")  # of the question type "temporal", whatever is heard


def load(source: AudioMcqSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download the questions and the clips that they name, and transcode these; traces go apart.

    Raises UserError for what `dataset_file`, `ready` and `transcode` refuse. A clip that the repository lacks is audio
    that cannot be used.
    """
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    table = dataset_file(source.repo, commit, source.questions)
    found = [(where, _row(raw)) for where, raw in read_rows(table, source.questions)]
    rows = ready(found, source, dropped, f"{source.repo}/{source.questions}")
    paths, _ = dataset_files(source.repo, commit, {row.audio_path for row in rows})
    with scratch_beside(folder) as scratch:
        for name, path in paths.items():
            _place(path.resolve(), scratch / name)
        audio = transcode(rows, scratch, folder, source.invalid, dropped, source.repo)
        for row in with_provenance(audio, LICENSE, f"{source.repo}@{commit}", "as published"):
            yield annotated(row, [TRACE])


def _row(raw: dict[str, Any]) -> dict[str, Any]:
    """A question in MMAR's schema; one of a source that is not listed lacks a modality, which the schema refuses."""
    told = str(raw.get("source_dataset", ""))
    name = re.sub(r"[^a-z]", "", told.lower())
    modality = next((modality for start, modality in MODALITIES.items() if name.startswith(start)), None)
    temporal = str(raw.get("question_type", "")).lower() == "temporal"
    category, sub_category = TEMPORAL if temporal or not modality else _LABELS[modality]
    audio = raw.get("audio_path")
    row = {
        **{key: raw[key] for key in ("question", "choices", "answer", TRACE) if key in raw},
        "id": f"audiomcq_{raw['id']}" if "id" in raw else None,
        "audio_path": audio,
        "modality": modality,
        "category": category,
        "sub-category": sub_category,
        "source": told,
    }
    return {key: value for key, value in row.items() if value is not None}


def _place(path: Path, target: Path) -> None:
    """The file under another name: linked where the disk is the same, copied where it is not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
