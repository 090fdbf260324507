"""The section on votes: what more samples bring, and whether their agreement can be trusted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.metrics.results import existing_result
from audio_reasoning.metrics.vote_results import VoteFigures
from audio_reasoning.render.comparison import accuracy, bounded, comparison_cells, delta, with_range
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import calibration, curves
from audio_reasoning.render.report.sections import Figure, Section, browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import percent, percent_range

NOTES = (
    "p is exploratory: of this comparison alone, not adjusted, and without a verdict.",
    "Ties: here choices with equally many votes share the question, which is what breaking ties at random scores on "
    "average. A run such as baseline@vote, in the browser and in comparisons, has to give one answer, of equals the "
    "one that came first, so its accuracy may differ a little.",
)
Rows = list[dict[str, Any]]


def votes_section(folder: Path, variants: list[str]) -> Section:
    """What voting is worth, for how many samples, and whether agreement can be trusted."""
    section = Section("section-votes", "What do more samples bring?", [str(folder)])
    results = {variant: existing_result(folder / f"{variant}.json", VoteFigures) for variant in variants}
    voted = {variant: votes for variant, votes in results.items() if votes}
    if not voted:
        return section.missing("no samples have been voted on (vote.variants)", "dvc repro vote")
    figures = [
        figure for variant, votes in voted.items() for figure in (_curve(variant, votes), _calibration(variant, votes))
    ]
    brings = [
        f"{delta(votes.comparison[0])} to {variant} with {votes.samples} samples" for variant, votes in voted.items()
    ]
    return replace(
        section,
        lead=f"Points that a majority vote brings over a single sample: {', '.join(brings)}.",
        tables=[_votes(voted), _trust(voted)],
        figures=figures,
        notes=NOTES,
    )


def _votes(voted: dict[str, VoteFigures]) -> Table:
    rows = []
    for variant, votes in voted.items():
        last = votes.curve[-1]
        rows.append(
            [
                Cell(variant, link=browser_link(a=f"{variant}@samples", b=f"{variant}@vote")),
                *cells(str(votes.samples), *map(accuracy, votes.detail)),
                Cell(with_range(last.pass_at_k, last.pass_low, last.pass_high)),
                *comparison_cells(votes.comparison[0], "Δ", "95 %", "interval", "p"),
            ]
        )
    columns = ["prompt", "samples", "mean", "vote", "pass@n", "vote − mean", "95 %", "interval", "exploratory p"]
    caption = (
        "Accuracy in percent of single samples (mean), of their majority vote, and of the best of them (pass@n: at "
        "least one is right), in brackets 95 % intervals"
    )
    return Table(columns, rows, caption=caption)


def _trust(voted: dict[str, VoteFigures]) -> Table:
    rows = [
        cells(
            variant,
            *(of_questions(votes.tied, votes.n), bounded(votes, "ece")),
            f"{votes.brier:.3f} ({votes.brier_low:.3f}–{votes.brier_high:.3f})",
        )
        for variant, votes in voted.items()
    ]
    caption = (
        "Whether agreement of the samples is confidence to trust: expected calibration error (ECE) in percent, 0 at "
        "best; Brier score, 0 at best and 1 at worst; in brackets 95 % intervals"
    )
    return Table(["prompt", "tied questions", "ECE", "Brier score"], rows, caption=caption)


def _curve(variant: str, votes: VoteFigures) -> Figure:
    rows: Rows = []
    lines = []
    for row in votes.curve:
        rows.append({"series": "vote", "x": row.k, "y": row.vote, "low": row.vote_low, "high": row.vote_high})
        rows.append({"series": "pass@k", "x": row.k, "y": row.pass_at_k, "low": row.pass_low, "high": row.pass_high})
        bounds = percent_range(row.vote_low, row.vote_high), percent_range(row.pass_low, row.pass_high)
        lines.append(cells(str(row.k), percent(row.vote), bounds[0], percent(row.pass_at_k), bounds[1]))
    caption = f"Accuracy of {variant} by the number of samples, with 95 % intervals."
    first, last = votes.curve[0], votes.curve[-1]
    ends = f"from {percent(first.vote)} % with one sample to {percent(last.vote)} % by vote of {last.k}"
    alt = f"Curves of accuracy: {ends}; pass@k {percent(last.pass_at_k)} %."
    table = Table(["samples", "vote", "95 %", "pass@k", "95 %"], lines, caption=caption)
    return Figure(caption, draw(curves(rows, "samples"), alt), table)


def _calibration(variant: str, votes: VoteFigures) -> Figure:
    rows = [
        {"confidence": b.confidence, "acc": b.accuracy, "low": b.accuracy_low, "high": b.accuracy_high, "n": b.n}
        for b in votes.calibration
    ]
    caption = (
        f"Accuracy of {variant}’s vote by the share of samples that agree on it, with 95 % intervals (larger dots: "
        "more questions). On the dashed line, agreement tells the accuracy."
    )
    lines = [
        cells(percent(b.confidence), percent(b.accuracy), percent_range(b.accuracy_low, b.accuracy_high), str(b.n))
        for b in votes.calibration
    ]
    alt = f"Accuracy against agreement; expected calibration error {percent(votes.ece)} %."
    table = Table(["agreement", "accuracy", "95 %", "questions"], lines, caption=caption)
    return Figure(caption, draw(calibration(rows), alt), table)
