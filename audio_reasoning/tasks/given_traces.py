"""What sources tell of how a question is answered: what is heard and what follows from it, or somebody's thinking."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The fields of annotations that hold thinking: AudioMCQ's traces by Gemini, MMAR's by people (a test set: none trains).
_THINKING = ("gemini_cot", "thinking")


@dataclass(frozen=True)
class GivenTrace:
    """The way to one question's answer. Empty is what a source does not tell; `heard` and `analysis` go together."""

    id: str
    heard: str = ""
    analysis: str = ""
    thinking: str = ""


def given_traces(rows: Iterable[Mapping[str, Any]]) -> Iterator[GivenTrace]:
    """The traces of questions or annotations as a source's files have them; rows that tell of none are passed."""
    for row in rows:
        evidence = row.get("evidence")
        if isinstance(evidence, Mapping) and evidence.get("heard") and evidence.get("analysis"):
            yield GivenTrace(row["id"], str(evidence["heard"]), str(evidence["analysis"]))
            continue
        told = next((text for key in _THINKING if isinstance(text := row.get(key), str) and text.strip()), "")
        if told:
            yield GivenTrace(row["id"], thinking=told.strip())
