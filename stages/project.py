"""All parameters of the project, typed: what `params.yaml` holds, and what must hold between its groups.

`conf/` documents the keys; `params.yaml` holds the composed values (see stages/compose.py). A stage reads its own
groups alone, so that a change of another group's schema does not concern it; here all of them meet.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from audio_reasoning.algorithms.tree import Node, check_tree
from audio_reasoning.conditions.params import Arms
from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import EvalPrompts, Headline
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.engines.params import Infer, Runtime, Serve, Thinking
from audio_reasoning.families.params import Model
from audio_reasoning.judging.params import Judge
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.vote_params import Vote
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.render.submission.params import Submission
from audio_reasoning.tasks.params import Data
from audio_reasoning.tasks.probe_params import Probe
from stages.aliases import listed_name, same_prompt, with_listed_names
from stages.contrasts import Declared
from stages.models import Models, recipes
from stages.params import PARAMS, load_params, parse_params
from stages.plan_steps import Rates
from stages.trial import with_trial


class Code(Strict):
    """Files that stages depend on because a parameter names what is in them; only dvc.yaml reads this group."""

    engine: str


class Training(EvalPrompts):
    """What all models that are trained have in common."""

    model_config = Strict.model_config

    preset: Name


class Project(Models, Declared):
    """The whole of `params.yaml`."""

    profile: Name
    trial: bool = False
    arms: Arms
    vote: Vote
    models: Annotated[Mapping[Name, Node], AfterValidator(check_tree)]  # of both bases
    training: Training
    data: Data
    model: Model
    infer: Infer
    code: Code
    thinking: Thinking
    serve: Serve
    errors: Errors
    judge: Judge
    submission: Submission
    probe: Probe
    optimize: dict[Name, SearchParams]
    headline: Headline
    plan: Rates
    runtime: Runtime

    @model_validator(mode="after")
    def _variants_differ(self) -> "Project":
        if same := same_prompt(self.prompts.variants):
            raise ValueError(f"prompts.variants: {same[0]!r} and {same[1]!r} are names of one prompt; list one of them")
        return self

    @model_validator(mode="after")
    def _variants_exist(self) -> "Project":
        listed = {
            "training.eval_prompts": self.training.eval_prompts,
            "arms.variants": self.arms.variants,
            "vote.variants": self.vote.variants,
        }
        for key, names in listed.items():
            for name in names:
                if name not in self.prompts.variants:
                    same = listed_name(name, self.prompts.variants)
                    if same in self.prompts.variants:  # dvc.yaml makes paths of both lists
                        raise ValueError(f"{key}: {name!r} is listed in prompts.variants as {same!r}; write the same")
                    hint = nearest(name, self.prompts.variants)
                    raise ValueError(
                        f"{key}: {name!r} is not in prompts.variants, so the base model has no answers "
                        f"to compare with; {hint}"
                    )
        return self

    @model_validator(mode="after")
    def _headline_exists(self) -> "Project":
        if self.headline.variant not in self.prompts.variants:
            hint = nearest(self.headline.variant, self.prompts.variants)
            raise ValueError(f"headline.variant {self.headline.variant!r} is not in prompts.variants; {hint}")
        return self

    @model_validator(mode="after")
    def _runs_exist(self) -> "Project":
        self.check_runs("judge.runs", self.judge.runs)
        self.check_runs("submission.run", [self.submission.run])
        return self

    @model_validator(mode="after")
    def _searches_start_elsewhere(self) -> "Project":
        for name, search in self.optimize.items():
            if search.start == name:
                raise ValueError(f"optimize.{name} starts from {name!r}, which it is to write; name another prompt")
        return self


def load_project(path: Path = PARAMS) -> Project:
    """All parameters; raises UserError as `stages.params.load_params` does."""
    project = load_params(Project, path=path)
    recipes(project, str(path))
    return project


def parse_project(raw: Any, where: str) -> Project:
    """Check a composed mapping; `where` names it in the message."""
    project = parse_params(Project, with_trial(with_listed_names(raw)), where)
    recipes(project, where)
    return project
