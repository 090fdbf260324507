"""Sections on the prompts: how accurate they are, how they differ, and where."""

from typing import Any

from stages.common.files import METRICS
from stages.evaluate.scoring import FATES
from stages.evaluate.tables import MINI_NOTE, percent, percent_range
from stages.report.comparisons import COLUMNS, TONES, count_verdicts, versus_cells
from stages.report.drawing import draw
from stages.report.figures import accuracy_panels
from stages.report.node import Node, read_node
from stages.report.sections import Cell, Figure, Section, Table, browser_link, cells

SUMMARY = METRICS / "summary.json"
COMPARE = METRICS / "compare.json"
NOTE = (
    "Accuracy is strict (the chosen choice is the right one), with Wilson’s 95 % interval; official is MMAR’s string "
    "match. Differences are in percentage points, paired by question; their intervals resample clips. p is adjusted "
    "for the number of declared comparisons (Holm). “Can see”: the smallest true difference that such a test finds in "
    "80 % of runs. No answer: cut off, failed, or none of the choices."
)
Rows = list[dict[str, Any]]


def prompts_section(variants: list[str]) -> Section:
    """All prompts: accuracy, difference to the first, verdict, and links to the questions that flipped."""
    shown = Section("section-prompts", "Which prompt is better?", [str(SUMMARY), str(METRICS / "prompts")])
    summary = read_node(SUMMARY)
    found = {variant: read_node(METRICS / "prompts" / f"{variant}.json") for variant in variants}
    scores = {variant: node for variant, node in found.items() if node}
    if summary is None or len(scores) < len(variants):
        return shown.missing("no comparison of all prompts yet", "dvc repro compare")
    versus = {row.text("b"): row for row in summary["versus_baseline"].rows()}
    tables = [_prompts(scores, versus, variants[0]), *_other_contrasts(summary, variants)]
    notes = [NOTE, *(str(note.value) for note in summary["notes"].rows() if note.value != MINI_NOTE)]
    lead = count_verdicts(list(versus.values()), variants[0])
    return Section(shown.id, shown.title, shown.files, lead=lead, tables=tables, notes=notes)


def _prompts(scores: dict[str, Node], versus: dict[str, Node], first: str) -> Table:
    rows = []
    for variant, found in scores.items():
        overall = found["detail"].rows(least=1)[0]
        name = Cell(variant, link=browser_link(a=first, b=variant))
        accuracy = [percent(found.number("acc_strict")), percent_range(overall.number("low"), overall.number("high"))]
        row = [name, *cells(*accuracy, percent(found.number("acc_official")))]
        reference = [*cells(*[""] * (len(COLUMNS) - 1)), Cell("the reference", tone="quiet")]
        row += versus_cells(versus[variant], first, variant) if variant in versus else reference
        rows.append([*row, Cell(percent(sum(found.number(fate) for fate in FATES)))])
    columns = ["prompt", "accuracy", "95 %", "official", f"Δ {first}", *COLUMNS[1:], "no answer"]
    caption = "Accuracy on all test questions in percent, and difference to the first prompt"
    return Table(caption, columns, rows, words=[10])


def _other_contrasts(summary: Node, variants: list[str]) -> list[Table]:
    """The declared contrasts that the first table does not show."""
    contrasts = summary.get("contrasts")
    rows = []
    for row in contrasts.rows() if contrasts else []:
        a, b = row.text("a"), row.text("b")
        if a != variants[0] or b not in variants:
            rows.append([Cell(b, link=browser_link(a=a, b=b)), Cell(a), *versus_cells(row, a, b)])
    return [Table("Other declared contrasts", ["run", "against", *COLUMNS], rows, words=[1, 8])] if rows else []


def sub_categories_section() -> Section:
    """A panel for each sub-category, all prompts in each, and where the differences are significant."""
    shown = Section("section-sub-categories", "Where do the prompts differ?", [str(COMPARE), str(SUMMARY)])
    compare, summary = read_node(COMPARE), read_node(SUMMARY)
    if compare is None or summary is None:
        return shown.missing("no accuracies by sub-category yet", "dvc repro compare")
    rows = panel_rows(compare, ("variant",))
    figure = Figure(
        "Accuracy by sub-category and prompt (questions in brackets). Bars: 95 % intervals; dashed: the first prompt.",
        draw(accuracy_panels(rows, "variant"), alt_text(rows, "variant")),
        pivot(rows, "variant", "Accuracy in percent by sub-category and prompt"),
    )
    lead = "Sub-categories with few questions have wide intervals: look at those before reading anything into a dot."
    return Section(shown.id, shown.title, shown.files, lead=lead, tables=_improvements(summary), figures=[figure])


def _improvements(summary: Node) -> list[Table]:
    """In how many sub-categories each declared contrast improves, and which changes are significant."""
    contrasts = summary.get("contrasts")
    rows = []
    for row in contrasts.rows() if contrasts else []:
        parts = row["sub_category"]
        total = len(parts["rows"].rows())
        name = Cell(f"{row.text('b')} − {row.text('a')}", link=browser_link(a=row.text("a"), b=row.text("b")))
        counts = cells(f"{parts.count('improves')} of {total}", f"{parts.count('worsens')} of {total}")
        changes = [", ".join(str(name.value) for name in parts[key].rows()) or "none" for key in ("rise", "fall")]
        tones = [tone if told != "none" else "quiet" for told, tone in zip(changes, TONES.values(), strict=True)]
        rows.append([name, *counts, *(Cell(told, tone=tone) for told, tone in zip(changes, tones, strict=True))])
    caption = "Sub-categories by contrast; significant: Benjamini-Hochberg over the sub-categories of one contrast"
    columns = ["contrast", "improves in", "falls in", "rises significantly", "falls significantly"]
    return [Table(caption, columns, rows, words=[3, 4])] if rows else []


def panel_rows(found: Node, kept: tuple[str, ...]) -> Rows:
    """Rows of all questions and of sub-categories, those with many questions first, labelled for panels."""
    rows: Rows = []
    for row in found.rows(least=1):
        by, name, n = row.text("by"), row.text("name"), row.count("n")
        if by in ("all", "sub_category") and n:
            texts = {key: row.text(key) for key in kept}
            figures = {key: row.number(key) for key in ("acc", "low", "high")}
            label = f"{'All questions' if by == 'all' else name} ({n})"
            rows.append({**texts, **figures, "name": name, "label": label, "n": n, "all": by == "all"})
    return sorted(rows, key=lambda row: (not row["all"], -row["n"], row["name"]))


def pivot(rows: Rows, across: str, caption: str) -> Table:
    """Accuracies in percent: a row for each label, a column for each member of `across`."""
    members = list(dict.fromkeys(row[across] for row in rows))
    by = {(row["label"], row[across]): percent(row["acc"]) for row in rows}
    labels = dict.fromkeys(row["label"] for row in rows)
    lines = [cells(label, *(by.get((label, member), "") for member in members)) for label in labels]
    return Table(caption, ["sub-category (questions)", *members], lines)


def alt_text(rows: Rows, across: str) -> str:
    """What the panels show, in words."""
    overall = ", ".join(f"{row[across]} {percent(row['acc'])} %" for row in rows if row["all"])
    return f"Panels of accuracies with intervals, one for each sub-category. Over all questions: {overall}."
