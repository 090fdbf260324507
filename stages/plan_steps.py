"""What each stage asks, generates and trains on: arithmetic on the parameters and on what is known of the questions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from audio_reasoning.core.runs import PERMUTED
from audio_reasoning.core.typed import Count, Positive, Strict

if TYPE_CHECKING:
    from audio_reasoning.algorithms.params import Recipe
    from stages.project import Project

_RETAINED = 0.05  # of the problems: mastered ones that the gate asks again


class Rates(Strict):
    """What a plan reckons with where nothing was measured."""

    completion_tokens: Count
    letters_per_token: Positive
    prompt_tokens_per_s: Positive
    completion_tokens_per_s: Positive
    train_tokens_per_s: Positive
    traces_per_problem: Positive
    start_s: Positive
    device: Literal["CPU", "GPU"]


@dataclass(frozen=True)
class Step:
    """The work of one stage: requests, answers (several of a request, where it is sampled), and tokens."""

    name: str
    requests: int = 0
    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    trained_tokens: int = 0

    def hours(self, rates: Rates) -> float:
        """The time that the tokens take, by the rates."""
        asked = self.prompt_tokens / rates.prompt_tokens_per_s + self.completion_tokens / rates.completion_tokens_per_s
        return (asked + self.trained_tokens / rates.train_tokens_per_s) / 3600


class Known(Protocol):
    """What is known of questions and answers."""

    def count(self, split: str) -> int:
        """The questions of a split."""

    def prompt(self, split: str, variant: str, condition: str = "") -> float:
        """The mean tokens of a prompt, the clip's included."""

    def completion(self, variant: str) -> float:
        """The mean tokens of an answer."""


def steps(project: "Project", recipes: Mapping[str, "Recipe"], known: Known) -> list[Step]:
    """The work of each stage that asks or trains, in the order in which they run."""
    return [*_searches(project, known), *_tests(project, known), *_models(project, recipes, known)]


def _asked(
    name: str, known: Known, split: str, variant: str, count: float, samples: int = 1, condition: str = ""
) -> Step:
    requests = round(count)
    return Step(
        name,
        requests,
        requests * samples,
        round(requests * known.prompt(split, variant, condition)),
        round(requests * samples * known.completion(variant)),
    )


def _searches(project: "Project", known: Known) -> Iterator[Step]:
    """What a search may take at most, its held-out questions under the start and the result included."""
    for name, search in project.optimize.items():
        start = search.start
        yield _asked(f"optimize_prompt@{name}", known, "dev", start, search.budget + 2 * search.heldout)


def _tests(project: "Project", known: Known) -> Iterator[Step]:
    questions, arms, vote = known.count("test"), project.arms, project.vote
    for variant in project.prompts.variants:
        yield _asked(f"answer@{variant}", known, "test", variant, questions, project.infer.n)
    for variant in arms.variants:
        for kind in arms.kinds:
            times = arms.permutations if kind == PERMUTED else 1
            name = f"answer_controls@{variant}-{kind}"
            yield _asked(name, known, "test", variant, questions * times, project.infer.n, kind)
    for variant in vote.variants:
        yield _asked(f"answer_samples@{variant}", known, "test", variant, questions, vote.n)


def _models(project: "Project", recipes: Mapping[str, "Recipe"], known: Known) -> Iterator[Step]:
    depths = {"base": 0}
    for name, recipe in recipes.items():
        depths[name] = depths[project.models[name].start] + 1
        generate, prompt = recipe.generate, recipe.prompt
        sampled = _asked(
            "", known, "train", prompt, generate.problems * generate.requests, generate.n // generate.requests
        )
        silent = _asked(
            "", known, "train", prompt, generate.problems if generate.silence_n else 0, generate.silence_n or 1
        )
        controls = min(recipe.check.control_questions, known.count("dev"))
        yield _sum(f"training_generate@{name}", sampled, silent,
                   _asked("", known, "dev", prompt, controls, recipe.check.control_n))  # fmt: skip
        yield _fit(f"training_fit@{name}", project, recipe, depths[name], known)
        tried = _asked("", known, "dev", prompt, known.count("dev") * (1 + len(recipe.gate.scales)))
        kept = _asked("", known, "train", prompt, 2 * _RETAINED * generate.problems, recipe.gate.retention_n)
        yield _sum(f"training_gate@{name}", tried, kept)
        for variant in project.training.eval_prompts:
            yield _asked(
                f"answer_models@{name}-{variant}", known, "test", variant, known.count("test"), project.infer.n
            )


def _fit(name: str, project: "Project", recipe: "Recipe", depth: int, known: Known) -> Step:
    """A bank grows with each model where traces accumulate; a prompt is shared by its traces where rows are."""
    select = getattr(recipe, "select", None)
    if recipe.generate.problems:
        traces = recipe.generate.problems * project.plan.traces_per_problem
        traces *= depth if getattr(select, "accumulate", False) else 1
        prompts = min(traces, recipe.generate.problems * depth) if recipe.train.share_prompts else traces
    else:  # traces that are given, one a question
        prompts = traces = min(getattr(select, "limit", None) or known.count("train"), known.count("train"))
    tokens = prompts * known.prompt("train", recipe.prompt) + traces * known.completion(recipe.prompt)
    return Step(name, trained_tokens=round(recipe.train.epochs * tokens))


def _sum(name: str, *parts: Step) -> Step:
    fields = ("requests", "answers", "prompt_tokens", "completion_tokens", "trained_tokens")
    return Step(name, **{field: sum(getattr(part, field) for part in parts) for field in fields})
