"""Sections on the prompts: how accurate they are, how they differ, and where."""

from dataclasses import replace

from audio_reasoning.core.files import METRICS
from audio_reasoning.core.runs import BASE
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.compare_table import other_contrasts
from audio_reasoning.render.report.comparisons import COLUMNS, TONES, count_verdicts, versus_cells
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import accuracy_panels
from audio_reasoning.render.report.node import Node, read_node
from audio_reasoning.render.report.panels import alt_text, panel_rows, pivot
from audio_reasoning.render.report.sections import Cell, Figure, Part, Section, Table, browser_link, cells
from audio_reasoning.render.report.shares import of_questions, with_range
from audio_reasoning.render.tables import MINI_NOTE

SUMMARY = METRICS / "summary.json"
COMPARE = METRICS / "compare.json"
NOTE = (
    "Accuracy is strict: the chosen choice is the right one. Its interval is Wilson’s. Differences are in percentage "
    "points, paired by question; their intervals resample clips. p is adjusted for the number of declared comparisons "
    "(Holm). “Can see”: the smallest true difference that such a test finds in 80 % of runs. Won and lost: questions "
    "that only this prompt, or only the first, gets right."
)
FEW = "Sub-categories with few questions have wide intervals: look at those before reading anything into a dot."


def prompts_section(variants: list[str]) -> Section:
    """All prompts: accuracy, difference to the first, verdict, and links to the questions that flipped."""
    shown = Section("section-prompts", "Which prompt is better?", [str(SUMMARY), str(METRICS / "scores" / BASE)])
    summary = read_node(SUMMARY)
    found = {variant: read_node(METRICS / "scores" / BASE / f"{variant}.json") for variant in variants}
    scores = {variant: node for variant, node in found.items() if node}
    if summary is None or len(scores) < len(variants):
        return shown.missing("no comparison of all prompts yet", "dvc repro compare")
    versus = {row.text("b"): row for row in summary["versus_baseline"].rows()}
    return replace(
        shown,
        lead=count_verdicts(list(versus.values()), variants[0]),
        tables=[_prompts(scores, versus, variants[0]), *_other_contrasts(summary, variants[0])],
        parts=[_official(scores)],
        notes=[NOTE, *(str(note.value) for note in summary["notes"].rows() if note.value != MINI_NOTE)],
    )


def _prompts(scores: dict[str, Node], versus: dict[str, Node], first: str) -> Table:
    rows = []
    for variant, found in scores.items():
        overall = found["detail"].rows(least=1)[0]
        name = Cell(variant, link=browser_link(a=first, b=variant))
        accuracy = with_range(found.number("acc_strict"), overall.number("low"), overall.number("high"))
        reference = [*cells(*[""] * (len(COLUMNS) - 1)), Cell("the reference", tone="quiet")]
        compared = versus_cells(versus[variant], first, variant) if variant in versus else reference
        rows.append([name, Cell(accuracy), *compared])
    caption = f"Accuracy on all test questions in percent, in brackets 95 % intervals; Δ in points to {first}"
    return Table(caption, ["prompt", "accuracy", f"Δ {first}", *COLUMNS[1:]], rows, words=[8])


def _official(scores: dict[str, Node]) -> Part:
    """What MMAR's string match makes of the same answers, and how many there are none of."""
    rows = []
    for variant, found in scores.items():
        bounds = [found["detail"].rows(least=1)[0].number_or_none(f"official_{end}") for end in ("low", "high")]
        none = of_questions(sum(found.number(fate) for fate in FATES), found.count("n"))
        rows.append(cells(variant, with_range(found.number("acc_official"), *bounds), none))
    caption = "In percent, in brackets 95 % intervals; no answer: cut off, failed, or none of the choices"
    table = Table(caption, ["prompt", "official accuracy", "no answer"], rows)
    return Part("Accuracy by MMAR’s string match, and questions without an answer", [table], [], folded=True)


def _other_contrasts(summary: Node, first: str) -> list[Table]:
    """The declared contrasts that the first table does not show, whichever way round."""
    declared = {(row.text("a"), row.text("b")): row for row in summary["contrasts"].rows()}
    pairs = [(row["a"], row["b"]) for row in other_contrasts(summary.value, first)]
    rows = [[Cell(b, link=browser_link(a=a, b=b)), Cell(a), *versus_cells(declared[a, b], a, b)] for a, b in pairs]
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
    contrasts = summary["contrasts"].rows()
    return replace(shown, lead=_changes(contrasts), tables=_improvements(contrasts), figures=[figure], notes=[FEW])


def _changes(contrasts: list[Node]) -> str:
    """How many of the differences in single sub-categories are significant, over all declared contrasts."""
    parts = [row["sub_category"] for row in contrasts]
    tested = sum(part.count("n") > 0 for each in parts for part in each["rows"].rows())
    rise, fall = (sum(len(each[key].rows()) for each in parts) for key in ("rise", "fall"))
    return f"Of {tested} differences in single sub-categories, {rise} rise and {fall} fall significantly."


def _improvements(contrasts: list[Node]) -> list[Table]:
    """In how many sub-categories each declared contrast improves, and which changes are significant."""
    rows = []
    for row in contrasts:
        parts = row["sub_category"]
        total = len(parts["rows"].rows())
        name = Cell(f"{row.text('b')} − {row.text('a')}", link=browser_link(a=row.text("a"), b=row.text("b")))
        counts = cells(f"{parts.count('improves')} of {total}", f"{parts.count('worsens')} of {total}")
        changes = [", ".join(str(name.value) for name in parts[key].rows()) or "none" for key in ("rise", "fall")]
        tones = [tone if told != "none" else "quiet" for told, tone in zip(changes, TONES.values(), strict=True)]
        rows.append([name, *counts, *(Cell(told, tone=tone) for told, tone in zip(changes, tones, strict=True))])
    caption = (
        "In how many sub-categories each declared contrast improves or falls, and which of these changes are "
        "significant (Benjamini-Hochberg over the sub-categories of one contrast)"
    )
    columns = ["contrast", "improves in", "falls in", "rises significantly", "falls significantly"]
    return [Table(caption, columns, rows, words=[3, 4])] if rows else []
