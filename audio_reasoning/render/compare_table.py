"""The table of `compare`, for a terminal and for Markdown."""

from collections.abc import Callable
from html import escape
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.shown import plain_text, printable
from audio_reasoning.metrics.paired import BETTER, EXPLORATORY, NO_VERDICT, SAME, WORSE, Method
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.tables import (
    markdown_table,
    p_value,
    percent,
    percent_range,
    points,
    points_range,
    text_table,
)

HEADER = ["variant", "strict", "95 %", "official", "Δ", "95 %", "p", "±80 %", "failed", "verdict"]
LEGEND = """\
{n} questions; percent, and for Δ (to {first}), its interval and ±80 % points. p: Holm-adjusted over the {tests}
declared contrasts; where exploratory, as it is. *: better or worse, which takes p below 0.05 and an interval without
zero. ±80 %: the smallest true difference that 80 % of such tests find. failed: truncated, no answer, or an error."""
MARKDOWN_LEGEND = """\
Strict accuracy on {n} questions in percent, Δ in points, with 95 % intervals (Wilson's; of Δ, bootstrap over clips).
A contrast is called better or worse only if p, Holm-adjusted over the {tests} declared contrasts, is below 0.05 and the
interval excludes zero; each interval stands for itself, so it may exclude zero where p does not. "Can see": the
smallest true difference that such a test finds in 80 % of runs. Exploratory comparisons were not declared in `compare`
of params.yaml: their p is not adjusted, and they have no verdict."""
CONCLUSIONS = {
    BETTER: "better than",
    WORSE: "worse than",
    SAME: "not distinguishable from",
    EXPLORATORY: "exploratory, so without a verdict, against",
    NO_VERDICT: "without a verdict, for want of answers, against",
}
VERDICT = ("verdict",)  # a column of words

Metrics = dict[str, dict[str, Any]]  # by variant: what `score` wrote


def table(metrics: Metrics, summary: dict[str, Any]) -> str:
    """The comparison for a terminal: percentages, and differences in percentage points."""
    versus = {row["b"]: row for row in summary["versus_baseline"]}
    first = next(iter(metrics))
    missing = [variant for variant in metrics if variant not in versus and variant != first]
    if missing:
        raise UserError(
            f"metrics/summary.json does not compare {missing[0]}, which params.yaml lists: it is out of date; "
            "`dvc repro` mends it"
        )
    lines = [_line(variant, metrics[variant], versus.get(variant)) for variant in metrics]
    legend = LEGEND.format(n=metrics[first]["n"], first=first, tests=len(summary["contrasts"]))
    notes = [f"profile {summary['profile']}; best: {summary['best']}", *summary["notes"]]
    others = other_contrasts(summary, first)
    more = [
        text_table(["contrast", "Δ", "95 %", "p", "±80 %", "verdict"], [_other(row) for row in others], VERDICT),
        "",
    ]
    return "\n".join([text_table(HEADER, lines, VERDICT), "", *(more if others else []), legend, *notes])


def _line(variant: str, values: dict[str, Any], versus: dict[str, Any] | None) -> list[str]:
    overall = values["detail"][0]
    cells = [variant, percent(values["acc_strict"]), percent_range(overall["low"], overall["high"])]
    cells += [percent(values["acc_official"]), *(_versus(versus) if versus else [""] * 4)]
    return [*cells, percent(sum(values[fate] for fate in FATES)), versus["verdict"] if versus else ""]


def _other(row: dict[str, Any]) -> list[str]:
    return [f"{row['b']} − {row['a']}", *_versus(row), row["verdict"]]


def _versus(row: dict[str, Any]) -> list[str]:
    p = row["p"] if row["p_holm"] is None else row["p_holm"]
    return [starred(row), points_range(row["low"], row["high"]), p_value(p), percent(row["detectable"])]


def other_contrasts(summary: dict[str, Any], first: str) -> list[dict[str, Any]]:
    """The declared contrasts that are not of a variant with the first one, whichever way round."""
    shown = [{first, row["b"]} for row in summary["versus_baseline"]]
    return [row for row in summary["contrasts"] if {row["a"], row["b"]} not in shown]


def starred(row: dict[str, Any]) -> str:
    """A comparison's difference in points, with a star if it is called better or worse."""
    return points(row["difference"]) + ("*" if row["verdict"] in (BETTER, WORSE) else " ")


def markdown(metrics: Metrics, summary: dict[str, Any], method: Method) -> str:
    """reports/compare.md: approach, accuracy, difference to the first variant and verdict; then by sub-category."""
    first = next(iter(metrics))
    versus = {row["b"]: row for row in summary["versus_baseline"]}
    rows = []
    for variant, values in metrics.items():
        overall = values["detail"][0]
        accuracy = f"{percent(overall['acc_strict'])} ({percent_range(overall['low'], overall['high'])})"
        rows.append([variant, accuracy, *(_markdown_cells(versus[variant]) if variant in versus else [""] * 3)])
    tests = len(summary["contrasts"])
    lines = [
        "# Which runs differ?",
        "",
        *_conclusion(summary, first),
        "",
        MARKDOWN_LEGEND.format(n=metrics[first]["n"], tests=tests),
        "",
    ]
    lines += [markdown_table(["approach", "accuracy", f"Δ to {first}", "p", "verdict"], rows, VERDICT), ""]
    others = other_contrasts(summary, first)
    if others:
        cells = [
            [row["b"], percent(row["acc_b"]), row["a"], percent(row["acc_a"]), *_markdown_cells(row)] for row in others
        ]
        header = ["run", "accuracy", "against", "accuracy", "Δ", "p", "verdict"]
        lines += ["## Other declared contrasts", "", markdown_table(header, cells, ("against", *VERDICT)), ""]
    lines += [f"- {note}" for note in (f"profile {summary['profile']}; best: {summary['best']}", *summary["notes"])]
    lines += ["", "## By sub-category", "", _sub_category_legend(method)]
    for row in summary["contrasts"]:
        lines += ["", *_folded(row, method)]
    return "\n".join(lines) + "\n"


def _conclusion(summary: dict[str, Any], first: str) -> list[str]:
    """One line for each verdict and run that others are compared with: which ones have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in [*summary["versus_baseline"], *other_contrasts(summary, first)]:
        found.setdefault((row["verdict"], row["a"]), []).append(row["b"])
    return [
        f"- **{words} {a}**: {', '.join(names)}"
        for verdict, words in CONCLUSIONS.items()
        for (own, a), names in found.items()
        if own == verdict
    ]


def _markdown_cells(row: dict[str, Any]) -> list[str]:
    delta = f"{points(row['difference'])} ({points_range(row['low'], row['high'])})"
    return [delta, p_value(row["p"] if row["verdict"] == EXPLORATORY else row["p_holm"]), row["verdict_text"]]


def _sub_category_legend(method: Method) -> str:
    return (
        f"Within one contrast, a sub-category is significant (bold) where q is below {method.false_discovery_rate:g} "
        "(Benjamini-Hochberg over the sub-categories): of all that are called so, at most that share is expected to be "
        "chance. Every table is a closer look at one contrast, not a claim of its own."
    )


def _folded(row: dict[str, Any], method: Method) -> list[str]:
    parts = [part_cells(part, method.false_discovery_rate, bold=True) for part in row["sub_category"]["rows"]]
    header = ["sub-category", "n", row["a"], row["b"], "Δ", "95 %", "p", "q"]
    told = improvement(row["sub_category"], "sub-categories", method.false_discovery_rate, shown=_in_html)
    summary = f"<details><summary>{row['b']} against {row['a']}: {told}</summary>"
    return [summary, "", markdown_table(header, parts), "", "</details>"]


def _in_html(text: str) -> str:
    return escape(printable(text), quote=False)


def part_cells(part: dict[str, Any], rate: float, *, bold: bool = False) -> list[str]:
    """One group of questions: name, n, both accuracies, difference, its interval, p and q; dashes if it is empty.

    A difference with q below `rate` is bold, and the name escaped, for Markdown (`bold`), or else starred.
    """
    name = plain_text(part["name"]) if bold else printable(part["name"])
    if not part["n"]:
        return [name, "0", *["–"] * 6]
    certain, difference = part["q"] < rate, points(part["difference"])
    if bold:
        difference = f"**{difference}**" if certain else difference
    else:
        difference += "*" if certain else " "
    cells = [name, str(part["n"]), percent(part["acc_a"]), percent(part["acc_b"]), difference]
    return [*cells, points_range(part["low"], part["high"]), p_value(part["p"]), p_value(part["q"])]


def improvement(breakdown: dict[str, Any], name: str, rate: float, *, shown: Callable[[str], str] = printable) -> str:
    """In how many groups a run does better, and in which of them surely: "improves 5 of 16 sub-categories, …".

    `shown` makes the groups' names, which others wrote, safe to show.
    """
    asked = sum(row["n"] > 0 for row in breakdown["rows"])
    certain = [f"{shown(part)} {arrow}" for key, arrow in (("rise", "↑"), ("fall", "↓")) for part in breakdown[key]]
    return (
        f"improves {breakdown['improves']} of {asked} {name}, falls in {breakdown['worsens']}; "
        f"significant (q < {rate:g}): {', '.join(certain) or 'none'}"
    )
