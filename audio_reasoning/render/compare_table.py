"""The table of `compare`, for a terminal and for Markdown."""

from collections.abc import Callable, Iterator, Mapping
from html import escape

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.shown import printable
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.results import (
    BETTER,
    EXPLORATORY,
    NO_VERDICT,
    SAME,
    WORSE,
    Breakdown,
    Contrast,
    Metrics,
    Summary,
    Verdict,
)
from audio_reasoning.render.comparison import comparison_cells, group_cells, with_range
from audio_reasoning.render.table import Table, cells, to_markdown, to_text
from audio_reasoning.render.tables import percent, percent_range

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
CONCLUSIONS: dict[Verdict, str] = {
    BETTER: "better than",
    WORSE: "worse than",
    SAME: "not distinguishable from",
    EXPLORATORY: "exploratory, so without a verdict, against",
    NO_VERDICT: "without a verdict, for want of answers, against",
}
VERDICT = ("verdict",)  # a column of words
TESTED = ("Δ*", "95 %", "decisive p", "±80 %")
CALLED = ("Δ (95 %)", "decisive p", "verdict in words")


def table(metrics: Mapping[str, Metrics], summary: Summary) -> str:
    """The comparison for a terminal: percentages, and differences in percentage points."""
    versus = {row.b: row for row in summary.versus_baseline}
    first = next(iter(metrics))
    missing = [variant for variant in metrics if variant not in versus and variant != first]
    if missing:
        raise UserError(
            f"metrics/summary.json does not compare {missing[0]}, which params.yaml lists: it is out of date; "
            "`dvc repro` mends it"
        )
    rows = [
        cells(
            variant,
            percent(values.acc_strict),
            percent_range(values.overall.low, values.overall.high),
            percent(values.acc_official),
            *comparison_cells(versus.get(variant), *TESTED),
            percent(values.failed),
            *comparison_cells(versus.get(variant), "verdict"),
        )
        for variant, values in metrics.items()
    ]
    legend = LEGEND.format(n=metrics[first].n, first=first, tests=len(summary.contrasts))
    others = [
        cells(f"{row.b} − {row.a}", *comparison_cells(row, *TESTED, "verdict"))
        for row in summary.other_contrasts(first)
    ]
    tables = [Table(HEADER, rows, VERDICT)]
    tables += [Table(["contrast", "Δ", "95 %", "p", "±80 %", "verdict"], others, VERDICT)] if others else []
    return "\n\n".join([*map(to_text, tables), "\n".join([legend, *_notes(summary)])])


def _notes(summary: Summary) -> list[str]:
    return [f"profile {summary.profile}; best: {summary.best}", *summary.notes]


def markdown(metrics: Mapping[str, Metrics], summary: Summary, method: Method) -> str:
    """reports/compare.md: approach, accuracy, difference to the first variant and verdict; then by sub-category."""
    first = next(iter(metrics))
    versus = {row.b: row for row in summary.versus_baseline}
    rows = []
    for variant, values in metrics.items():
        overall = values.overall
        accuracy = with_range(overall.acc_strict, overall.low, overall.high)
        rows.append(cells(variant, accuracy, *comparison_cells(versus.get(variant), *CALLED)))
    parts = [
        "# Which runs differ?",
        "\n".join(_conclusion(summary, first)),
        MARKDOWN_LEGEND.format(n=metrics[first].n, tests=len(summary.contrasts)),
        to_markdown(Table(["approach", "accuracy", f"Δ to {first}", "p", "verdict"], rows, VERDICT)),
    ]
    others = [
        cells(row.b, percent(row.acc_b), row.a, percent(row.acc_a), *comparison_cells(row, *CALLED))
        for row in summary.other_contrasts(first)
    ]
    if others:
        header = ["run", "accuracy", "against", "accuracy", "Δ", "p", "verdict"]
        parts += ["## Other declared contrasts", to_markdown(Table(header, others, ("against", *VERDICT)))]
    parts += ["\n".join(f"- {note}" for note in _notes(summary)), "## By sub-category", _sub_category_legend(method)]
    parts += [part for row in summary.contrasts for part in _folded(row, method.false_discovery_rate)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conclusion(summary: Summary, first: str) -> list[str]:
    """One line for each verdict and run that others are compared with: which ones have it."""
    by: dict[tuple[str, str], list[str]] = {}
    for row in [*summary.versus_baseline, *summary.other_contrasts(first)]:
        by.setdefault((row.verdict, row.a), []).append(row.b)
    return [
        f"- **{words} {a}**: {', '.join(names)}"
        for verdict, words in CONCLUSIONS.items()
        for (called, a), names in by.items()
        if called == verdict
    ]


def _sub_category_legend(method: Method) -> str:
    return (
        f"Within one contrast, a sub-category is significant (bold) where q is below {method.false_discovery_rate:g} "
        "(Benjamini-Hochberg over the sub-categories): of all that are called so, at most that share is expected to be "
        "chance. Every table is a closer look at one contrast, not a claim of its own."
    )


def _folded(row: Contrast, rate: float) -> Iterator[str]:
    improves = improvement(row.sub_category, "sub-categories", rate, shown=_in_html)
    yield f"<details><summary>{row.b} against {row.a}: {improves}</summary>"
    yield to_markdown(breakdown_table(row.sub_category, "sub-category", row.a, row.b, rate))
    yield "</details>"


def _in_html(text: str) -> str:
    return escape(printable(text), quote=False)


def breakdown_table(breakdown: Breakdown, by: str, a: str, b: str, rate: float) -> Table:
    """A comparison of `a` and `b` within each group of questions."""
    return Table([by, "n", a, b, "Δ", "95 %", "p", "q"], [group_cells(group, rate) for group in breakdown.rows])


def improvement(breakdown: Breakdown, name: str, rate: float, *, shown: Callable[[str], str] = printable) -> str:
    """In how many groups a run does better, and in which of them surely: "improves 5 of 16 sub-categories, …".

    `shown` makes the groups' names, which others wrote, safe to show.
    """
    certain = [f"{shown(part)} ↑" for part in breakdown.rise] + [f"{shown(part)} ↓" for part in breakdown.fall]
    return (
        f"improves {breakdown.improves} of {breakdown.tested} {name}, falls in {breakdown.worsens}; "
        f"significant (q < {rate:g}): {', '.join(certain) or 'none'}"
    )
