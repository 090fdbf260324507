"""Parts that the page's figures are built of, in Vega-Lite: points with intervals, panels, axes and colours."""

from collections.abc import Sequence
from typing import Any

from audio_reasoning.render.report.drawing import MUTED, Spec

Rows = Sequence[dict[str, Any]]

SERIES = ["var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)"]
PANELS = 3  # side by side


def dots(y: Spec, colour: Spec) -> list[Spec]:
    """Accuracies as points along x, with their intervals."""
    shared = {"y": y, "color": colour}
    return [
        {
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55},
            "encoding": {**shared, "x": {**percent_axis("low"), "title": None}, "x2": {"field": "high"}},
        },
        {"mark": {"type": "point", "size": 42}, "encoding": {**shared, "x": {**percent_axis("acc"), "title": None}}},
    ]


def reference_line(x: Spec) -> Spec:
    """A thin dashed line at `x` (a field or a datum), for others to be compared with."""
    mark = {"type": "rule", "color": MUTED, "strokeDash": [3, 3], "strokeWidth": 1}
    return {"mark": mark, "encoding": {"x": {**x, "type": "quantitative"}}}


def facet(rows: Rows) -> Spec:
    """A panel for each `label` of the rows, in their order; without what is drawn in each."""
    panel = {"field": "label", "type": "nominal", "sort": by_place("label"), "header": {"labelLimit": 330}}
    data = {"values": placed(rows, "label")}
    return {"data": data, "facet": panel, "columns": PANELS, "spacing": {"row": 20, "column": 28}}


def placed(rows: Rows, *fields: str) -> Rows:
    """Rows with the place of each of `fields` in the order of first appearance.

    A list of names to sort by would do, but Vega-Lite pastes it into an expression, which some names break.
    """
    orders = {field: names_in(rows, field) for field in fields}
    return [{**row, **{f"{field}_at": names.index(row[field]) for field, names in orders.items()}} for row in rows]


def by_place(field: str) -> Spec:
    """The order in which the names of a field, placed by `placed`, are shown."""
    return {"field": f"{field}_at", "op": "min"}


def names_axis(field: str, **axis: Any) -> Spec:
    """The names of a field, placed by `placed`, along an axis."""
    return {"field": field, "type": "nominal", "sort": by_place(field), "title": None, "axis": axis}


def percent_axis(field: str, whole: bool = True) -> Spec:
    """A field of fractions along an axis in percent, from 0 to 1 or as far as the values go."""
    scale: Spec = {"domain": [0, 1]} if whole else {"zero": False, "nice": True}
    axis: Spec = {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1]} if whole else {"format": ".0%", "tickCount": 6}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def colour_of(field: str, names: list[str]) -> Spec:
    """A colour for each name in a field, and a legend where there are several."""
    scale = {"domain": names, "range": [SERIES[i % len(SERIES)] for i in range(len(names))]}
    legend = {} if len(names) > 1 else {"legend": None}
    return {"field": field, "type": "nominal", "scale": scale, **legend}


def names_in(rows: Rows, field: str) -> list[str]:
    """The names in a field, in the order of first appearance."""
    return list(dict.fromkeys(row[field] for row in rows))
