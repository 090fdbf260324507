"""The section on control arms: what the audio brings, and whether the order of the choices decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.core.runs import PERMUTED
from audio_reasoning.metrics.arms_results import ArmComparison, ArmsSummary, OfArm, OrderFigures
from audio_reasoning.metrics.results import existing_result
from audio_reasoning.render.comparison import bounded, comparison_cells, delta
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import gains
from audio_reasoning.render.report.panels import pivot
from audio_reasoning.render.report.sections import Figure, Section, browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.report.vega import names_in
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import DASH, p_value

WORDS = {"silence": "silence", "mismatched": "another clip", "text_only": "text alone"}
NOTES = (
    "Gain: accuracy with the clip minus accuracy with silence, with another clip, or in text alone. Permuted asks with "
    "the choices in other orders: its difference is the accuracy in their own order minus that.",
    "p is exploratory: of each test alone, not adjusted, and without a verdict; what compare.contrasts declares is "
    "judged beside the prompts. “Can see”: the smallest true gain that 80 % of such comparisons find. No answer: cut "
    "off, failed, or none of the choices; an arm without any answer measures no gain.",
)
Rows = list[dict[str, Any]]


def arms_section(file: Path) -> Section:
    """Accuracy under each control arm, and the audio gain by sub-category."""
    section = Section("section-arms", "Was it the audio?", [str(file)])
    summary = existing_result(file, ArmsSummary)
    overall = [*summary.comparisons, *summary.unanswered] if summary else []
    if summary is None or not overall:
        return section.missing("no control arms have been compared (arms.variants)", "dvc repro arms")
    variants = list(dict.fromkeys(row.variant for row in overall))
    figures = [_gains(variant, summary) for variant in variants]
    return replace(
        section,
        lead=" ".join(_brings(variant, summary.comparisons) for variant in variants),
        tables=[_arms(summary, overall), *_orders(summary, variants)],
        figures=[figure for figure in figures if figure],
        notes=NOTES,
    )


def _brings(variant: str, compared: list[ArmComparison]) -> str:
    """What hearing its clip is worth to a variant."""
    brought = [
        f"{delta(row)} over {WORDS.get(row.arm, row.arm)}"
        for row in compared
        if row.variant == variant and row.arm != PERMUTED
    ]
    return f"Points that hearing the clip brings {variant}: {', '.join(brought) or 'not measured'}."


def _arms(summary: ArmsSummary, overall: list[OfArm]) -> Table:
    rows = []
    for row in overall:
        figures = summary.variants[row.variant]
        ordinary, arm, n = figures.ordinary, figures.arms[row.arm], figures.n
        run = f"{row.variant}@{row.arm}"
        rows.append(
            [
                Cell(run, link=browser_link(a=run, b=row.variant)),
                *cells(of_questions(ordinary.acc, n), of_questions(arm.acc, n)),
                *_gain(row),
                Cell(of_questions(arm.failed, n)),
            ]
        )
    columns = ["run", "with the clip", "in this arm", "gain", "95 %", "interval", "exploratory p"]
    caption = "Accuracy in percent, in brackets 95 % intervals; gain in percentage points"
    return Table([*columns, "can see", "no answer"], rows, caption=caption)


def _gain(row: OfArm) -> list[Cell]:
    """Difference, interval, its drawing, p and what can be seen; dashes for an arm without any answer."""
    if isinstance(row, ArmComparison):
        return comparison_cells(row, "Δ", "95 %", "interval", "p", "±80 %")
    return [*cells(DASH, DASH), Cell(), *cells(DASH, DASH)]


def _orders(summary: ArmsSummary, variants: list[str]) -> list[Table]:
    """Whether the order of the choices decides; nothing where no variant was asked in other orders."""
    rows = []
    for variant in variants:
        figures = summary.variants[variant]
        permuted = figures.arms.get(PERMUTED)
        if isinstance(permuted, OrderFigures):
            p = DASH if permuted.place_p is None else p_value(permuted.place_p)
            unanswered = of_questions(permuted.unanswered, figures.n)
            rows.append(cells(variant, bounded(permuted, "consistency"), unanswered, p))
    caption = (
        "Does the order of the choices decide? Questions in percent, in brackets 95 % intervals; a small p says that "
        "some places in the list are picked more often than others"
    )
    columns = ["prompt", "same choice in all orders", "an order without answer", "exploratory p of places"]
    return [Table(columns, rows, caption=caption)] if rows else []


def _gains(variant: str, summary: ArmsSummary) -> Figure | None:
    rate = summary.false_discovery_rate
    rows: Rows = []
    for row in summary.sub_categories:
        if row.variant == variant and row.arm != PERMUTED and row.difference is not None:
            significant = row.significant(rate)
            names = {"series": row.arm, "label": f"{row.name} ({row.n})"}
            figures = {"value": row.difference, **row.model_dump(include={"low", "high", "q", "n"})}
            text = delta(row) + ("*" if significant else "")
            rows.append({**names, **figures, "significant": significant, "text": text})
    if not rows:
        return None
    rows.sort(key=lambda row: (-row["n"], row["label"]))
    labels, arms = names_in(rows, "label"), names_in(rows, "series")
    caption = f"Audio gain of {variant} by sub-category (questions in brackets), with 95 % intervals."
    how = f" significant (Benjamini-Hochberg over the sub-categories of one arm, {rate:g})."
    strong = sum(row["significant"] for row in rows)
    alt = f"Audio gain with intervals for {len(labels)} sub-categories in {len(arms)} arms; {strong} are significant."
    table = pivot(rows, "series", f"{caption} In points; *:{how}")
    return Figure(f"{caption} Filled:{how}", draw(gains(rows), alt), table)
