"""What the parameters declare beforehand: which runs are compared with which."""

from collections.abc import Mapping
from typing import Self

from pydantic import model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import SearchStart
from audio_reasoning.core.runs import Run, named_run
from audio_reasoning.core.typed import Name
from audio_reasoning.metrics.compare_params import Compare, Contrast
from stages.aliases import listed_name
from stages.declared import RUNS, DeclaredRuns
from stages.family import Contrasts, with_base, with_start
from stages.params import PARAMS, load_params


class Declared(DeclaredRuns):
    """What of the parameters declares runs and comparisons."""

    compare: Compare
    optimize: Mapping[Name, SearchStart]

    def contrasts(self) -> list[Contrast]:
        """The declared comparisons, each once.

        They are of each variant with the first, if so asked, of what each search found with what it started from,
        and those listed.

        Needs prompts.variants, optimize, compare.each_with_first and compare.contrasts.
        """
        listed = self.compare.contrasts
        first, *others = self.prompts.variants if self.compare.each_with_first else [""]
        of_first = [(first, other) for other in others]
        declared = [*listed]
        for a, b in (*of_first, *self._of_searches()):
            if {a, b} not in [{contrast.a, contrast.b} for contrast in declared]:
                declared.append(Contrast(a=a, b=b))
        return [*declared[len(listed) :], *listed]

    def _of_searches(self) -> list[tuple[str, str]]:
        """The start and the result of each search whose result is one of prompts.variants."""
        variants = self.prompts.variants
        starts = {name: listed_name(one.start, variants) for name, one in self.optimize.items() if name in variants}
        return [(start, name) for name, start in starts.items() if start != name]  # which stages.project refuses

    @model_validator(mode="after")
    def _starts_are_asked(self) -> Self:
        for start, name in self._of_searches():
            if start not in self.prompts.variants:
                raise ValueError(
                    f"optimize.{name}.start is {start!r}, which prompts.variants does not list beside {name!r}, though "
                    f"the two are to be compared: list it, or mend its name; {nearest(start, self.prompts.variants)}"
                )
        return self

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


def declared_contrasts(params: Declared) -> list[tuple[Run, Run]]:
    """The runs of each contrast that `compare` declares, which the parameters' schema knows to exist."""
    return [(named_run(contrast.a), named_run(contrast.b)) for contrast in params.contrasts()]


def families(params: Declared) -> dict[str, Contrasts]:
    """All declared families, by what declares them."""
    starts = {name: model.start for name, model in params.models.items()}
    prompts = params.training.eval_prompts
    return {
        "compare": declared_contrasts(params),
        "models, with the base": with_base(starts, prompts),
        "models, with the one it starts from": with_start(starts, prompts),
    }


def project_comparisons() -> Declared | None:
    """What the project in this folder declares, for commands that are no stage; None outside a project."""
    return load_params(Declared, *RUNS, "compare", "optimize") if PARAMS.is_file() else None
