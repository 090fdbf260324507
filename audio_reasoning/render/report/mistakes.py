"""One run's mistakes in detail: on which kinds of question, in counting, and how its answers were read."""

from typing import Any

from audio_reasoning.metrics.errors.results import QuestionGroup, ResponseGroup, RunErrors
from audio_reasoning.render.comparison import accuracy
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import kinds
from audio_reasoning.render.report.sections import Figure, Part
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import DASH, percent

TITLES = {
    "choices": "Number of choices",
    "clip_length": "Length of the clip",
    "thinking_length": "Length of the thinking, in characters",
    "modality": "Modality",
    "language": "Language",
    "right_position": "Place of the right answer",
}
HEATS = 4  # shades of a cell that holds something
STATUSES = {"truncated": "cut off", "no_answer": "no answer", "error": "failed", "missing": "missing"}
Rows = list[dict[str, Any]]


def run_part(run: RunErrors, folded: bool) -> Part:
    """A run of metrics/errors.json: tables of counts, rules and failures, and a figure of the kinds of question."""
    tables = [*_confusion(run), _rules(run), *_invalid(run)]
    return Part(f"{run.run} in detail", tables, [_kinds(run)], folded)


def _kinds(run: RunErrors) -> Figure:
    rows: Rows = []
    lines = []
    groups: list[QuestionGroup | ResponseGroup] = [*run.groups, *run.thinking_length]
    for by, title in TITLES.items():
        members = [row for row in groups if row.by == by and row.n]
        if len(members) < 2:  # one language is no breakdown
            continue
        for row in members:
            chance = row.chance if isinstance(row, QuestionGroup) else None
            figures = row.model_dump(include={"acc", "low", "high"})
            rows.append({"panel": title, "label": f"{row.name} ({row.n})", "chance": chance, **figures})
            lines.append(cells(f"{title}: {row.name}", str(row.n), accuracy(row), percent(chance)))
    name = run.run
    caption = (
        f"Accuracy of {name} by kind and length, with 95 % intervals (in brackets questions; of thinking, responses). "
        "Dashed: all questions; grey ticks: what guessing would get."
    )
    extremes = sorted(rows, key=lambda row: float(row["acc"]))
    alt = f"Panels of accuracies with intervals. All questions: {accuracy(run)} %." + (
        f" Lowest: {extremes[0]['panel']} {extremes[0]['label']}; highest: {extremes[-1]['panel']} "
        f"{extremes[-1]['label']}."
        if rows
        else ""
    )
    columns = ["group", "n", "accuracy (95 %)", "by chance"]
    table = Table(columns, lines, caption=f"Accuracy of {name} in percent")
    return Figure(caption, draw(kinds(rows, run.acc or 0.0), alt), table)


def _confusion(run: RunErrors) -> list[Table]:
    """How many were counted for each right number; nothing where no question asks how many."""
    counts = {(row.right, row.chosen): row.n for row in run.counts.confusion}
    if not counts:
        return []
    rights = sorted({right for right, _ in counts})
    numbers = sorted({number for _, number in counts if number is not None} | {*rights})
    columns: list[int | None] = [*numbers, *([None] if any(chosen is None for _, chosen in counts) else [])]
    rows = []
    for right in rights:
        of_row = [counts.get((right, chosen), 0) for chosen in columns]
        heat = [_heat(n, sum(of_row), chosen == right) for n, chosen in zip(of_row, columns, strict=True)]
        rows.append([Cell(str(right)), *heat])
    header = ["right", *("no answer" if n is None else str(n) for n in columns)]
    return [Table(header, rows, caption="How many? Right ↓ and chosen →")]


def _heat(n: int, total: int, right: bool) -> Cell:
    """A cell whose shade tells its share of the row."""
    shade = -(-HEATS * n // total)
    return Cell(str(n or "·"), tone=f"heat{shade} hit" if right else f"heat{shade}")


def _rules(run: RunErrors) -> Table:
    rows = [cells(row.name, str(row.n), percent(row.share), accuracy(row)) for row in run.rules]
    columns = ["rule", "responses", "in percent", "accuracy (95 %)"]
    return Table(columns, rows, caption="Which rule read each answer")


def _invalid(run: RunErrors) -> list[Table]:
    """Responses without a valid answer by what became of them; nothing where all have one."""
    rows = []
    for row in run.invalid:
        if row.n:
            rules = ", ".join(f"{name or 'none'} {n}" for name, n in row.rules.items()) or DASH
            rows.append(cells(STATUSES.get(row.status, row.status), str(row.n), percent(row.share), rules))
    columns = ["status", "responses", "in percent", "rules"]
    return [Table(columns, rows, ["rules"], "Responses without a valid answer")] if rows else []
