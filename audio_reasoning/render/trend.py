"""A run over commits: tables for a terminal and Markdown, and a picture."""

from collections.abc import Sequence
from typing import Any

from audio_reasoning.metrics.trend import OVERALL, Point, Trend, group_names
from audio_reasoning.render.table import Cell, Table, cells, foreign, to_markdown, to_text
from audio_reasoning.render.tables import DASH, MINI_NOTE, percent, percent_range, points_range, profile_notes
from audio_reasoning.render.tables import points as in_points

_SUBJECT = 46
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = 8  # columns of groups that fit a terminal
LEGEND = """\
Accuracy (strict) in percent. Δ: points over the line above (an experiment's: over its commit), with its 95 % interval;
paired: of the same questions one by one, since the answers of both are at hand, else of two accuracies, which is wider.
Nobody declared these comparisons, so there is no verdict."""


def overall(points: Sequence[Point]) -> Table:
    """A line for each revision."""
    rows = []
    for point in points:
        share, change = point.groups[OVERALL], point.change
        delta = (
            [DASH, DASH, ""] if change is None else _change(change.difference, change.low, change.high, change.paired)
        )
        about: list[Cell | str] = [foreign(_cut(point.subject)), point.note]
        rows.append(cells(point.revision, point.date, point.profile, str(share.n), percent(share.acc),
                          percent_range(share.low, share.high), *delta, *about))  # fmt: skip
    columns = ["revision", "date", "profile", "n", "strict", "95 %", "Δ", "95 %", "", "subject", "note"]
    return Table(columns, rows, ["date", "profile", "", "subject", "note"])


def _change(difference: float, low: float, high: float, paired: bool) -> list[str]:
    return [in_points(difference), points_range(low, high), "paired" if paired else "unpaired"]


def by_group(points: Sequence[Point], shown: int = _SHOWN) -> Table:
    """A line for each group: its accuracy at the last revisions, and its course as bars from 0 to 100 %."""
    last = points[-shown:]
    rows = []
    for name in group_names(points):
        shares = [point.groups.get(name) for point in points]
        n = next(share.n for share in reversed(shares) if share)
        bars = "".join(_bar(share.acc) if share else " " for share in shares)
        accs = [percent(share.acc if share else None) for share in shares[-shown:]]
        rows.append(cells(foreign(name), str(n), bars, *accs))
    return Table(["group", "n", "course", *(point.revision for point in last)], rows, ["course"])


def _bar(acc: float) -> str:
    return _BARS[min(len(_BARS) - 1, int(acc * len(_BARS)))]


def _cut(subject: str) -> str:
    return subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 1] + "…"


def as_text(trend: Trend) -> str:
    """Both tables for a terminal."""
    return "\n".join([to_text(overall(trend.points)), "", to_text(by_group(trend.points)), "", *_notes(trend)])


def as_markdown(trend: Trend) -> str:
    """Both tables as Markdown."""
    first = overall(trend.points)
    whole = Table(first.columns, first.rows, first.words, notes=_notes(trend))
    return "\n\n".join([to_markdown(whole), to_markdown(by_group(trend.points))])


def _notes(trend: Trend) -> list[str]:
    about = dict.fromkeys(note for point in trend.points for note in profile_notes(point.profile))
    return [LEGEND, *about, *trend.notes]


def as_json(trend: Trend) -> dict[str, Any]:
    """A mapping for each point, figures in fractions of one, and the notes."""
    points = [
        {
            "revision": point.revision,
            "date": point.date,
            "subject": point.subject,
            "profile": point.profile,
            "change": vars(point.change) if point.change else None,
            "note": point.note,
            "groups": {name: vars(share) for name, share in point.groups.items()},
        }
        for point in trend.points
    ]
    return {"points": points, "notes": list(trend.notes)}


def picture(points: Sequence[Point], title: str) -> dict[str, Any]:
    """A Vega-Lite specification: a panel for all questions and one for each group, a line with its interval.

    Where the profile or the questions change, the line ends and another begins.
    """
    rows, part = [], 0
    for index, point in enumerate(points):
        part += index > 0 and point.change is None
        for name, share in point.groups.items():
            rows.append({
                "group": "all questions" if name == OVERALL else name, "at": index, "revision": point.revision,
                "acc": share.acc, "low": share.low, "high": share.high, "part": part,
            })  # fmt: skip
    names = [point.revision for point in points]
    x = {
        "field": "revision",
        "type": "ordinal",
        "sort": names,
        "axis": {"labelAngle": -60, "title": None, "labelLimit": 70},
    }
    y = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": "%", "title": None, "tickCount": 5}}
    part_of = {"detail": {"field": "part"}}
    layer: list[dict[str, Any]] = [
        {
            "mark": {"type": "area", "opacity": 0.18},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **part_of},
        },
        {"mark": {"type": "line"}, "encoding": {"x": x, "y": {**y, "field": "acc"}, **part_of}},
        {
            "mark": {"type": "rule", "opacity": 0.4},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": {"type": "point", "filled": True}, "encoding": {"x": x, "y": {**y, "field": "acc"}}},
    ]
    panels = ["all questions", *group_names(points)]
    facet = {"field": "group", "sort": panels, "title": None, "header": {"labelLimit": 230, "labelFontWeight": "bold"}}
    mini = any(MINI_NOTE in profile_notes(point.profile) for point in points)
    note = f". {MINI_NOTE[0].upper()}{MINI_NOTE[1:]}" if mini else ""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {
            "text": title,
            "subtitle": f"Strict accuracy with 95 % intervals, by revision{note}",
            "anchor": "start",
            "offset": 14,
        },
        "data": {"values": rows},
        "facet": facet,
        "columns": 4,
        "spec": {"width": 200, "height": 120, "layer": layer},
        "config": {"view": {"stroke": "#ddd"}},
    }
