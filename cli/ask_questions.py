"""The questions that `ask` asks, and the folder of their clips."""

import sys
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_rows
from audio_reasoning.core.records import Question, read_questions
from audio_reasoning.tasks.asked import questions_with_audio
from stages.layout import AUDIO, QUESTIONS, cache_dir

TEST = QUESTIONS / "test.jsonl"


def questions_to_ask(path: Path | None, audio: Path | None, limit: int | None) -> tuple[list[Question], Path]:
    """The first `limit` questions of a file, and the folder that their clips are in as a model hears them.

    Question records have their clips as they are; MMAR's metadata have theirs converted, which is kept in the cache.
    Raises UserError for a file that is missing or wrong, and for audio that cannot be used.
    """
    path = path or TEST
    first = next((row for _, row in read_rows(path)), None)
    if first is None:
        raise UserError(f"{path}: holds no questions")
    if "audio" in first and "audio_path" not in first:
        return read_questions(path)[:limit], audio or AUDIO
    if audio is None:
        raise UserError(f"{path}: MMAR's metadata names audio files: give the folder that they are in, --audio FOLDER")
    questions, folder, dropped = questions_with_audio(path, audio, cache_dir(), limit)
    for row in dropped:
        print(f"warning: {row['id']} is not asked: {row['why']}", file=sys.stderr)
    return questions, folder
