"""Put all prompt variants side by side, and say which of the declared contrasts between runs are differences.

    python -m stages.compare

`audio-reasoning show prompts` prints the table of its last run; `audio-reasoning compare A B` compares any two runs or
prediction files (stages/compare_files.py).

Writes metrics/compare.json, one long table for plots (variant, by, name, acc, low, high, n);
metrics/summary.json; and reports/compare.md, the same for people. The summary holds the best variant; in
`versus_baseline` the comparison of each variant with the first in `prompts.variants`; in `versus_parent` that with the
prompt that it was made from; and in `contrasts` those that `compare.contrasts` declares, with `acc_a`, `acc_b` and
`sub_category`. metrics/results.py explains their keys. Comparisons that are not declared are exploratory: p is as it
is, and there is no verdict.
"""

import argparse
from pathlib import Path
from statistics import fmean

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_write
from audio_reasoning.core.records import Question
from audio_reasoning.core.runs import Run
from audio_reasoning.core.typed import Name
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.inputs import read_question_set
from audio_reasoning.metrics.paired import Method, Pair, broken_down, explored, judged, method_of
from audio_reasoning.metrics.results import (
    AccuracyRow,
    Contrast,
    Judged,
    Metrics,
    Summary,
    VariantRow,
    between,
    read_result,
    to_json,
    write_result,
)
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.render.compare_table import markdown, table
from audio_reasoning.render.tables import profile_notes
from stages.contrasts import Declared, declared_contrasts
from stages.declared import RUNS
from stages.family import Contrasts, Scores, pairs_of, read_scores
from stages.layout import METRICS, PROMPTS, QUESTIONS, REPORTS, metrics_file
from stages.params import load_params

COMPARE = METRICS / "compare.json"
SUMMARY = METRICS / "summary.json"
REPORT = REPORTS / "compare.md"
BEST_NOTE = "best is the highest of {n} on the questions it is judged by: its own accuracy flatters it"


class Params(Declared):
    """What the stage reads."""

    profile: Name


def plot_rows(metrics: dict[str, Metrics]) -> list[VariantRow]:
    """One row for each variant and group of questions, in the order of the variants."""
    return [
        VariantRow(variant=variant, acc=row.acc_strict, **row.model_dump(include={*AccuracyRow.model_fields}))
        for variant, values in metrics.items()
        for row in values.detail
    ]


def compare_declared(
    contrasts: Contrasts, scores: Scores, unread: set[str], questions: list[Question], method: Method
) -> list[Contrast]:
    """The declared contrasts, adjusted over all of them, each with its accuracies and its sub-categories."""
    pairs = pairs_of(contrasts, scores)
    return [
        Contrast(
            **to_json(row),
            acc_a=round(fmean(pair.scores_a), 4),
            acc_b=round(fmean(pair.scores_b), 4),
            sub_category=broken_down(pair, questions, "sub_category", method),
        )
        for pair, row in zip(pairs, judged(pairs, questions, method, unread), strict=True)
    ]


def compare_each(
    pairs: list[tuple[str, str]], contrasts: list[Contrast], scores: Scores, questions: list[Question], method: Method
) -> list[Judged]:
    """Each pair of variants: the declared contrast, in either direction, else an exploratory comparison."""
    declared = [row.whole for row in contrasts]
    return [between(declared, a, b) or explored(Pair(a, b, scores[a], scores[b]), questions, method) for a, b in pairs]


def with_parent(variants: list[str], folder: Path) -> list[tuple[str, str]]:
    """Each variant after the one that it was made from, as the prompts' files say; those whose parent is none not."""
    prompts = {name: load_prompt(name, folder) for name in variants if (folder / f"{name}.yaml").is_file()}
    own = {name: variant for variant, prompt in prompts.items() for name in (prompt.name, *prompt.aliases)}
    parents = {variant: own.get(prompt.parent or "") for variant, prompt in prompts.items()}
    return [(parent, variant) for variant, parent in parents.items() if parent]


def summarise(
    metrics: dict[str, Metrics],
    versus_baseline: list[Judged],
    versus_parent: list[Judged],
    contrasts: list[Contrast],
    profile: str,
    dropped: list[str],
) -> Summary:
    """The best variant (the first of equals), the comparisons, and what to keep in mind about them."""
    best = max(metrics, key=lambda variant: metrics[variant].acc_strict)
    notes = profile_notes(profile)
    notes += [BEST_NOTE.format(n=len(metrics))] if len(metrics) > 1 else []
    notes += dropped_notes(dropped)
    return Summary(
        profile=profile,
        best=best,
        best_acc_strict=metrics[best].acc_strict,
        versus_baseline=versus_baseline,
        versus_parent=versus_parent,
        contrasts=contrasts,
        notes=notes,
    )


@stage_main
def main() -> None:
    """Compare the runs that the parameters name."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Params, *RUNS, "compare", "optimize", "profile")
    variants = [Run(variant) for variant in params.prompts.variants]
    metrics = {run.name: read_result(metrics_file(run), Metrics) for run in variants}
    declared = declared_contrasts(params)
    questions = read_question_set(QUESTIONS / "test.jsonl")
    runs = [*variants, *(run for contrast in declared for run in contrast)]
    scores, unread = read_scores(runs, questions, scored=variants)
    method = method_of(params.compare)
    asked = [*questions.values()]
    contrasts = compare_declared(declared, scores, unread, asked, method)
    first, *others = params.prompts.variants
    versus_baseline = compare_each([(first, other) for other in others], contrasts, scores, asked, method)
    parents = with_parent(params.prompts.variants, PROMPTS)
    versus_parent = compare_each(parents, contrasts, scores, asked, method)
    summary = summarise(metrics, versus_baseline, versus_parent, contrasts, params.profile, dropped_ids(QUESTIONS))
    write_result(COMPARE, plot_rows(metrics))
    write_result(SUMMARY, summary)
    with atomic_write(REPORT) as file:
        file.write(markdown(metrics, summary, method))
    print(table(metrics, summary))


if __name__ == "__main__":
    main()
