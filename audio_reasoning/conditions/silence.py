"""Silence in place of the clip: what is still answered right was not heard."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audio_reasoning.conditions.condition import Condition
from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.audio import HOP_SAMPLES, SAMPLE_RATE_HZ, samples_of
from audio_reasoning.core.files import atomic_path, sha256_file
from audio_reasoning.core.records import Audio, Question

FOLDER = "_silence"  # below the media root; no source can have a name that starts with an underscore


def silenced(question: Question, media_root: Path) -> Question:
    """The question about silence of its clip's length, which is written below the media root where it is missing."""
    frames = samples_of(question.audio.duration_s) // HOP_SAMPLES
    name = f"{FOLDER}/{frames}.flac"
    path = media_root / name
    if not path.is_file():
        import numpy as np
        import soundfile

        silence = np.zeros(frames * HOP_SAMPLES, dtype=np.int16)
        with atomic_path(path) as beside:
            soundfile.write(beside, silence, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return replace(question, audio=Audio(name, sha256_file(path), question.audio.duration_s))


def silence(questions: Sequence[Question], arms: Tampering, media_root: Path) -> list[Question]:
    """Each question about silence."""
    return [silenced(question, media_root) for question in questions]


CONDITION = Condition(silence)
