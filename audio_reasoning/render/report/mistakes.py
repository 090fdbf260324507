"""One run's mistakes in detail: on which kinds of question, in counting, and how its answers were read."""

from typing import Any

from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import kinds
from audio_reasoning.render.report.node import Node
from audio_reasoning.render.report.sections import Cell, Figure, Part, Table, cells
from audio_reasoning.render.report.shares import accuracy
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


def run_part(run: Node, folded: bool) -> Part:
    """A run of metrics/errors.json: tables of counts, rules and failures, and a figure of the kinds of question."""
    tables = [*_confusion(run), _rules(run), *_invalid(run)]
    return Part(f"{run.text('run')} in detail", tables, [_kinds(run)], folded)


def _kinds(run: Node) -> Figure:
    rows: Rows = []
    lines = []
    found = [*run["groups"].rows(), *run["thinking_length"].rows()]
    for by, title in TITLES.items():
        members = [row for row in found if row.text("by") == by and row.count("n")]
        if len(members) < 2:  # one language is no breakdown
            continue
        for row in members:
            figures = {key: row.number(key) for key in ("acc", "low", "high")}
            chance = row.number_or_none("chance")
            label = f"{row.text('name')} ({row.count('n')})"
            rows.append({"panel": title, "label": label, "chance": chance, **figures})
            lines.append(cells(f"{title}: {row.text('name')}", str(row.count("n")), accuracy(row), percent(chance)))
    name = run.text("run")
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
    table = Table(f"Accuracy of {name} in percent", ["group", "n", "accuracy (95 %)", "by chance"], lines)
    return Figure(caption, draw(kinds(rows, run.number("acc")), alt), table)


def _confusion(run: Node) -> list[Table]:
    """How many were counted for each right number; nothing where no question asks how many."""
    pairs = run["counts"]["confusion"].rows()
    found = {(row.count("right"), row.number_or_none("chosen")): row.count("n") for row in pairs}
    if not found:
        return []
    rights = sorted({right for right, _ in found})
    numbers = sorted({number for _, number in found if number is not None} | {float(right) for right in rights})
    columns: list[float | None] = [*numbers, *([None] if any(chosen is None for _, chosen in found) else [])]
    rows = []
    for right in rights:
        of_row = [found.get((right, chosen), 0) for chosen in columns]
        heat = [_heat(n, sum(of_row), chosen == right) for n, chosen in zip(of_row, columns, strict=True)]
        rows.append([Cell(str(right)), *heat])
    return [
        Table(
            "How many? Right ↓ and chosen →",
            ["right", *("no answer" if n is None else f"{n:.0f}" for n in columns)],
            rows,
        )
    ]


def _heat(n: int, total: int, right: bool) -> Cell:
    """A cell whose shade tells its share of the row."""
    shade = -(-HEATS * n // total)
    return Cell(str(n or "·"), tone=f"heat{shade} hit" if right else f"heat{shade}")


def _rules(run: Node) -> Table:
    rows = [
        cells(row.text("name"), str(row.count("n")), percent(row.number_or_none("share")), accuracy(row))
        for row in run["rules"].rows()
    ]
    columns = ["rule", "responses", "in percent", "accuracy (95 %)"]
    return Table("Which rule read each answer", columns, rows)


def _invalid(run: Node) -> list[Table]:
    """Responses without a valid answer by what became of them; nothing where all have one."""
    rows = []
    for row in run["invalid"].rows():
        if row.count("n"):
            rules = ", ".join(f"{name or 'none'} {n.value}" for name, n in row["rules"].items()) or DASH
            status = STATUSES.get(row.text("status"), row.text("status"))
            rows.append(cells(status, str(row.count("n")), percent(row.number_or_none("share")), rules))
    columns = ["status", "responses", "in percent", "rules"]
    return [Table("Responses without a valid answer", columns, rows, words=[3])] if rows else []
