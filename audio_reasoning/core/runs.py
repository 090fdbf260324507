"""Runs by name: whose answers to the test questions, under which prompt, in which condition.

| name | answers of |
|---|---|
| `baseline` | the base model under the prompt `baseline` |
| `baseline@silence` | the same under a control arm (`silence`, `mismatched`, `text_only`, `permuted`) |
| `baseline@samples` | the same, several sampled answers a question |
| `baseline@vote` | the votes of these samples, one answer a question |
| `iter1/baseline` | the model of the iteration `iter1` of self-training |

Arms, samples and votes are of the base model alone.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.files import (
    BASE_MODEL,
    METRICS,
    REST_METRICS,
    arms_dir,
    predictions_dir,
    samples_dir,
    votes_dir,
)

BASE = BASE_MODEL.name  # the model that all others come from
Arm = Literal["silence", "mismatched", "text_only", "permuted"]
ARMS: tuple[str, ...] = get_args(Arm)
PERMUTED: Arm = "permuted"
SAMPLES, VOTE = "samples", "vote"


@dataclass(frozen=True)
class Run:
    """One set of answers to all test questions; `condition` is empty, an arm, "samples" or "vote"."""

    variant: str
    model: str = BASE_MODEL.name
    condition: str = ""

    def __post_init__(self) -> None:
        """Refuse what nobody answers: its files would be those of the base model."""
        assert not self.condition or self.model == BASE_MODEL.name, f"{self.model} under {self.condition}"

    @property
    def name(self) -> str:
        """Its name in parameters, tables and the report."""
        model = "" if self.model == BASE_MODEL.name else f"{self.model}/"
        return f"{model}{self.variant}" + (f"@{self.condition}" if self.condition else "")

    @property
    def predictions(self) -> Path:
        """Its answers, one Response a line."""
        if self.condition in ARMS:
            return arms_dir(self.variant) / f"{self.condition}.jsonl"
        folders = {"": predictions_dir(self.model), SAMPLES: samples_dir(), VOTE: votes_dir()}
        return folders[self.condition] / f"{self.variant}.jsonl"

    @property
    def manifest(self) -> Path:
        """What made its answers: prompt, model, backend, decoding."""
        return self.predictions.with_suffix(".run.json")


def find_run(name: str, runs: list[Run]) -> Run:
    """The run of that name; UserError with the nearest name if there is none."""
    by_name = {run.name: run for run in runs}
    if name not in by_name:
        raise UserError(f"no run is called {name!r}; {nearest(name, by_name)}")
    return by_name[name]


def named_run(name: str) -> Run:
    """The run that a name stands for, whether or not the parameters ask for it; UserError if it can be no name.

    >>> named_run("iter1/baseline") == Run("baseline", "iter1"), named_run("baseline@vote").condition
    (True, 'vote')
    """
    model, _, rest = name.rpartition("/")
    variant, at, condition = rest.partition("@")
    conditions = (*ARMS, SAMPLES, VOTE)
    if at and condition not in conditions:
        raise UserError(f"{name!r} names no run: after @ stands a condition; {nearest(condition, conditions)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", variant) or not re.fullmatch(r"([a-z][a-z0-9_]*)?", model):
        raise UserError(f"{name!r} names no run; such names are baseline, baseline@vote, iter1/baseline")
    if model not in ("", BASE_MODEL.name) and condition:
        raise UserError(
            f"{name!r} names no run: arms, samples and votes are of the base model; leave out {model}/ or @{condition}"
        )
    return Run(variant, model or BASE_MODEL.name, condition)


def run_at(path: Path) -> Run | None:
    """The run whose answers are in the file `path`, as `Run.predictions` tells it; None if it is no such file.

    >>> run_at(Path("data/arms/baseline/silence.jsonl")).name, run_at(Path("data/questions/test.jsonl"))
    ('baseline@silence', None)
    """
    match path.parts:
        case ("data", "predictions", name):
            run = Run(Path(name).stem)
        case ("data", "arms", variant, name):
            run = Run(variant, condition=Path(name).stem)
        case ("data", "samples", name):
            run = Run(Path(name).stem, condition=SAMPLES)
        case ("data", "votes", name):
            run = Run(Path(name).stem, condition=VOTE)
        case ("data", "rest", "predictions", model, name):
            run = Run(Path(name).stem, model)
        case _:
            return None
    return run if path.suffix == ".jsonl" else None


def metrics_file(run: Run) -> Path:
    """The scores of a run: accuracies, by category, and what became of the rest."""
    if run.condition:
        folder = METRICS / ("arms" if run.condition in ARMS else "votes")
        return folder / run.variant / f"{run.condition}.json"
    folder = METRICS / "prompts" if run.model == BASE_MODEL.name else REST_METRICS / "scores" / run.model
    return folder / f"{run.variant}.json"


def _run_name(name: str) -> str:
    if not re.fullmatch(r"([a-z][a-z0-9_]*/)?[a-z][a-z0-9_]*|[a-z][a-z0-9_]*@[a-z_]+", name):
        raise ValueError(
            "a run is called <variant>, <variant>@<condition> or <iteration>/<variant>; arms, samples and votes are "
            "of the base model alone"
        )
    return name


RunName = Annotated[str, AfterValidator(_run_name)]
