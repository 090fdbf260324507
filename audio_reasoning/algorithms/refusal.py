"""A refusal: a model cannot be trained, and that is a result like the gate's rejection.

It stays the model that it started from, its later stages pass the refusal on without any work, and all that
comes after runs. What a person can mend in parameters, and damaged files, stop a stage instead (UserError).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from audio_reasoning.core.typed import Strict

KEY = "refused"  # in the metrics of each stage of a refused model
FILE = "refused.json"  # in models/candidates/<model>, in place of an adapter
_RULE = "─" * 100


class Refusal(Strict):
    """Which stage refused, everything that was wrong, and what could be done about it."""

    stage: str
    reasons: list[str]
    ways_out: list[str]

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


class RefusedError(UserError):
    """Raised where a model cannot be trained; the stage that it reaches records it."""

    def __init__(self, reasons: Sequence[str], ways_out: Sequence[str]):
        super().__init__("; ".join([*reasons, *ways_out]))
        self.reasons, self.ways_out = list(reasons), list(ways_out)

    def by(self, stage: str) -> Refusal:
        """The record of it."""
        return Refusal(stage=stage, reasons=self.reasons, ways_out=self.ways_out)


def refusal_in(metrics: Path) -> Refusal | None:
    """The refusal that an earlier stage of a model recorded in its metrics, None where there is none.

    Raises UserError when the file is missing or is no JSON object.
    """
    value: Any = read_json(metrics)
    if not isinstance(value, dict):
        raise UserError(f"{metrics}: expected a JSON object; `dvc repro` writes it anew")
    return Refusal.model_validate(value[KEY]) if KEY in value else None


def announce(model: str, start: str, refusal: Refusal) -> None:
    """Tell on stderr, so that nobody misses it, what was refused, why, and how to go on."""
    lines = [
        _RULE,
        f"REFUSED: {model} is not trained ({refusal.stage}); it stays the model {start}",
        *(f"  - {reason}" for reason in refusal.reasons),
        f"Ways out (keys of models.{model}, or of the group of its method):",
        *(f"  - {way}" for way in refusal.ways_out),
        "  - or train nothing: models=none",
        f"This is recorded in metrics/training/gates/{model}.json, and the rest of the pipeline runs.",
        _RULE,
    ]
    print("\n".join(lines), file=sys.stderr)


def passed_on(model: str, refusal: Refusal) -> str:
    """What the later stages of a refused model say."""
    return f"{model}: refused by {refusal.stage}, nothing to do here: {refusal.reason}"
