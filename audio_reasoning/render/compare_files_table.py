"""The comparison of two prediction files, for a terminal and for Markdown."""

from collections.abc import Callable
from typing import Any

from audio_reasoning.core.shown import plain_text, printable
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.compare_table import VERDICT, improvement, part_cells
from audio_reasoning.render.tables import (
    markdown_table,
    p_value,
    percent,
    percent_range,
    points,
    points_range,
    text_table,
)

HEADER = ["n", "A", "B", "Δ", "95 %", "p", "q"]
BY = {"category": ("category", "categories"), "sub_category": ("sub-category", "sub-categories")}


def as_text(result: dict[str, Any]) -> str:
    """All figures for a terminal."""
    header = ["run", result["score"], "95 %", "samples", *(fate.replace("_", " ") for fate in FATES)]
    rate = result["settings"]["false_discovery_rate"]
    lines = [text_table(header, _runs(result)), "", *_told(result)]
    lines += [f"warning: {printable(warning)}" for warning in result["warnings"]]
    for by, (name, names) in BY.items():
        rows = [part_cells(row, rate) for row in result[by]["rows"]]
        lines += ["", text_table([name, *HEADER], rows), improvement(result[by], names, rate)]
    return "\n".join(lines)


def as_markdown(result: dict[str, Any]) -> str:
    """All figures for a pull request or a page."""
    a, b = result["runs"]
    rate = result["settings"]["false_discovery_rate"]
    accuracy = [f"{percent(run['acc'])} ({percent_range(run['low'], run['high'])})" for run in (a, b)]
    delta = f"{points(result['difference'])} ({points_range(result['low'], result['high'])})"
    rows = [
        [f"A: {plain_text(a['name'])}", accuracy[0], "", "", ""],
        [f"B: {plain_text(b['name'])}", accuracy[1], delta, p_value(_p(result)), result["verdict_text"]],
    ]
    lines = [markdown_table(["approach", "accuracy", "Δ to A", "p", "verdict"], rows, VERDICT), ""]
    lines += [f"- {line}" for line in (*_told(result, shown=plain_text), *map(plain_text, result["warnings"]))]
    for by, (name, names) in BY.items():
        parts = [part_cells(row, rate, bold=True) for row in result[by]["rows"]]
        lines += [
            "",
            markdown_table([name, *HEADER], parts),
            "",
            improvement(result[by], names, rate, shown=plain_text),
        ]
    return "\n".join(lines)


def _runs(result: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{letter}  {printable(run['name'])}",
            percent(run["acc"]),
            percent_range(run["low"], run["high"]),
            str(run["samples"]),
        ]
        + [percent(run[fate]) for fate in FATES]
        for letter, run in zip("AB", result["runs"], strict=True)
    ]


def _p(result: dict[str, Any]) -> float:
    """The p that a verdict goes by; as it is, where there is none."""
    p: float = result["p"] if result["p_holm"] is None else result["p_holm"]
    return p


def _told(result: dict[str, Any], shown: Callable[[str], str] = printable) -> list[str]:
    """The comparison in sentences; `shown` makes what others wrote safe to show."""
    settings = result["settings"]
    adjusted = f", adjusted {p_value(_p(result))}" if _p(result) != result["p"] else ""
    same = result["n"] - result["only_a"] - result["only_b"]
    return [
        f"{result['n']} questions, {result['score']} score: A does better on {result['only_a']}, B on "
        f"{result['only_b']}, both alike on {same}",
        f"difference B − A: {points(result['difference'])} points, 95 % from "
        f"{points_range(result['low'], result['high'])}; p {p_value(result['p'])}{adjusted}",
        f"smallest true difference that such a test finds in 80 % of runs: {percent(result['detectable'])} points",
        f"within ±{percent(settings['margin'])} points (two one-sided tests): p {p_value(result['p_equivalence'])}",
        *f"p: {result['method']}".split("; "),
        f"{settings['resamples']} resamples, seed {settings['seed']}, false discovery rate "
        f"{settings['false_discovery_rate']:g}, margin {settings['margin']:g}: from {settings['from']}",
        f"verdict on B: {result['verdict_text']}",
        shown(result["basis"]),
    ]
