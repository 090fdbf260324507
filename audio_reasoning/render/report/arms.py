"""The section on control arms: what the audio brings, and whether the order of the choices decides."""

from dataclasses import replace
from typing import Any

from audio_reasoning.core.files import METRICS
from audio_reasoning.core.runs import PERMUTED
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import gains
from audio_reasoning.render.report.node import Node, read_node
from audio_reasoning.render.report.sections import Cell, Figure, Section, Table, browser_link, cells
from audio_reasoning.render.report.shares import bounded, gain, of_questions
from audio_reasoning.render.tables import DASH, p_value, percent, points, points_range

ARMS = METRICS / "arms.json"
WORDS = {"silence": "silence", "mismatched": "another clip", "text_only": "text alone"}
NOTES = (
    "Gain: accuracy with the clip minus accuracy with silence, with another clip, or in text alone. Permuted asks with "
    "the choices in other orders: its difference is the accuracy in their own order minus that.",
    "p is exploratory: of each test alone, not adjusted, and without a verdict; what compare.contrasts declares is "
    "judged beside the prompts. “Can see”: the smallest true gain that 80 % of such comparisons find. No answer: cut "
    "off, failed, or none of the choices; an arm without any answer measures no gain.",
)
Rows = list[dict[str, Any]]


def arms_section() -> Section:
    """Accuracy under each control arm, and the audio gain by sub-category."""
    shown = Section("section-arms", "Was it the audio?", [str(ARMS)])
    found = read_node(ARMS)
    unanswered = found.get("unanswered") if found else None
    compared = found["comparisons"].rows() if found else []
    overall = [*compared, *(unanswered.rows() if unanswered else [])]
    if found is None or not overall:
        return shown.missing("no control arms have been compared (arms.variants)", "dvc repro arms")
    variants = list(dict.fromkeys(row.text("variant") for row in overall))
    figures = [_gains(variant, found, found.number("false_discovery_rate")) for variant in variants]
    return replace(
        shown,
        lead=" ".join(_brings(variant, compared) for variant in variants),
        tables=[_arms(found, overall), *_orders(found, variants)],
        figures=[figure for figure in figures if figure],
        notes=NOTES,
    )


def _brings(variant: str, compared: list[Node]) -> str:
    """What hearing its clip is worth to a variant."""
    told = [
        f"{gain(row)} over {WORDS.get(row.text('arm'), row.text('arm'))}"
        for row in compared
        if row.text("variant") == variant and row.text("arm") != PERMUTED
    ]
    return f"Points that hearing the clip brings {variant}: {', '.join(told) or 'not measured'}."


def _arms(found: Node, overall: list[Node]) -> Table:
    rows = []
    for row in overall:
        variant, arm = row.text("variant"), row.text("arm")
        figures = found["variants"][variant]
        n = figures.count("n")
        rows.append(
            [
                Cell(f"{variant}@{arm}", link=browser_link(a=f"{variant}@{arm}", b=variant)),
                *(Cell(of_questions(part.number_or_none("acc"), n)) for part in (figures, figures[arm])),
                *_gain(row),
                *cells(percent(row.number_or_none("detectable")), _no_answer(figures[arm], n)),
            ]
        )
    columns = ["run", "with the clip", "in this arm", "gain", "95 %", "interval", "exploratory p"]
    caption = "Accuracy in percent, in brackets 95 % intervals; gain in percentage points"
    return Table(caption, [*columns, "can see", "no answer"], rows)


def _no_answer(figures: Node, n: int) -> str:
    shares = [figures.number_or_none(fate) for fate in FATES]
    return DASH if None in shares else of_questions(sum(value or 0.0 for value in shares), n)


def _orders(found: Node, variants: list[str]) -> list[Table]:
    """Whether the order of the choices decides; nothing where no variant was asked in other orders."""
    rows = []
    for variant in variants:
        figures = found["variants"][variant].get(PERMUTED)
        if figures:
            p = figures.number_or_none("place_p")
            unanswered = of_questions(figures.number_or_none("unanswered"), found["variants"][variant].count("n"))
            same = bounded(figures, "consistency")
            rows.append(cells(variant, same, unanswered, DASH if p is None else p_value(p)))
    caption = (
        "Does the order of the choices decide? Questions in percent, in brackets 95 % intervals; a small p says that "
        "some places in the list are picked more often than others"
    )
    columns = ["prompt", "same choice in all orders", "an order without answer", "exploratory p of places"]
    return [Table(caption, columns, rows)] if rows else []


def _gain(row: Node) -> list[Cell]:
    """Difference, interval, its drawing and p; dashes for an arm without any answer, which has no gain."""
    found = [row.number_or_none(key) for key in ("low", "difference", "high", "p")]
    if None in found:
        return [*cells(DASH, DASH), Cell(), Cell(DASH)]
    low, value, high, p = (row.number(key) for key in ("low", "difference", "high", "p"))
    return [*cells(points(value), points_range(low, high)), Cell(interval=(low, value, high)), Cell(p_value(p))]


def _gains(variant: str, found: Node, rate: float) -> Figure | None:
    rows: Rows = []
    for row in found["sub_categories"].rows():
        measured = row.text("arm") != PERMUTED and row.count("n") and row.get("difference") is not None
        if row.text("variant") == variant and measured:
            figures = {key: row.number(key) for key in ("low", "high", "q")}
            label = f"{row.text('name')} ({row.count('n')})"
            rows.append({"series": row.text("arm"), "label": label, "value": row.number("difference"), **figures})
            rows[-1] |= {"n": row.count("n"), "significant": rows[-1]["q"] < rate, "told": gain(row)}
    if not rows:
        return None
    rows.sort(key=lambda row: (-row["n"], row["label"]))
    arms = list(dict.fromkeys(row["series"] for row in rows))
    by = {(row["label"], row["series"]): row["told"] + ("*" if row["significant"] else "") for row in rows}
    labels = dict.fromkeys(row["label"] for row in rows)
    lines = [cells(label, *(by.get((label, arm), "") for arm in arms)) for label in labels]
    caption = f"Audio gain of {variant} by sub-category (questions in brackets), with 95 % intervals."
    how = f" significant (Benjamini-Hochberg over the sub-categories of one arm, {rate:g})."
    strong = sum(row["significant"] for row in rows)
    alt = f"Audio gain with intervals for {len(labels)} sub-categories in {len(arms)} arms; {strong} are significant."
    table = Table(f"{caption} In points; *:{how}", ["sub-category (questions)", *arms], lines)
    return Figure(f"{caption} Filled:{how}", draw(gains(rows), alt), table)
