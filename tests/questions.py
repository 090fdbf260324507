"""A question that any test can ask."""

from dataclasses import replace
from typing import Any

from audio_reasoning.core.records import Audio, Question

QUESTION = Question(
    id="q1",
    audio=Audio("mini/a.flac", "0" * 64, 2.0),
    question="Which sound is heard?",
    choices=("a bell", "rain"),
    answer=1,
    category="Perception Layer",
    sub_category="Music Theory",
    modality="sound",
    language=None,
    source="mini",
    group="a",
)


def question(i: int, **changes: Any) -> Question:
    """Another one, of another group, with other fields."""
    return replace(QUESTION, id=f"q{i}", group=f"g{i}", **changes)
