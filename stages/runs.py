"""The runs of the project in this folder, for people who name one."""

from collections.abc import Collection

from pydantic import Field

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.run_names import ArmNames, Prompts
from audio_reasoning.core.runs import ARMS, BASE, SAMPLES, VOTE, Run, find_run, named_run
from audio_reasoning.core.typed import Name, Strict
from stages.aliases import listed_run
from stages.declared import RUNS, DeclaredRuns
from stages.layout import PROMPTS, answers_file
from stages.params import PARAMS, load_params


class Arms(ArmNames):
    """The control arms, those included that are no part of this project."""

    others: dict[Name, str] = Field(default_factory=dict)


class Params(DeclaredRuns):
    """What names runs."""

    arms: Arms


class Variants(Strict):
    """Which prompts there are."""

    prompts: Prompts


def called_run(name: str) -> Run:
    """The run of the name that a command is given, its prompt called as the parameters list it, or by its own name."""
    listed = load_params(Variants, "prompts.variants").prompts.variants if PARAMS.is_file() else ()
    return listed_run(named_run(name), listed)


def existing_run(name: str) -> Run:
    """The run of that name that a command is given: one whose answers are here, or that the parameters ask for.

    Raises UserError for any other, with the parameter that would add it, or else the nearest name.
    """
    run = called_run(name)
    if answers_file(run).is_file():
        return run
    params = load_params(Params, *RUNS, "arms.others") if PARAMS.is_file() else None
    if params is None:
        raise UserError(
            f"no run is called {name!r} here: there is no {answers_file(run)}, and no {PARAMS} that lists runs"
        )
    has_prompt = run.variant in params.prompts.variants or (PROMPTS / f"{run.variant}.yaml").is_file()
    if has_prompt and run.model in (BASE, *params.models):
        for key, value, listed in _listings(run, params):
            if value not in listed:
                raise UserError(
                    f"no stage makes the run {name!r}: {key} does not list {value!r}; add it, then `dvc repro`"
                )
    return find_run(run.name, params.runs())


def _listings(run: Run, params: Params) -> list[tuple[str, str, Collection[str]]]:
    """The parameters that make a run, what each would have to list, and what it lists."""
    arms = params.arms
    if run.condition in (*ARMS, *arms.others):
        return [("arms.variants", run.variant, arms.variants), ("arms.kinds", run.condition, arms.kinds)]
    if run.condition in (SAMPLES, VOTE):
        return [("vote.variants", run.variant, params.vote.variants)]
    if run.condition:  # of no kind that any parameter makes
        return []
    if run.model != BASE:
        return [("training.eval_prompts", run.variant, params.training.eval_prompts)]
    return [("prompts.variants", run.variant, params.prompts.variants)]
