"""What ReST trains on: right samples of the problems that are worth it (Gulcehre et al. 2023, arXiv 2308.08998)."""

from collections.abc import Mapping, Sequence
from typing import Any

from audio_reasoning.algorithms.pass_rates import Problem, categories
from audio_reasoning.algorithms.refusal import RefusedError
from audio_reasoning.algorithms.rest.params import Select
from audio_reasoning.algorithms.rest.selection import Selection, merged, select_problems, traces_of
from audio_reasoning.algorithms.selecting import Material, Selected


def select(material: Material, settings: Mapping[str, Any]) -> Selected:
    """The right samples of the problems that are worth it, beside those of earlier models if so asked."""
    rule, problems = Select.model_validate(settings), {problem.id: problem for problem in material.problems}
    sub_category = {name: material.questions[name].sub_category for name in problems}
    chosen = select_problems(material.problems, sub_category, rule, material.seed, material.trained)
    new = traces_of(chosen, problems, dict(material.questions), material.model, rule.band) if chosen.taken else []
    bank = merged(material.earlier, new) if rule.accumulate else new
    return Selected(
        bank,
        chosen.retention,
        metrics_of(chosen),
        f"{len(new)} traces of {len(chosen.taken)} problems; the bank holds {len(bank)}",
        None if new else nothing_to_train_on(material.problems, chosen),
    )


def metrics_of(selection: Selection) -> dict[str, Any]:
    """What was taken, and what was left out and why."""
    return {
        "problems_selected": len(selection.taken),
        "problems_replayed": len(selection.replayed & selection.taken.keys()),
        "samples_selected": sum(len(chosen) for chosen in selection.taken.values()),
        "dropped": selection.dropped,
    }


def nothing_to_train_on(problems: Sequence[Problem], selection: Selection) -> RefusedError:
    """Why no trace was taken: no sample is right, or select leaves none."""
    if not any(problem.right for problem in problems):
        return RefusedError(
            [f"no sample of {len(problems)} problems is right, so there is nothing to train on"],
            [
                "look at what was sampled: is prompt one that this model answers under, and is "
                "generate.max_tokens enough?",
                "sample more: generate.n, generate.problems, a higher generate.temperature",
                "ask easier train questions, or start from a model that answers some of them",
            ],
        )
    counts = ", ".join(f"{reason} {count}" for reason, count in selection.dropped.items() if count)
    rates = ", ".join(f"{kind} {row['problems']:g}" for kind, row in categories(problems).items())
    return RefusedError(
        [f"select leaves no trace of {len(problems)} problems (left out: {counts}; by pass rate: {rates})"],
        [
            "take more of them: select.band wide or all, a higher select.max_silence_rate or null",
            "sample more: generate.n, generate.problems",
        ],
    )
