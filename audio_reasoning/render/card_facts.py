"""What a model card tells of an exported model; None is what is not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from audio_reasoning.metrics.results import Metrics
from audio_reasoning.metrics.training_results import GateVerdict, VersusBase


@dataclass(frozen=True)
class Step:
    """One of the models that led to it: what it started from, how it was trained, and what the gate said."""

    name: str
    start: str
    settings: Mapping[str, Any]
    verdict: GateVerdict | None
    trained: Mapping[str, Any]  # counts that `training_select` and `training_fit` wrote


@dataclass(frozen=True)
class Source:
    """A source of questions: where it is published, and what its provenance.json counts, where that is there."""

    name: str
    where: str
    dataset: str  # its name on the hub, or ""
    provenance: Mapping[str, Any] | None
    questions: Mapping[str, int]  # by split


@dataclass(frozen=True)
class Facts:
    """All that a card tells; None is what is not known."""

    name: str
    kind: Literal["merged", "adapter", "base"]
    profile: str
    base: str
    base_revision: str | None  # on the hub; None: made by this project
    license: str | None  # the base's, as the hub names it
    adapter: str | None  # SHA-256 of its weights
    commit: str | None
    changed: bool  # whether files of the project differed from the commit
    steps: Sequence[Step]
    recipe: Mapping[str, Any]
    sources: Sequence[Source]
    removed: Mapping[str, int] | None  # by rule, since a test question collides
    decontaminated: bool
    metrics: Mapping[str, Metrics]  # by prompt
    versus_base: Sequence[VersusBase]
    trained_prompt: str | None
    prompt: tuple[str, str, str]  # name, system text and template of the one to use
    sampling: Mapping[str, Any]
    limits: Sequence[str]
    loading: str  # how to load it, in Markdown
    stale: Sequence[str] = field(default=())  # prompts whose figures are of other weights, and so left out
