"""A plan as people read it: a line for each kind of stage, the sums, and what the figures rest on."""

from collections.abc import Sequence
from typing import Any

from audio_reasoning.render.table import Table, cells, to_text
from stages.plan import Here
from stages.plan_steps import Rates, Step

_SI = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(number: float) -> str:
    """A number with at most three digits.

    >>> short(950), short(1234), short(45_600_000)
    ('950', '1.23 k', '45.6 M')
    """
    for size, unit in _SI:
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def hours(value: float) -> str:
    """A time in hours, or minutes where it is less than one.

    >>> hours(2.54), hours(0.31), hours(0.01)
    ('2.5 h', '19 min', '36 s')
    """
    if value >= 1:
        return f"{value:.1f} h"
    return f"{60 * value:.0f} min" if value >= 1 / 60 else f"{3600 * value:.0f} s"


def kinds(steps: Sequence[Step]) -> list[Step]:
    """The steps of each kind of stage as one, by what stands before the @; of trained models, each model's."""
    sums: dict[str, Step] = {}
    for step in steps:
        kind, _, name = step.name.partition("@")
        key = f"{kind}@{name.partition('-')[0]}" if kind.startswith(("training", "answer_models")) else kind
        before = sums.get(key, Step(key))
        fields = ("requests", "answers", "prompt_tokens", "completion_tokens", "trained_tokens")
        sums[key] = Step(key, **{name: getattr(before, name) + getattr(step, name) for name in fields})
    return list(sums.values())


def total(steps: Sequence[Step]) -> Step:
    """All steps as one."""
    fields = ("requests", "answers", "prompt_tokens", "completion_tokens", "trained_tokens")
    return Step("in all", **{name: sum(getattr(step, name) for step in steps) for name in fields})


def as_text(steps: Sequence[Step], here: Here) -> str:
    """The whole plan."""
    rates = here.project.plan
    rows = [_row(step, rates) for step in (*kinds(steps), total(steps))]
    columns = ["stage", "requests", "answers", "prompt tokens", "generated", "trained", f"{rates.device} time"]
    return "\n".join([to_text(Table(columns, rows)), "", *lines(here)])


def _row(step: Step, rates: Rates) -> list[Any]:
    tokens = (step.prompt_tokens, step.completion_tokens, step.trained_tokens)
    counts = [f"{step.requests:,}", f"{step.answers:,}", *(short(number) if number else "" for number in tokens)]
    return cells(step.name, *counts, hours(step.hours(rates)))


def lines(here: Here) -> list[str]:
    """Questions, downloads and disk, and what the figures rest on."""
    told = {split: (here.count(split), here.seconds(split)) for split in ("train", "dev", "test")}
    questions = ", ".join(
        f"{split} {count:,} ({hours(count * seconds / 3600)} of audio)" for split, (count, seconds) in told.items()
    )
    fetched = here.expected.downloads
    downloads = ", ".join(f"{name} {size:g} GB" for name, size in fetched.items()) or "none but packages"
    known = "as they are here" if here.questions else "as their sources state them"
    return [
        f"questions: {questions}; {known}",
        f"downloads: {downloads}; disk for data and weights: about {here.expected.disk_gb:g} GB, DVC's cache included",
        f"answers' lengths: {_lengths(here)}",
        f"hours by the rates of the group `plan` (conf/plan.yaml, the profile); each start of a server adds "
        f"{here.project.plan.start_s:g} s; what is in the caches costs nothing again",
    ]


def _lengths(here: Here) -> str:
    if here.measured:
        prompts, seconds = len(here.measured.completion), here.measured.seconds
        return f"measured under {prompts} prompts, where a question took {seconds:.2g} s with 20 in flight"
    return "of answers that are here, else stated; `audio-reasoning plan --measure` asks 20 questions a prompt"


def summary(steps: Sequence[Step], here: Here) -> str:
    """One line."""
    whole = total(steps)
    tokens = f"{short(whole.prompt_tokens)} tokens of prompts, {short(whole.completion_tokens)} generated"
    downloads = sum(here.expected.downloads.values())
    fetched = f", {downloads:.0f} GB to download" if downloads else ""
    took = f"about {hours(whole.hours(here.project.plan))} of {here.project.plan.device}"
    return f"plan: {whole.requests:,} requests, {tokens}, {took}{fetched} (`audio-reasoning plan` tells by stage)"
