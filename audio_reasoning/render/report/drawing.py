"""Drawing: Vega-Lite to SVG when the page is built, in colours that the page's style defines.

A colour is a CSS variable (`var(--c1)`), so one drawing serves light, dark and print.
"""

import json
import re
from typing import Any

from markupsafe import Markup

Spec = dict[str, Any]

INK, MUTED, GRID, PAPER = "var(--ink)", "var(--muted)", "var(--grid)", "var(--paper)"
# DejaVu Sans Condensed stands in where the others are missing: as narrow, so labels fit where they were measured to.
FONT = "Arial, Helvetica, Liberation Sans, DejaVu Sans Condensed, sans-serif"
CONFIG: Spec = {
    "background": None,
    "padding": {"left": 34, "right": 34, "top": 5, "bottom": 5},
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titleFontSize": 11,
        "labelFontSize": 11,
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
        "labelPadding": 5,
    },
    "header": {
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelFontWeight": "bold",
        "labelAnchor": "start",
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "symbolType": "circle",
        "symbolOpacity": 1,
        "columnPadding": 18,
    },
    "point": {"filled": True, "opacity": 1, "size": 46},
}


def draw(spec: Spec, alt: str) -> Markup:
    """An inline SVG of a Vega-Lite specification; `alt` tells in words what it shows."""
    import vl_convert  # starts a JavaScript engine

    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "config": CONFIG, **spec}
    svg = vl_convert.vegalite_to_svg(json.dumps(whole))
    # One picture to a screen reader, not hundreds of marks; ids are not unique in a page of several drawings.
    svg = re.sub(r' (?:role|aria-\w+)="[^"]*"', "", svg)
    svg = re.sub(
        r'<svg ([^>]*?)class="marks" width="([\d.]+)" height="[\d.]+"', r'<svg \1class="figure" width="\2"', svg
    )
    label = Markup(' role="img" aria-label="{}">').format(alt)
    return Markup(svg.replace(">", label, 1))
