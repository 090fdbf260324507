"""Questions in MMAR's schema with their audio, made ready to be asked at once, without becoming a source."""

from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import atomic_dir, read_jsonl, sha256_file, sha256_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, read_questions, to_dict
from audio_reasoning.tasks.audio import flac_duration
from audio_reasoning.tasks.clips import locate_all, questions_by_clip, transcode
from audio_reasoning.tasks.kept import keeping
from audio_reasoning.tasks.mmar_schema import parse_row, read_rows


def questions_with_audio(
    path: Path, audio: Path, work: Path, limit: int | None = None
) -> tuple[list[Question], Path, list[dict[str, Any]]]:
    """The first `limit` questions of a file, the folder of their clips as FLAC, and what was left out and why.

    The clips, found below `audio`, are converted once, into a folder in `work`; other files or other questions have
    one of their own. Raises UserError for a file that is wrong as a whole, and where no audio can be used.
    """
    left_out: list[dict[str, str]] = []
    rows = read_rows(path, left_out)[:limit]
    files, _ = locate_all(audio, questions_by_clip(rows))
    content = {clip: sha256_file(file) for clip, file in files.items()}
    folder = work / "asked" / sha256_json({"rows": [repr(row) for row in rows], "audio": content})[:16]
    if not folder.is_dir():
        with atomic_dir(folder) as scratch, keeping(work / "transcoded"):
            dropped: list[dict[str, str]] = []
            ready = [
                _question(raw, scratch, path) for raw in transcode(rows, audio, scratch, "drop", dropped, str(audio))
            ]
            write_jsonl(scratch / "dropped.jsonl", dropped)
            write_jsonl(scratch / "questions.jsonl", map(to_dict, ready))
    questions = read_questions(folder / "questions.jsonl")
    if not questions:
        raise UserError(f"{path}: no question is left to ask")
    return questions, folder, [*left_out, *read_jsonl(folder / "dropped.jsonl")]


def _question(raw: dict[str, Any], folder: Path, path: Path) -> Question:
    row = parse_row(raw, str(path))
    file = folder / row.audio_path
    return Question(
        id=row.id,
        audio=Audio(row.audio_path, sha256_file(file), flac_duration(file)),
        question=row.question,
        choices=row.choices,
        answer=row.answer,
        category=row.category,
        sub_category=row.sub_category,
        modality=row.modality,
        language=row.language,
        source=path.stem,
        group=row.group,
    )
