"""What is known of the prompts in prompts/: which was made from which, and what their metrics say of them."""

from collections.abc import Mapping

from audio_reasoning.core.runs import Run
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import Judged, Metrics, Summary, existing_result, read_result
from audio_reasoning.prompts.lineage import lineage, read_prompts
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.render.prompt_tree import HAND, TreeRow
from stages.family import as_declared
from stages.layout import METRICS, PROMPTS, metrics_file

OPTIMIZE = METRICS / "optimize"


def read_optimizations() -> dict[str, Optimization]:
    """What each search for a prompt found, by the prompt's name."""
    return {path.stem: read_result(path, Optimization) for path in sorted(OPTIMIZE.glob("*.json"))}


def prompt_tree() -> list[TreeRow]:
    """The prompts with their figures, each before those made from it; UserError for a file that is not its own."""
    summary = existing_result(METRICS / "summary.json", Summary)
    compared = [*summary.versus_parent, *summary.contrasts, *summary.versus_baseline] if summary else []
    dev = _held_out(read_optimizations())
    return [
        TreeRow(
            name=branch.prompt.name,
            last=branch.last,
            parent=branch.parent.name if branch.parent else None,
            change=branch.prompt.change or "",
            maker=_maker(branch.prompt),
            dev=dev.get(branch.prompt.name),
            test=existing_result(metrics_file(Run(branch.prompt.name)), Metrics),
            versus_parent=_versus(compared, branch.parent, branch.prompt),
        )
        for branch in lineage(read_prompts(PROMPTS))
    ]


def _versus(compared: list[Judged], parent: Prompt | None, prompt: Prompt) -> Judged | None:
    return as_declared(compared, parent.name, prompt.name) if parent else None


def _maker(prompt: Prompt) -> str:
    made = prompt.provenance
    return f"{made.optimizer}, proposals by {made.proposer}" if made else HAND


def _held_out(found: Mapping[str, Optimization]) -> dict[str, tuple[float, int]]:
    """Accuracies on held-out questions; a start that several searches asked others of has no one accuracy."""
    figures: dict[str, set[tuple[float, int]]] = {}
    for name, search in found.items():
        figures.setdefault(name, set()).add((search.heldout.acc_b, search.heldout.n))
        figures.setdefault(search.start, set()).add((search.heldout.acc_a, search.heldout.n))
    return {name: one for name, (one, *others) in figures.items() if not others}
