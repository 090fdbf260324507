"""What the parameters declare beforehand: which runs there are."""

from collections.abc import Iterable, Mapping

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import ArmNames, EvalPrompts, Prompts, Start, VoteNames
from audio_reasoning.core.runs import Run, named_run
from audio_reasoning.core.typed import Name, Strict

RUNS = ("prompts.variants", "arms.kinds", "arms.variants", "vote.variants", "models", "training.eval_prompts")


class DeclaredRuns(Strict):
    """What of the parameters declares runs; the parameters of a stage that reads runs extend it."""

    prompts: Prompts
    arms: ArmNames
    vote: VoteNames
    models: Mapping[Name, Start]
    training: EvalPrompts

    def run_names(self) -> list[str]:
        """Every run that the parameters ask for, prompts first, as audio_reasoning/core/runs.py reads them.

        Needs the keys that RUNS names.
        """
        return [
            *self.prompts.variants,
            *(f"{variant}@{kind}" for variant in self.arms.variants for kind in self.arms.kinds),
            *(f"{variant}@{condition}" for variant in self.vote.variants for condition in ("samples", "vote")),
            *(f"{model}/{variant}" for model in self.models for variant in self.training.eval_prompts),
        ]

    def runs(self) -> list[Run]:
        """The same as `run_names`, as runs."""
        return [named_run(name) for name in self.run_names()]

    def check_runs(self, key: str, names: Iterable[str]) -> None:
        """Raise ValueError, with `key` and the nearest name, unless all of `names` are runs that are asked for."""
        for name in names:
            if name not in self.run_names():
                raise ValueError(f"{key}: no run is called {name!r}; {nearest(name, self.run_names())}")
