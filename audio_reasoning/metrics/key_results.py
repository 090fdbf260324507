"""The study in one table: what each approach reaches, beside what it is to be compared with. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.reported import REPORTED, Approach, Reported
from audio_reasoning.metrics.results import Compared, Judged, Metrics, Summary
from audio_reasoning.metrics.training_results import TrainingSummary
from audio_reasoning.metrics.vote_results import VoteFigures

APPROACHES: tuple[Approach, ...] = get_args(Approach)


@dataclass(frozen=True)
class Study:
    """What has been measured. What is not there is None, or left out of its mapping.

    `variants` are all prompts, the first of them the baseline; `own_names` what those are called that the parameters
    list by an alias. `metrics` are by run.
    """

    variants: Sequence[str]
    metrics: Mapping[str, Metrics]
    summary: Summary | None = None
    training: TrainingSummary | None = None
    optimizations: Mapping[str, Optimization] = field(default_factory=dict)
    votes: Mapping[str, VoteFigures] = field(default_factory=dict)
    own_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KeyResult:
    """What an approach reaches on the test questions in one run; a run that is only `reported` has no figures here.

    `accuracy` is with the ends of its 95 % interval; `versus` compares the run with `reference`.
    """

    approach: Approach
    run: str
    accuracy: tuple[float, float, float] | None = None
    reference: str = ""
    versus: Compared | None = None
    reported: Reported | None = None

    @property
    def only_reported(self) -> bool:
        """Whether the approach has no counterpart here."""
        return self.accuracy is None and not self.reference


def key_results(study: Study) -> list[KeyResult]:
    """All results by approach, in each those that are only reported last."""
    found = [*_prompts(study), *_optimized(study), *_trained(study), *_voted(study)]
    beside = {id(row.reported) for row in found if row.reported}
    found += [KeyResult(one.approach, one.name, reported=one) for one in REPORTED if id(one) not in beside]
    return [row for approach in APPROACHES for row in found if row.approach == approach]


def not_there(study: Study) -> list[str]:
    """What has not been measured, each with the command that measures it."""
    lines = []
    if not study.summary:
        lines.append("no comparison of the prompts: `dvc repro compare`")
    if missing := [name for name in study.variants if name not in study.metrics]:
        lines.append(f"no scores of {', '.join(missing)}: `dvc repro score`")
    if not study.optimizations:
        lines.append("no optimised prompt: `dvc repro optimize_prompt`")
    lines += [
        f"{name} has not been asked the test questions: add it to prompts.variants, then `dvc repro`"
        for name in study.optimizations
        if name not in study.variants
    ]
    if not study.training:
        lines.append("no trained models: `dvc repro compare_models`")
    if not study.votes:
        lines.append("no votes: add a prompt to vote.variants, then `dvc repro vote`")
    return lines


def _prompts(study: Study) -> Iterator[KeyResult]:
    """The baseline, and every other prompt that was written by hand, against it."""
    for variant in study.variants:
        first = variant == study.variants[0]
        approach: Approach = "baseline" if first else "structured prompting"
        if variant in study.metrics and (first or variant not in study.optimizations):
            yield KeyResult(
                approach,
                variant,
                _accuracy(study.metrics[variant]),
                "" if first else study.variants[0],
                None if first else _judged(study, study.variants[0], variant),
                _reported(approach, study.own_names.get(variant, variant)),
            )


def _optimized(study: Study) -> Iterator[KeyResult]:
    """Every prompt that an optimiser found, against the one that it started from."""
    for name, search in study.optimizations.items():
        metrics = study.metrics.get(name)
        yield KeyResult(
            "optimised prompts",
            name,
            _accuracy(metrics) if metrics else None,
            search.start,
            _judged(study, search.start, name),
            _reported("optimised prompts", search.optimizer),
        )


def _trained(study: Study) -> Iterator[KeyResult]:
    """Each model that no other starts from under each prompt, against the base model under the same."""
    for row in study.training.versus_base if study.training else ():
        run = f"{row.b}/{row.prompt}"
        if study.training and row.b in study.training.leaves and run in study.metrics:
            reported = _reported("self-training", study.own_names.get(row.prompt, row.prompt))
            yield KeyResult("self-training", run, _accuracy(study.metrics[run]), row.prompt, row, reported)


def _voted(study: Study) -> Iterator[KeyResult]:
    """The majority of each prompt's samples, against the mean of these."""
    for votes in study.votes.values():
        samples, vote = votes.detail
        yield KeyResult("majority vote", vote.name, (vote.acc, vote.low, vote.high), samples.name, votes.comparison[0])


def _accuracy(metrics: Metrics) -> tuple[float, float, float]:
    return metrics.acc_strict, metrics.overall.low, metrics.overall.high


def _judged(study: Study, a: str, b: str) -> Judged | None:
    return study.summary.between(a, b) if study.summary else None


def _reported(approach: Approach, counterpart: str) -> Reported | None:
    return next((one for one in REPORTED if (one.approach, one.counterpart) == (approach, counterpart)), None)
