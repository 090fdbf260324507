"""Accuracies by sub-category: the rows of a figure of panels, the same in figures, and in words."""

from collections.abc import Sequence
from typing import Any

from audio_reasoning.metrics.results import VariantRow
from audio_reasoning.metrics.training_results import ModelRow
from audio_reasoning.render.comparison import accuracy
from audio_reasoning.render.report.vega import names_in
from audio_reasoning.render.table import Table, cells
from audio_reasoning.render.tables import percent

Rows = list[dict[str, Any]]


def panel_rows(accuracies: Sequence[VariantRow | ModelRow], keys: tuple[str, ...]) -> Rows:
    """Rows of all questions and of sub-categories, those with many questions first, labelled for panels."""
    rows: Rows = []
    for row in accuracies:
        if row.by in ("all", "sub_category") and row.n:
            label = f"{'All questions' if row.by == 'all' else row.name} ({row.n})"
            figures = row.model_dump(include={*keys, "acc", "low", "high", "name", "n"})
            rows.append({**figures, "label": label, "text": accuracy(row), "all": row.by == "all"})
    return sorted(rows, key=lambda row: (not row["all"], -row["n"], row["name"]))


def pivot(rows: Rows, across: str, caption: str) -> Table:
    """The texts of the rows: a line for each label, a column for each member of `across`."""
    members = names_in(rows, across)
    texts = {(row["label"], row[across]): row["text"] for row in rows}
    lines = [cells(label, *(texts.get((label, member), "") for member in members)) for label in names_in(rows, "label")]
    return Table(["sub-category (questions)", *members], lines, caption=caption)


def alt_text(rows: Rows, across: str) -> str:
    """What the panels show, in words."""
    overall = ", ".join(f"{row[across]} {percent(row['acc'])} %" for row in rows if row["all"])
    return f"Panels of accuracies with intervals, one for each sub-category. Over all questions: {overall}."
