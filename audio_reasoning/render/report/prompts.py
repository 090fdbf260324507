"""Sections on the prompts: how accurate they are, how they differ, and where."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audio_reasoning.metrics.results import Contrast, Judged, Metrics, Summary, VariantRow, existing_result
from audio_reasoning.render.comparison import with_range
from audio_reasoning.render.prompt_tree import TreeRow, tree_table
from audio_reasoning.render.report.comparisons import COLUMNS, count_verdicts, versus_cells
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import accuracy_panels
from audio_reasoning.render.report.panels import alt_text, panel_rows, pivot
from audio_reasoning.render.report.sections import Figure, Part, Section, browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import MINI_NOTE

NOTE = (
    "Accuracy is strict: the chosen choice is the right one. Its interval is Wilson’s. Differences are in percentage "
    "points, paired by question; their intervals resample clips. p is adjusted for the number of declared comparisons "
    "(Holm). “Can see”: the smallest true difference that such a test finds in 80 % of runs. Won and lost: questions "
    "that only this prompt, or only the first, gets right."
)
FEW = "Sub-categories with few questions have wide intervals: look at those before reading anything into a dot."


def prompts_section(
    summary_file: Path, scores_folder: Path, variants: list[str], tree: Sequence[TreeRow] = ()
) -> Section:
    """All prompts: accuracy, difference to the first, verdict, links to questions that flipped; and their tree."""
    section = Section("section-prompts", "Which prompt is better?", [str(summary_file), str(scores_folder)])
    summary = existing_result(summary_file, Summary)
    metrics = {variant: existing_result(scores_folder / f"{variant}.json", Metrics) for variant in variants}
    scores = {variant: values for variant, values in metrics.items() if values}
    if summary is None or len(scores) < len(variants):
        return section.missing("no comparison of all prompts yet", "dvc repro compare")
    versus = {row.b: row for row in summary.versus_baseline}
    return replace(
        section,
        lead=count_verdicts(list(versus.values()), variants[0]),
        tables=[_prompts(scores, versus, variants[0]), *_other_contrasts(summary, variants[0])],
        parts=[*_tree(tree), _official(scores)],
        notes=[NOTE, *(note for note in summary.notes if note != MINI_NOTE)],
    )


def _prompts(scores: dict[str, Metrics], versus: dict[str, Judged], first: str) -> Table:
    rows = []
    for variant, values in scores.items():
        name = Cell(variant, link=browser_link(a=first, b=variant))
        accuracy = with_range(values.acc_strict, values.overall.low, values.overall.high)
        reference = [*cells(*[""] * (len(COLUMNS) - 1)), Cell("the reference", tone="quiet")]
        compared = versus_cells(versus[variant], first, variant) if variant in versus else reference
        rows.append([name, Cell(accuracy), *compared])
    caption = f"Accuracy on all test questions in percent, in brackets 95 % intervals; Δ in points to {first}"
    return Table(["prompt", "accuracy", f"Δ {first}", *COLUMNS[1:]], rows, ["verdict"], caption)


def _tree(rows: Sequence[TreeRow]) -> list[Part]:
    """Which prompt was made from which; nothing where none was made from another."""
    related = any(row.last for row in rows)
    return [Part("Which prompt grew out of which", [tree_table(rows)], [], folded=False)] if related else []


def _official(scores: dict[str, Metrics]) -> Part:
    """What MMAR's string match makes of the same answers, and how many there are none of."""
    rows = []
    for variant, values in scores.items():
        official = with_range(values.acc_official, values.overall.official_low, values.overall.official_high)
        rows.append(cells(variant, official, of_questions(values.failed, values.n)))
    caption = "In percent, in brackets 95 % intervals; no answer: cut off, failed, or none of the choices"
    table = Table(["prompt", "official accuracy", "no answer"], rows, caption=caption)
    return Part("Accuracy by MMAR’s string match, and questions without an answer", [table], [], folded=True)


def _other_contrasts(summary: Summary, first: str) -> list[Table]:
    """The declared contrasts that the first table does not show, whichever way round."""
    rows = [
        [Cell(row.b, link=browser_link(a=row.a, b=row.b)), Cell(row.a), *versus_cells(row, row.a, row.b)]
        for row in summary.other_contrasts(first)
    ]
    columns = ["run", "against", *COLUMNS]
    return [Table(columns, rows, ["against", "verdict"], "Other declared contrasts")] if rows else []


def sub_categories_section(compare_file: Path, summary_file: Path) -> Section:
    """A panel for each sub-category, all prompts in each, and where the differences are significant."""
    section = Section("section-sub-categories", "Where do the prompts differ?", [str(compare_file), str(summary_file)])
    compare, summary = existing_result(compare_file, list[VariantRow]), existing_result(summary_file, Summary)
    if compare is None or summary is None:
        return section.missing("no accuracies by sub-category yet", "dvc repro compare")
    rows = panel_rows(compare, ("variant",))
    figure = Figure(
        "Accuracy by sub-category and prompt (questions in brackets). Bars: 95 % intervals; dashed: the first prompt.",
        draw(accuracy_panels(rows, "variant"), alt_text(rows, "variant")),
        pivot(rows, "variant", "Accuracy in percent by sub-category and prompt"),
    )
    contrasts = summary.contrasts
    return replace(section, lead=_changes(contrasts), tables=_improvements(contrasts), figures=[figure], notes=[FEW])


def _changes(contrasts: list[Contrast]) -> str:
    """How many of the differences in single sub-categories are significant, over all declared contrasts."""
    parts = [row.sub_category for row in contrasts]
    tested = sum(part.tested for part in parts)
    rise, fall = sum(len(part.rise) for part in parts), sum(len(part.fall) for part in parts)
    return f"Of {tested} differences in single sub-categories, {rise} rise and {fall} fall significantly."


def _improvements(contrasts: list[Contrast]) -> list[Table]:
    """In how many sub-categories each declared contrast improves, and which changes are significant."""
    rows = []
    for row in contrasts:
        parts = row.sub_category
        total = len(parts.rows)
        name = Cell(f"{row.b} − {row.a}", link=browser_link(a=row.a, b=row.b))
        counts = cells(f"{parts.improves} of {total}", f"{parts.worsens} of {total}")
        rows.append([name, *counts, _names(parts.rise, "good"), _names(parts.fall, "bad")])
    caption = (
        "In how many sub-categories each declared contrast improves or falls, and which of these changes are "
        "significant (Benjamini-Hochberg over the sub-categories of one contrast)"
    )
    words = ["rises significantly", "falls significantly"]
    return [Table(["contrast", "improves in", "falls in", *words], rows, words, caption)] if rows else []


def _names(names: list[str], tone: str) -> Cell:
    return Cell(", ".join(names), tone=tone) if names else Cell("none", tone="quiet")
