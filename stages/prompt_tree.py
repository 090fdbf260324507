"""What is known of the prompts in prompts/: which was made from which, and what their metrics say of them."""

from collections.abc import Collection, Mapping

from audio_reasoning.core.runs import Run
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import Metrics, Summary, existing_result
from audio_reasoning.prompts.lineage import lineage, read_prompts
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.render.prompt_tree import HAND, TreeRow
from stages.aliases import listed_name
from stages.layout import METRICS, PROMPTS, metrics_file
from stages.optimizations import read_optimizations


def prompt_tree(variants: Collection[str]) -> list[TreeRow]:
    """The prompts with their figures, each before those made from it, in the order of `variants` and called as they do.

    Raises UserError for a prompt or a metrics file that is not what it should be.
    """
    summary = existing_result(METRICS / "summary.json", Summary)
    dev = _held_out(read_optimizations(variants))
    prompts = read_prompts(PROMPTS)
    names = {prompt.name: listed_name(prompt.name, variants) for prompt in prompts}
    places = {name: place for place, name in enumerate(variants)}
    prompts.sort(key=lambda prompt: places.get(names[prompt.name], len(places)))
    rows = []
    for branch in lineage(prompts):
        name = names[branch.prompt.name]
        parent = names[branch.parent.name] if branch.parent else None
        rows.append(
            TreeRow(
                name=name,
                last=branch.last,
                parent=parent,
                change=branch.prompt.change or "",
                maker=_maker(branch.prompt),
                dev=dev.get(name),
                test=existing_result(metrics_file(Run(name)), Metrics),
                versus_parent=summary.between(parent, name) if summary and parent else None,
            )
        )
    return rows


def _maker(prompt: Prompt) -> str:
    made = prompt.provenance
    return f"{made.optimizer} ({made.proposer})" if made else HAND


def _held_out(found: Mapping[str, Optimization]) -> dict[str, tuple[float, int]]:
    """Accuracies on held-out questions; a start that several searches asked others of has no one accuracy."""
    figures: dict[str, set[tuple[float, int]]] = {}
    for name, search in found.items():
        figures.setdefault(name, set()).add((search.heldout.acc_b, search.heldout.n))
        figures.setdefault(search.start, set()).add((search.heldout.acc_a, search.heldout.n))
    return {name: one for name, (one, *others) in figures.items() if not others}
