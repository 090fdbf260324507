"""What the parameters declare beforehand: which runs there are, and which of them are compared."""

from collections.abc import Iterable
from typing import Self

from pydantic import model_validator

from audio_reasoning.algorithms.rest.params import Rest
from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import nearest
from audio_reasoning.core.runs import Run, named_run
from audio_reasoning.core.typed import Name, Names, Strict
from audio_reasoning.metrics.compare_params import Compare, Contrast
from audio_reasoning.metrics.vote_params import Vote


class Prompts(Strict):
    """Which prompt variants are compared."""

    variants: Names


class Headline(Strict):
    """The variant to quote."""

    variant: Name


class DeclaredRuns(Strict):
    """The groups of parameters that runs are declared in; the parameters of a stage that reads runs extend it."""

    prompts: Prompts
    arms: Arms
    vote: Vote
    rest: Rest

    def run_names(self) -> list[str]:
        """Every run that the parameters ask for, prompts first, as audio_reasoning/core/runs.py reads them.

        Needs the groups prompts.variants, arms, vote and rest (iterations, eval_prompts).
        """
        return [
            *self.prompts.variants,
            *(f"{variant}@{kind}" for variant in self.arms.variants for kind in self.arms.kinds),
            *(f"{variant}@{condition}" for variant in self.vote.variants for condition in ("samples", "vote")),
            *(f"{iteration}/{variant}" for iteration in self.rest.iterations for variant in self.rest.eval_prompts),
        ]

    def runs(self) -> list[Run]:
        """The same as `run_names`, as runs."""
        return [named_run(name) for name in self.run_names()]


class Declared(DeclaredRuns):
    """The same, with the comparisons that are declared."""

    compare: Compare

    def contrasts(self) -> list[Contrast]:
        """The declared comparisons: of each variant with the first, if so asked, and those listed.

        Needs prompts.variants, compare.each_with_first and compare.contrasts.
        """
        listed = self.compare.contrasts
        first, *others = self.prompts.variants if self.compare.each_with_first else [""]
        pairs = [{contrast.a, contrast.b} for contrast in listed]
        return [*(Contrast(a=first, b=other) for other in others if {first, other} not in pairs), *listed]

    def check_runs(self, key: str, names: Iterable[str]) -> None:
        """Raise ValueError, with `key` and the nearest name, unless all of `names` are runs that are asked for."""
        for name in names:
            if name not in self.run_names():
                raise ValueError(f"{key}: no run is called {name!r}; {nearest(name, self.run_names())}")

    @model_validator(mode="after")
    def _contrasts_exist(self) -> Self:
        self.check_runs("compare.contrasts", (name for one in self.compare.contrasts for name in (one.a, one.b)))
        return self

    @model_validator(mode="after")
    def _can_reject(self) -> Self:
        # A p drawn from so many resamples is never below 1 / (resamples + 1), and Holm multiplies it by all contrasts.
        contrasts = len(self.contrasts())
        if self.compare.resamples < 20 * contrasts:
            raise ValueError(
                f"with {contrasts} contrasts no p from {self.compare.resamples} resamples can be below 0.05; "
                f"set compare.resamples to {200 * contrasts} or more, at least {20 * contrasts}"
            )
        return self
