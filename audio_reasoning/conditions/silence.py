"""Questions asked without their sound: what is still answered right was not heard."""

from dataclasses import replace

from audio_reasoning.core.audio_tokens import HOP_SAMPLES, SAMPLE_RATE_HZ
from audio_reasoning.core.files import AUDIO, atomic_path, sha256_file
from audio_reasoning.core.records import Audio, Question

FOLDER = "_silence"  # below the media root; no source can have a name that starts with an underscore


def silenced(question: Question) -> Question:
    """The question about silence of its clip's length, which is written below the media root where it is missing."""
    frames = round(question.audio.duration_s * SAMPLE_RATE_HZ) // HOP_SAMPLES
    name = f"{FOLDER}/{frames}.flac"
    path = AUDIO / name
    if not path.is_file():
        import numpy as np
        import soundfile

        silence = np.zeros(frames * HOP_SAMPLES, dtype=np.int16)
        with atomic_path(path) as beside:
            soundfile.write(beside, silence, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return replace(question, audio=Audio(name, sha256_file(path), question.audio.duration_s))
