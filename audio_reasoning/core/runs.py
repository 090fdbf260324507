"""Runs by name: whose answers to the test questions, under which prompt, in which condition.

| name | answers of |
|---|---|
| `baseline` | the base model under the prompt `baseline` |
| `baseline@silence` | the same under a control arm (`silence`, `mismatched`, `text_only`, `permuted`) |
| `baseline@samples` | the same, several sampled answers a question |
| `baseline@vote` | the votes of these samples, one answer a question |
| `iter1/baseline` | the trained model `iter1` |

Any model can be asked in any condition: `iter3/baseline@silence`.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from audio_reasoning.core.errors import UserError, nearest

BASE = "base"  # the model that all others come from
ARMS = ("silence", "mismatched", "text_only", "permuted")  # ours; parameters may add others
PERMUTED = "permuted"
SAMPLES, VOTE = "samples", "vote"
_NAME = re.compile(r"((?P<model>[a-z][a-z0-9_]*)/)?(?P<variant>[a-z][a-z0-9_]*)(@(?P<condition>[a-z][a-z0-9_]*))?")


@dataclass(frozen=True)
class Run:
    """One set of answers to all test questions; `condition` is empty, an arm, "samples" or "vote"."""

    variant: str
    model: str = BASE
    condition: str = ""

    @property
    def name(self) -> str:
        """Its name in parameters, tables and the report."""
        model = "" if self.model == BASE else f"{self.model}/"
        return f"{model}{self.variant}" + (f"@{self.condition}" if self.condition else "")


def find_run(name: str, runs: list[Run]) -> Run:
    """The run of that name; UserError with the nearest name if there is none."""
    by_name = {run.name: run for run in runs}
    if name not in by_name:
        raise UserError(f"no run is called {name!r}; {nearest(name, by_name)}")
    return by_name[name]


def named_run(name: str) -> Run:
    """The run that a name stands for, whether or not the parameters ask for it; UserError if it can be no name.

    >>> named_run("iter1/baseline") == Run("baseline", "iter1"), named_run("iter1/baseline@vote").condition
    (True, 'vote')
    """
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise UserError(f"{name!r} names no run; such names are baseline, baseline@silence, iter1/baseline@vote")
    return Run(matched["variant"], matched["model"] or BASE, matched["condition"] or "")


def _run_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a run is called <prompt> or <model>/<prompt>, either with @<condition> behind it")
    return name


RunName = Annotated[str, AfterValidator(_run_name)]
