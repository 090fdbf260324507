"""The sections of a model card, in Markdown."""

import re
from collections.abc import Iterator, Mapping, Sequence

from audio_reasoning.core.shown import code_span, plain_text
from audio_reasoning.metrics.results import Metrics
from audio_reasoning.metrics.training_results import VersusBase
from audio_reasoning.render.card_facts import Facts, Step
from audio_reasoning.render.table import Cell, Table, code, foreign, to_markdown
from audio_reasoning.render.tables import p_value, percent, percent_range, points, points_range

NOT_KNOWN = "not known"
SPLITS = ("train", "dev", "test")


def sections(facts: Facts) -> Iterator[list[str]]:
    """What the card says, by section: paragraphs, tables and blocks of code."""
    yield [f"# {plain_text(facts.name)}", _what(facts)]
    yield ["## How to load it", facts.loading, *_prompt(facts)]
    yield ["## Results", *_accuracy(facts)]
    yield ["## Data", *_data(facts)]
    yield ["## Training", *_training(facts)]
    yield ["## Limits", "\n".join(f"- {limit}" for limit in facts.limits)]


def _what(facts: Facts) -> str:
    base = code_span(facts.base)
    at = f"at commit {code_span(facts.base_revision)}" if facts.base_revision else "made by this project from scratch"
    what = {
        "merged": f"{base} ({at}) with an adapter (LoRA) merged into its weights.",
        "adapter": f"An adapter (LoRA, in PEFT's form) on {base} ({at}).",
        "base": f"The base model {base} ({at}).",
    }[facts.kind]
    commit = "of a commit that is not known" if facts.commit is None else f"at commit `{facts.commit}`"
    changed = ", with files changed since" if facts.changed else ""
    hashed = f" The adapter's weights have the SHA-256 `{facts.adapter}`." if facts.adapter else ""
    return (
        f"{what} Written by an audio reasoning pipeline {commit}{changed}, profile "
        f"{code_span(facts.profile)}.{hashed}\n\n"
        f"Licence of the base model: {plain_text(facts.license) if facts.license else NOT_KNOWN}."
    )


def _prompt(facts: Facts) -> list[str]:
    name, system, user = facts.prompt
    lead = "It was trained under" if name == facts.trained_prompt else "Ask it under"
    sampling = ", ".join(f"{key} {value}" for key, value in facts.sampling.items())
    return [
        f"{lead} the prompt {code_span(name)}. The system text:",
        fenced(system) if system.strip() else "(empty)",
        "The user's text, a Jinja template, which stands behind the clip:",
        fenced(user),
        f"Answers were sampled with {plain_text(sampling)}.",
    ]


def fenced(text: str, language: str = "text") -> str:
    """A text as a block of code, with a fence that is longer than any in it."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _accuracy(facts: Facts) -> Iterator[str]:
    for prompt in facts.stale:
        yield f"The figures under the prompt {code_span(prompt)} are of other weights than these, and so left out."
    if not facts.metrics:
        yield f"Its accuracy is {NOT_KNOWN}."
        return
    rows: list[list[Cell | str]] = [
        [
            code(prompt + (" (trained)" if prompt == facts.trained_prompt else "")),
            *(percent(metrics.acc_strict), percent_range(metrics.overall.low, metrics.overall.high)),
            percent(metrics.acc_official),
            percent_range(metrics.overall.official_low, metrics.overall.official_high),
            percent(metrics.failed),
            str(metrics.n),
        ]
        for prompt, metrics in facts.metrics.items()
    ]
    columns = ["prompt", "strict", "95 %", "official", "95 % (official)", "failed", "questions"]
    yield "Percent. Strict reads an answer without guessing; official is the benchmark's own rule."
    yield to_markdown(Table(columns, rows))
    if facts.versus_base:
        yield "Against the base model, on the same questions, in points; p is Holm-adjusted:"
        yield to_markdown(_compared(facts.versus_base))
    elif facts.kind != "base":
        yield f"Its difference to the base model is {NOT_KNOWN}."
    yield "By sub-category, strict accuracy in percent with its 95 % interval and the number of questions:"
    yield to_markdown(_sub_categories(facts.metrics))


def _compared(rows: Sequence[VersusBase]) -> Table:
    columns = ["prompt", "Δ base", "95 %", "p", "verdict", "rise", "fall"]
    return Table(columns, [list(_versus(row)) for row in rows], words=("verdict", "rise", "fall"))


def _versus(row: VersusBase) -> Iterator[Cell | str]:
    yield code(row.prompt)
    yield points(row.difference)
    yield points_range(row.low, row.high)
    yield p_value(row.decisive_p)
    yield row.verdict_text
    yield foreign(", ".join(row.rise) or "none")
    yield foreign(", ".join(row.fall) or "none")


def _sub_categories(metrics: Mapping[str, Metrics]) -> Table:
    groups = {
        prompt: {row.name: row for row in values.detail if row.by == "sub_category"}
        for prompt, values in metrics.items()
    }
    names = sorted({name for rows in groups.values() for name in rows})

    def shown(prompt: str, name: str) -> str:
        row = groups[prompt].get(name)
        return f"{percent(row.acc_strict)} [{percent_range(row.low, row.high)}], n {row.n}" if row else NOT_KNOWN

    rows: list[list[Cell | str]] = [[foreign(name), *(shown(prompt, name) for prompt in metrics)] for name in names]
    return Table(
        ["sub-category", *(code(prompt) for prompt in metrics)],
        rows,
    )


def _data(facts: Facts) -> Iterator[str]:
    columns = ["source", "from", "revision", "licence", "train", "dev", "test"]
    rows: list[list[Cell | str]] = []
    for source in facts.sources:
        told = source.provenance or {}
        listed = [", ".join(name for name in told.get(key, {}) if name) for key in ("revisions", "licenses")]
        counts = [str(source.questions.get(split, 0)) if facts.removed is not None else "?" for split in SPLITS]
        rows.append(
            [foreign(source.name), foreign(source.where), *(foreign(one or NOT_KNOWN) for one in listed), *counts]
        )
    yield to_markdown(Table(columns, rows, words=("from", "revision", "licence")))
    if facts.removed is None:
        yield f"How many questions there were is {NOT_KNOWN}: data/questions/manifest.json was not there."
    elif not facts.decontaminated:
        yield "Train and dev were not cleared of what collides with a test question."
    else:
        rules = ", ".join(f"{plain_text(why)}: {n}" for why, n in facts.removed.items()) or "none did"
        yield f"Questions of train and dev that collide with a test question were removed ({rules})."


def _training(facts: Facts) -> Iterator[str]:
    if not facts.steps:
        yield (
            "No adapter: see the base model."
            if facts.base_revision
            else "Its parameters are `model.tiny` of the project."
        )
    else:
        yield "Self-training: answers are sampled, right ones kept, and an adapter is trained on them, step by step:"
        yield to_markdown(
            Table(
                ["model", "from", "settings", "what it trained on", "the gate"],
                [[code(step.name), code(step.start), *_step(step)] for step in facts.steps],
                words=("from", "settings", "what it trained on", "the gate"),
            )
        )
    if facts.recipe:
        yield "All other parameters, as the project's params.yaml has them:"
        yield to_markdown(
            Table(["parameter", "value"], [[code(k), code(str(v))] for k, v in facts.recipe.items()], ("value",))
        )


def _step(step: Step) -> Iterator[Cell | str]:
    yield foreign(", ".join(f"{key} {value}" for key, value in step.settings.items()))
    yield foreign(", ".join(f"{key} {value}" for key, value in step.trained.items()) or NOT_KNOWN)
    verdict = step.verdict
    if verdict is None:
        yield NOT_KNOWN
    else:
        said = f"accepted at scale {verdict.scale:g}" if verdict.scale is not None else "not accepted"
        yield foreign(f"{said}: {verdict.reason}")
