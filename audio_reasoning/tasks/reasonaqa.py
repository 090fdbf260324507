"""ReasonAQA: reasoning questions about AudioCaps and Clotho, on which Mellow was trained (Deshmukh et al., 2503.08540).

From https://zenodo.org/records/15036628: one zip with train.json, val.json and test.json, arrays of objects with
`taskname` (audiocaps or clothov21), `filepath1`, `filepath2` (of questions about two clips), `caption1`, `caption2`,
`input` (the options inline: "… a) dog barking b) chirping birds"), `answer` ("a) dog barking") and `subtype`, as told
by https://github.com/soham97/mellow at 349f9b2. The clips are not among its files: they are read from a folder on this
machine that has them under `filepath1`.

Kept are questions about one clip with options inline: multiple choice, and entailment, with its four options.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from audio_reasoning.core.download import use_fetched
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_rows
from audio_reasoning.core.zenodo import Record, read_record, record_file
from audio_reasoning.tasks.archives import extract
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import leave_out, ready, scratch_beside
from audio_reasoning.tasks.source_params import ReasonAqaSource

TWO_CLIPS = "it is about two clips"
NO_OPTIONS = "it has no options to choose from"
_OPTION = re.compile(r"(?:^|\s)([a-f])\)\s*")
_AUDIOCAPS = re.compile(r"^Y([\w-]{11})$")  # how AudioCaps' files are named: Y and the video's id


def load(source: ReasonAqaSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download the questions and transcode the clips that lie in the source's folder.

    Raises UserError for what `read_record`, `record_file`, `ready` and `transcode` refuse, and a record without a zip.
    """
    record = read_record(source.record, source.endpoint)
    archive, part = _archive(record), f"{source.part}.json"
    with scratch_beside(folder) as scratch:

        def unpack(path: Path) -> list[tuple[str, dict[str, Any]]]:
            extract(path, scratch, {part})
            if not (scratch / part).is_file():
                raise UserError(f"{archive}: holds no {part}")
            return list(read_rows(scratch / part, f"{archive}: {part}"))

        questions = use_fetched(lambda anew: record_file(record, archive, anew), unpack)
    found = []
    for number, (where, raw) in enumerate(questions):
        name = f"reasonaqa_{source.part}_{number}"
        question, options = parsed(str(raw.get("input", "")))
        if raw.get("filepath2"):
            leave_out(dropped, name, TWO_CLIPS)
        elif not options:
            leave_out(dropped, name, NO_OPTIONS)
        else:
            found.append((where, _row(raw, name, question, options)))
    rows = ready(found, source, dropped, f"Zenodo {record.number}: {part}")
    audio = transcode(rows, Path(source.audio), folder, source.invalid, dropped, source.audio)
    yield from with_provenance(audio, record.license, f"Zenodo {record.number}", "as published, options taken apart")


def parsed(text: str) -> tuple[str, dict[str, str]]:
    """The question before the options, and the options by their letter; none where they are not a), b), … in order.

    >>> parsed("what is heard? a) a dog b) rain")
    ('what is heard?', {'a': 'a dog', 'b': 'rain'})
    >>> parsed("is there a cat (in a) the audio?")[1]
    {}
    """
    question, *pieces = _OPTION.split(text)
    letters, texts = pieces[::2], [piece.strip() for piece in pieces[1::2]]
    if len(letters) < 2 or letters != [chr(ord("a") + place) for place in range(len(letters))] or not question.strip():
        return text, {}
    return question.strip(), dict(zip(letters, texts, strict=True))


def _row(raw: dict[str, Any], name: str, question: str, options: dict[str, str]) -> dict[str, Any]:
    """A question in MMAR's schema; what is not as it should be is left for the schema to refuse."""
    told, path = raw.get("answer"), raw.get("filepath1")
    answer = options.get(told.strip()[:1].lower()) if isinstance(told, str) and _OPTION.match(told.strip()) else told
    row = {
        "id": name,
        "audio_path": path,
        "question": question,
        "choices": list(options.values()),
        "answer": answer,
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": "Environmental Perception and Reasoning",
        "source": raw.get("taskname"),
        "subtype": raw.get("subtype"),
    }
    if isinstance(path, str):
        stem = PurePosixPath(path).stem
        row["group"] = stem
        if video := _AUDIOCAPS.match(stem):
            row |= {"group": video[1], "url": f"https://www.youtube.com/watch?v={video[1]}"}
    return {key: value for key, value in row.items() if value is not None}


def _archive(record: Record) -> str:
    zips = [name for name in record.files if name.endswith(".zip")]
    if len(zips) != 1:
        raise UserError(
            f"Zenodo record {record.number}: expected one zip, found {', '.join(record.files) or 'nothing'}"
        )
    return zips[0]
