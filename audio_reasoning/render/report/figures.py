"""The page's figures, as Vega-Lite specifications of rows of data."""

import json

from audio_reasoning.render.report.drawing import INK, MUTED, PAPER, Spec
from audio_reasoning.render.report.vega import (
    PANELS,
    SERIES,
    Rows,
    by_place,
    colour_of,
    dots,
    facet,
    names_axis,
    names_in,
    percent_axis,
    placed,
    reference_line,
)

ZONES = {
    "too_hard": "var(--zone1)",
    "challenging": "var(--zone2)",
    "learning_zone": "var(--zone3)",
    "almost_mastered": "var(--zone4)",
    "mastered": "var(--zone5)",
}
APART = 0.06  # of the way from one model to the next: so far apart are intervals of several prompts


def accuracy_panels(rows: Rows, series: str) -> Spec:
    """A panel for each group of questions: accuracy and interval of each member of `series`, and the first's as a line.

    Rows: `series`, label (of the panel), acc, low, high, in the order in which they are shown.
    """
    rows = placed(rows, series)
    first = f"datum.{series}_at === 0"
    colour = {"condition": {"test": first, "value": MUTED}, "value": SERIES[0]}
    names = names_axis(series, grid=False)
    layer = [{"transform": [{"filter": first}], **reference_line({"field": "acc"})}, *dots(names, colour)]
    return {**facet(rows), "spec": {"width": 305, "height": {"step": 15}, "layer": layer}}


def model_panels(rows: Rows) -> Spec:
    """A panel for each group of questions: accuracy by model, a line with intervals for each prompt.

    Rows: model, prompt, name, label, acc, low, high.
    """
    prompts, models = names_in(rows, "prompt"), names_in(rows, "model")
    apart = {prompt: APART * (place - (len(prompts) - 1) / 2) for place, prompt in enumerate(prompts)}
    values = [{**row, "x": models.index(row["model"]) + apart[row["prompt"]]} for row in rows]
    shared = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "scale": {"domain": [-0.4, len(models) - 0.6], "nice": False},
            "title": None,
            "axis": {
                "values": list(range(len(models))),
                "labelExpr": f"{json.dumps(models)}[datum.value]",
                "grid": False,
            },
        },
        "color": colour_of("prompt", prompts),
    }
    layer = [
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.45},
            "encoding": {**shared, "y": percent_axis("low"), "y2": {"field": "high"}},
        },
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {**shared, "y": percent_axis("acc")}},
        {"mark": {"type": "point"}, "encoding": {**shared, "y": {**percent_axis("acc"), "title": None}}},
    ]
    return {**facet(values), "spec": {"width": 305, "height": 110, "layer": layer}}


def kinds(rows: Rows, overall: float) -> Spec:
    """Accuracy with interval by group, a panel for each kind of group; `overall` is a line, chance a tick.

    Rows: panel, label (of the group), acc, low, high, chance (may be None).
    """
    panels = []
    for panel in names_in(rows, "panel"):
        data = {"values": placed([row for row in rows if row["panel"] == panel], "label")}
        y = names_axis("label", labelLimit=170)
        layer = [
            reference_line({"datum": overall}),
            {
                "transform": [{"filter": "isValid(datum.chance)"}],
                "mark": {"type": "tick", "color": MUTED, "thickness": 2, "size": 9},
                "encoding": {"y": y, "x": {**percent_axis("chance"), "title": None}},
            },
            *dots(y, {"value": SERIES[0]}),
        ]
        title = {"text": panel, "anchor": "start", "fontSize": 12, "color": INK, "frame": "group"}
        panels.append({"title": title, "data": data, "width": 190, "height": {"step": 17}, "layer": layer})
    return {"concat": panels, "columns": PANELS, "spacing": {"row": 20, "column": 24}}


def gains(rows: Rows) -> Spec:
    """Differences in accuracy with intervals by group of questions, a panel for each series; significant ones filled.

    Rows: series, label (of the group), value, low, high, significant.
    """
    rows = placed(rows, "label", "series")
    y = names_axis("label", labelLimit=320)
    axis = {"format": "+.0%", "tickCount": 5}
    layer = [
        {"mark": {"type": "rule", "color": MUTED}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
        {
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.5, "color": SERIES[0]},
            "encoding": {"y": y, "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "stroke": SERIES[0], "strokeWidth": 1.5},
            "encoding": {
                "y": y,
                "x": {"field": "value", "type": "quantitative", "axis": axis, "title": None},
                "fill": {"condition": {"test": "datum.significant", "value": SERIES[0]}, "value": PAPER},
            },
        },
    ]
    panel = {"field": "series", "type": "nominal", "sort": by_place("series")}
    panels = {"data": {"values": list(rows)}, "facet": panel, "columns": PANELS, "spacing": {"column": 28}}
    return {**panels, "spec": {"width": 245, "height": {"step": 19}, "layer": layer}}


def curves(rows: Rows, x_title: str) -> Spec:
    """Accuracy against a count, a line with intervals for each series. Rows: series, x, y, low, high."""
    shared = {
        "x": {"field": "x", "type": "ordinal", "title": x_title, "axis": {"labelAngle": 0, "grid": False}},
        "y": {**percent_axis("y", whole=False), "title": None},
        "color": colour_of("series", names_in(rows, "series")),
    }
    band = {**shared, "y": {**percent_axis("low", whole=False), "title": None}, "y2": {"field": "high"}}
    layer = [
        {"mark": {"type": "area", "opacity": 0.15}, "encoding": band},
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": shared},
        {"mark": {"type": "point"}, "encoding": shared},
    ]
    return {"data": {"values": list(rows)}, "width": 420, "height": 230, "layer": layer}


def search_curves(rows: Rows) -> Spec:
    """The best score of each search against the answers taken, as steps, and the scores that could raise it as dots.

    Rows: series, x, best, score (None of what was tried on a few questions only).
    """
    shared = {
        "x": {
            "field": "x",
            "type": "quantitative",
            "title": "answers taken",
            "axis": {"format": ",d", "tickCount": 5, "grid": False},
        },
        "color": colour_of("series", names_in(rows, "series")),
    }
    layer = [
        {
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
            "encoding": {**shared, "y": {**percent_axis("best", whole=False), "title": None}},
        },
        {
            "transform": [{"filter": "isValid(datum.score)"}],
            "mark": {"type": "point"},
            "encoding": {**shared, "y": {**percent_axis("score", whole=False), "title": None}},
        },
    ]
    return {"data": {"values": list(rows)}, "width": 420, "height": 230, "layer": layer}


def calibration(rows: Rows) -> Spec:
    """Accuracy against confidence, with intervals, as large as there are questions, beside the diagonal.

    Rows: confidence, acc, low, high, n.
    """
    ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    x = {**percent_axis("confidence"), "title": "agreement of the samples"}
    layer = [
        {
            "data": {"values": ends},
            "mark": {"type": "line", "color": MUTED, "strokeDash": [4, 4], "strokeWidth": 1},
            "encoding": {"x": {**x, "field": "x"}, "y": {**percent_axis("y"), "title": "accuracy"}},
        },
        {
            "mark": {"type": "rule", "color": SERIES[0], "strokeWidth": 2, "opacity": 0.45},
            "encoding": {"x": x, "y": percent_axis("low"), "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "color": SERIES[0]},
            "encoding": {
                "x": x,
                "y": percent_axis("acc"),
                "size": {"field": "n", "type": "quantitative", "scale": {"range": [20, 420]}, "legend": None},
            },
        },
    ]
    return {"data": {"values": list(rows)}, "width": 260, "height": 230, "layer": layer}


def pass_rates(rows: Rows) -> Spec:
    """Problems by the share of samples that answer them rightly, a panel for each model.

    Rows: label, pass_rate, category, problems.
    """
    rates = {row["pass_rate"] for row in rows}
    half = 0.42 / max(len(rates) - 1, 16)
    values = [{**row, "left": row["pass_rate"] - half, "right": row["pass_rate"] + half} for row in rows]
    zones = [zone for zone in ZONES if zone in {row["category"] for row in rows}]
    encoding = {
        "x": {
            "field": "left",
            "bin": "binned",
            "type": "quantitative",
            "scale": {"domain": [-0.03, 1.03], "nice": False},
            "title": "pass rate",
            "axis": {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1], "grid": False},
        },
        "x2": {"field": "right"},
        "y": {"field": "problems", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
        "color": {
            "field": "category",
            "type": "nominal",
            "scale": {"domain": zones, "range": [ZONES[zone] for zone in zones]},
            "legend": {"labelExpr": "replace(datum.label, '_', ' ')", "symbolType": "square"},
        },
    }
    panel = {"width": 300, "height": 150, "mark": {"type": "bar", "binSpacing": 0}, "encoding": encoding}
    return {**facet(values), "spec": panel}
