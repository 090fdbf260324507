"""MMAR, the benchmark that all else here is measured by (Ma et al., arXiv 2505.13032).

From https://huggingface.co/datasets/BoJack/MMAR at 3bd0511: MMAR-meta.json, 1,000 questions, and mmar-audio.tar.gz
(members ./audio/<id>.wav). The metadata of 2026 at https://github.com/ddlBoJack/MMAR adds `thinking`, `cue` and
`rubric` to each question: they tell the answer, and go apart, to where only the judge of traces reads them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.hub import commit_of, dataset_file
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.hub import from_archive, local_questions, state_of
from audio_reasoning.tasks.mmar_schema import read_rows
from audio_reasoning.tasks.provenance import annotated, with_provenance
from audio_reasoning.tasks.published import limited
from audio_reasoning.tasks.source_params import MmarSource

ANNOTATIONS = ("thinking", "cue", "rubric")
LICENSE = "CC-BY-NC-4.0"


def load(source: MmarSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Have metadata and audio, from the hub or this machine, and transcode the audio; annotations go apart.

    Raises UserError as the hub's loader does.
    """
    questions = local_questions(source)
    commit = ""
    if not (questions and source.audio):
        commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    path = questions or dataset_file(source.repo, commit, source.questions)
    rows = limited(read_rows(path, dropped if source.invalid == "drop" else None), source.limit)
    if source.audio:
        audio = transcode(rows, Path(source.audio), folder, source.invalid, dropped, source.audio)
    else:
        audio = from_archive(source, commit, rows, folder, dropped)
    for row in with_provenance(audio, LICENSE, state_of(source, commit), "as published"):
        yield annotated(row, ANNOTATIONS)
