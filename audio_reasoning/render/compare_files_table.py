"""The comparison of two prediction files, for a terminal and for Markdown."""

from collections.abc import Callable, Iterator

from audio_reasoning.core.shown import plain_text, printable
from audio_reasoning.metrics.file_results import FileComparison
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.compare_table import VERDICT, breakdown_table, improvement
from audio_reasoning.render.comparison import accuracy, comparison_cells
from audio_reasoning.render.table import Table, cells, foreign, to_markdown, to_text
from audio_reasoning.render.tables import p_value, percent, percent_range, points, points_range

BY = {"category": ("category", "categories"), "sub_category": ("sub-category", "sub-categories")}
Writer = Callable[[str], str]  # makes what others wrote safe to show


def as_text(result: FileComparison) -> str:
    """All figures for a terminal."""
    header = ["run", result.score, "95 %", "samples", *(fate.replace("_", " ") for fate in FATES)]
    rows = [
        [
            f"{letter}  {printable(run.name)}",
            *(percent(run.acc), percent_range(run.low, run.high), str(run.samples)),
            *(percent(getattr(run, fate)) for fate in FATES),
        ]
        for letter, run in zip("AB", result.runs, strict=True)
    ]
    lines = [to_text(Table(header, rows)), "", *_sentences(result, printable)]
    lines += [f"warning: {printable(warning)}" for warning in result.warnings]
    for table, improves in _breakdowns(result, printable):
        lines += ["", to_text(table), improves]
    return "\n".join(lines)


def as_markdown(result: FileComparison) -> str:
    """All figures for a pull request or a page."""
    a, b = result.runs
    tested = comparison_cells(result, "Δ (95 %)", "decisive p", "verdict in words")
    rows = [
        cells(foreign(f"A: {a.name}"), accuracy(a), "", "", ""),
        cells(foreign(f"B: {b.name}"), accuracy(b), *tested),
    ]
    items = [f"- {line}" for line in (*_sentences(result, plain_text), *map(plain_text, result.warnings))]
    parts = [to_markdown(Table(["approach", "accuracy", "Δ to A", "p", "verdict"], rows, VERDICT)), "\n".join(items)]
    for table, improves in _breakdowns(result, plain_text):
        parts += [to_markdown(table), improves]
    return "\n\n".join(parts)


def _breakdowns(result: FileComparison, shown: Writer) -> Iterator[tuple[Table, str]]:
    """Each breakdown as a table, and in words."""
    rate = result.settings.false_discovery_rate
    for by, (name, names) in BY.items():
        breakdown = getattr(result, by)
        yield breakdown_table(breakdown, name, "A", "B", rate), improvement(breakdown, names, rate, shown=shown)


def _sentences(result: FileComparison, shown: Writer) -> list[str]:
    """The comparison in words."""
    settings = result.settings
    adjusted = f", adjusted {p_value(result.decisive_p)}" if result.decisive_p != result.p else ""
    equivalence = 1.0 if result.p_equivalence is None else result.p_equivalence
    return [
        f"{result.n} questions, {result.score} score: A does better on {result.only_a}, B on {result.only_b}, both "
        f"alike on {result.n - result.only_a - result.only_b}",
        f"difference B − A: {points(result.difference)} points, 95 % from {points_range(result.low, result.high)}; "
        f"p {p_value(result.p)}{adjusted}",
        f"smallest true difference that such a test finds in 80 % of runs: {percent(result.detectable)} points",
        f"within ±{percent(settings.margin)} points (two one-sided tests): p {p_value(equivalence)}",
        *f"p: {result.method}".split("; "),
        f"{settings.resamples} resamples, seed {settings.seed}, false discovery rate "
        f"{settings.false_discovery_rate:g}, margin {settings.margin:g}: from {settings.source}",
        f"verdict on B: {result.verdict_text}",
        shown(result.basis),
    ]
