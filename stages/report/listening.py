"""Sections on control arms and votes: what the audio brings, and what more samples bring."""

from typing import Any

from stages.common.files import METRICS
from stages.evaluate.scoring import FATES
from stages.evaluate.tables import p_value, percent, percent_range, points, points_range
from stages.report.drawing import draw
from stages.report.figures import calibration, curves, gains
from stages.report.node import Node, read_node
from stages.report.sections import Cell, Figure, Section, Table, browser_link, cells
from stages.report.shares import NONE, accuracy, of_questions, share, with_range

ARMS = METRICS / "arms.json"
VOTES = METRICS / "votes"
PERMUTED = "permuted"
TIES = (
    "Ties: here choices with equally many votes share the question, which is what breaking ties at random scores on "
    "average. A run such as baseline@vote, in the browser and in comparisons, has to give one answer, of equals the "
    "one that came first, so its accuracy may differ a little."
)
Rows = list[dict[str, Any]]


def arms_section() -> Section:
    """Accuracy under each control arm, and the audio gain by sub-category."""
    shown = Section("section-arms", "Was it the audio?", [str(ARMS)])
    found = read_node(ARMS)
    unanswered = found.get("unanswered") if found else None
    overall = [*(found["comparisons"].rows() if found else []), *(unanswered.rows() if unanswered else [])]
    if found is None or not overall:
        return shown.missing("no control arms have been compared (arms.variants)", "dvc repro arms")
    variants = list(dict.fromkeys(row.text("variant") for row in overall))
    rate = found.number("false_discovery_rate")
    figures = [_gains(variant, found, rate) for variant in variants]
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead="Audio gain: accuracy with the clip minus accuracy with silence, with another clip, or in text alone.",
        tables=[_arms(found, overall)],
        figures=[figure for figure in figures if figure],
        notes=[
            "p is of each comparison alone. Permuted asks with the choices in other orders; its difference is the "
            "accuracy in their own order minus that, and “steady” are questions that get the same choice in all "
            "orders. No answer: cut off, failed, or none of the choices; an arm without any answer measures no gain."
        ],
    )


def _arms(found: Node, overall: list[Node]) -> Table:
    rows = []
    for row in overall:
        variant, arm = row.text("variant"), row.text("arm")
        figures = found["variants"][variant]
        n, orders = figures.count("n"), share(figures[arm].number("consistency")) if arm == PERMUTED else ""
        rows.append(
            [
                Cell(f"{variant}@{arm}", link=browser_link(a=f"{variant}@{arm}", b=variant)),
                *(Cell(of_questions(part.number_or_none("acc"), n)) for part in (figures, figures[arm])),
                *_gain(row),
                *cells(share(row.number_or_none("detectable")), orders, _no_answer(figures[arm])),
            ]
        )
    columns = [
        "run",
        "with the clip",
        "in this arm",
        "gain",
        "95 %",
        "interval",
        "p",
        "can see",
        "steady",
        "no answer",
    ]
    caption = "Accuracy in percent, in brackets 95 % intervals; gain in percentage points"
    return Table(caption, columns, rows)


def _no_answer(figures: Node) -> str:
    shares = [figures.number_or_none(fate) for fate in FATES]
    return NONE if None in shares else share(sum(value or 0.0 for value in shares))


def _gain(row: Node) -> list[Cell]:
    """Difference, interval, its drawing and p; dashes for an arm without any answer, which has no gain."""
    found = [row.number_or_none(key) for key in ("low", "difference", "high", "p")]
    if None in found:
        return [*cells(NONE, NONE), Cell(), Cell(NONE)]
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
            rows[-1] |= {"n": row.count("n"), "significant": rows[-1]["q"] < rate}
    if not rows:
        return None
    rows.sort(key=lambda row: (-row["n"], row["label"]))
    arms = list(dict.fromkeys(row["series"] for row in rows))
    by = {(row["label"], row["series"]): points(row["value"]) + ("*" if row["significant"] else "") for row in rows}
    labels = dict.fromkeys(row["label"] for row in rows)
    lines = [cells(label, *(by.get((label, arm), "") for arm in arms)) for label in labels]
    caption = f"Audio gain of {variant} by sub-category (questions in brackets), with 95 % intervals."
    filled = f" Filled: significant (Benjamini-Hochberg over the sub-categories of one arm, {rate:g})."
    strong = sum(row["significant"] for row in rows)
    alt = f"Audio gain with intervals for {len(labels)} sub-categories in {len(arms)} arms; {strong} are significant."
    return Figure(caption + filled, draw(gains(rows), alt), Table(caption, ["sub-category (questions)", *arms], lines))


def votes_section(variants: list[str]) -> Section:
    """What voting is worth, for how many samples, and whether agreement can be trusted."""
    shown = Section("section-votes", "What do more samples bring?", [str(VOTES)])
    read = {variant: read_node(VOTES / f"{variant}.json") for variant in variants}
    found = {variant: node for variant, node in read.items() if node}
    if not found:
        return shown.missing("no samples have been voted on (vote.variants)", "dvc repro vote")
    figures = [
        figure for variant, node in found.items() for figure in (_curve(variant, node), _calibration(variant, node))
    ]
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead="Majority vote, ties shared, of samples drawn from the same answers; pass@k: at least one of k is right.",
        tables=[_votes(found)],
        figures=figures,
        notes=[TIES],
    )


def _votes(found: dict[str, Node]) -> Table:
    rows = []
    for variant, node in found.items():
        versus = node["comparison"].rows(least=1)[0]
        low, value, high = (versus.number(key) for key in ("low", "difference", "high"))
        mean, vote = (accuracy(detail) for detail in node["detail"].rows(least=2)[:2])
        best = [node["curve"].rows(least=1)[-1].number(key) for key in ("pass_at_k", "pass_low", "pass_high")]
        name = Cell(variant, link=browser_link(a=f"{variant}@samples", b=f"{variant}@vote"))
        rows.append(
            [
                name,
                Cell(str(node.count("samples"))),
                *cells(mean, vote, with_range(*best), points(value), points_range(low, high)),
            ]
        )
        rows[-1] += [Cell(interval=(low, value, high)), *cells(p_value(versus.number("p")))]
        rows[-1] += [Cell(percent(node.number(key))) for key in ("tied", "ece")]
    columns = [
        "prompt",
        "samples",
        "mean",
        "vote",
        "pass@n",
        "vote − mean",
        "95 %",
        "interval",
        "p",
        "tied",
        "ECE",
    ]
    caption = (
        "Accuracy in percent of single samples, of their vote, and of the best of them, in brackets 95 % "
        "intervals; ECE: expected calibration error"
    )
    return Table(caption, columns, rows)


def _curve(variant: str, node: Node) -> Figure:
    rows: Rows = []
    lines = []
    for row in node["curve"].rows(least=1):
        k, vote, passed = row.count("k"), row.number("vote"), row.number("pass_at_k")
        bounds = [(row.number(f"{name}_low"), row.number(f"{name}_high")) for name in ("vote", "pass")]
        for series, y, (low, high) in zip(("vote", "pass@k"), (vote, passed), bounds, strict=True):
            rows.append({"series": series, "x": k, "y": y, "low": low, "high": high})
        lines.append(
            cells(str(k), percent(vote), percent_range(*bounds[0]), percent(passed), percent_range(*bounds[1]))
        )
    caption = f"Accuracy of {variant} by the number of samples, with 95 % intervals."
    ends = f"from {percent(rows[0]['y'])} % with one sample to {lines[-1][1].text} % by vote of {lines[-1][0].text}"
    table = Table(caption, ["samples", "vote", "95 %", "pass@k", "95 %"], lines)
    return Figure(
        caption, draw(curves(rows, "samples"), f"Curves of accuracy: {ends}; pass@k {lines[-1][3].text} %."), table
    )


def _calibration(variant: str, node: Node) -> Figure:
    rows = [
        {
            "confidence": row.number("confidence"),
            "acc": row.number("accuracy"),
            "low": row.number("accuracy_low"),
            "high": row.number("accuracy_high"),
            "n": row.count("n"),
        }
        for row in node["calibration"].rows(least=1)
    ]
    caption = f"How right {variant} is where its samples agree: on the dashed line, agreement is confidence to trust."
    lines = [
        cells(percent(row["confidence"]), percent(row["acc"]), percent_range(row["low"], row["high"]), str(row["n"]))
        for row in rows
    ]
    table = Table(caption, ["agreement", "accuracy", "95 %", "questions"], lines)
    error = percent(node.number("ece"))
    return Figure(
        caption, draw(calibration(rows), f"Accuracy against agreement; expected calibration error {error} %."), table
    )
