"""The question in text alone: what is still answered right can be read off the choices."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audio_reasoning.conditions.condition import Condition
from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.records import NO_AUDIO, Question


def without_audio(questions: Sequence[Question], arms: Tampering, media_root: Path) -> list[Question]:
    """Each question without a clip."""
    return [replace(question, audio=NO_AUDIO) for question in questions]


CONDITION = Condition(without_audio)
