"""What the parameters declare beforehand: which runs there are."""

from collections.abc import Iterable

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import ArmNames, IterationNames, Prompts, VoteNames
from audio_reasoning.core.runs import Run, named_run
from audio_reasoning.core.typed import Strict

RUNS = ("prompts.variants", "arms.kinds", "arms.variants", "vote.variants", "rest.eval_prompts", "rest.iterations")


class DeclaredRuns(Strict):
    """What of the parameters declares runs; the parameters of a stage that reads runs extend it."""

    prompts: Prompts
    arms: ArmNames
    vote: VoteNames
    rest: IterationNames

    def run_names(self) -> list[str]:
        """Every run that the parameters ask for, prompts first, as audio_reasoning/core/runs.py reads them.

        Needs the keys that RUNS names.
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

    def check_runs(self, key: str, names: Iterable[str]) -> None:
        """Raise ValueError, with `key` and the nearest name, unless all of `names` are runs that are asked for."""
        for name in names:
            if name not in self.run_names():
                raise ValueError(f"{key}: no run is called {name!r}; {nearest(name, self.run_names())}")
