"""The section on votes: what more samples bring, and whether their agreement can be trusted."""

from dataclasses import replace
from typing import Any

from audio_reasoning.core.files import METRICS
from audio_reasoning.core.runs import BASE
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import calibration, curves
from audio_reasoning.render.report.node import Node, read_node
from audio_reasoning.render.report.sections import Cell, Figure, Section, Table, browser_link, cells
from audio_reasoning.render.report.shares import accuracy, bounded, gain, of_questions, with_range
from audio_reasoning.render.tables import p_value, percent, percent_range, points, points_range

VOTES = METRICS / "votes" / BASE
NOTES = (
    "p is exploratory: of this comparison alone, not adjusted, and without a verdict.",
    "Ties: here choices with equally many votes share the question, which is what breaking ties at random scores on "
    "average. A run such as baseline@vote, in the browser and in comparisons, has to give one answer, of equals the "
    "one that came first, so its accuracy may differ a little.",
)
Rows = list[dict[str, Any]]


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
    brings = [
        f"{gain(node['comparison'].rows(least=1)[0])} to {variant} with {node.count('samples')} samples"
        for variant, node in found.items()
    ]
    return replace(
        shown,
        lead=f"Points that a majority vote brings over a single sample: {', '.join(brings)}.",
        tables=[_votes(found), _trust(found)],
        figures=figures,
        notes=NOTES,
    )


def _votes(found: dict[str, Node]) -> Table:
    rows = []
    for variant, node in found.items():
        versus = node["comparison"].rows(least=1)[0]
        low, value, high = (versus.number(key) for key in ("low", "difference", "high"))
        mean, vote = (accuracy(detail) for detail in node["detail"].rows(least=2)[:2])
        best = [node["curve"].rows(least=1)[-1].number(key) for key in ("pass_at_k", "pass_low", "pass_high")]
        name = Cell(variant, link=browser_link(a=f"{variant}@samples", b=f"{variant}@vote"))
        figures = cells(str(node.count("samples")), mean, vote, with_range(*best), points(value))
        gained = [Cell(points_range(low, high)), Cell(interval=(low, value, high)), Cell(p_value(versus.number("p")))]
        rows.append([name, *figures, *gained])
    columns = ["prompt", "samples", "mean", "vote", "pass@n", "vote − mean", "95 %", "interval", "exploratory p"]
    caption = (
        "Accuracy in percent of single samples (mean), of their majority vote, and of the best of them (pass@n: at "
        "least one is right), in brackets 95 % intervals"
    )
    return Table(caption, columns, rows)


def _trust(found: dict[str, Node]) -> Table:
    rows = [
        cells(variant, of_questions(node.number("tied"), node.count("n")), bounded(node, "ece"), _brier(node))
        for variant, node in found.items()
    ]
    caption = (
        "Whether agreement of the samples is confidence to trust: expected calibration error (ECE) in percent, 0 at "
        "best; Brier score, 0 at best and 1 at worst; in brackets 95 % intervals"
    )
    return Table(caption, ["prompt", "tied questions", "ECE", "Brier score"], rows)


def _brier(node: Node) -> str:
    low, high = (node.number_or_none(key) for key in ("brier_low", "brier_high"))
    known = f" ({low:.3f}–{high:.3f})" if low is not None and high is not None else ""
    return f"{node.number('brier'):.3f}{known}"


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
    caption = (
        f"Accuracy of {variant}’s vote by the share of samples that agree on it, with 95 % intervals (larger dots: "
        "more questions). On the dashed line, agreement tells the accuracy."
    )
    lines = [
        cells(percent(row["confidence"]), percent(row["acc"]), percent_range(row["low"], row["high"]), str(row["n"]))
        for row in rows
    ]
    table = Table(caption, ["agreement", "accuracy", "95 %", "questions"], lines)
    error = percent(node.number("ece"))
    return Figure(
        caption, draw(calibration(rows), f"Accuracy against agreement; expected calibration error {error} %."), table
    )
