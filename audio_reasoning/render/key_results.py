"""The study in one table, for a terminal, for Markdown and for a page."""

import textwrap
from collections.abc import Sequence

from audio_reasoning.metrics.key_results import KeyResult
from audio_reasoning.metrics.reported import LABEL, QUESTIONS, SOURCE, Approach, Reported
from audio_reasoning.metrics.results import BETTER, EXPLORATORY, WORSE, Compared, Judged, Verdict
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.render.comparison import comparison_cells, delta, tone_of, with_range
from audio_reasoning.render.report.sections import browser_link
from audio_reasoning.render.table import Cell, Table, cells, to_markdown, to_text
from audio_reasoning.render.tables import DASH, p_value, points

REFERENCES: dict[Approach, str] = {
    "baseline": "",
    "structured prompting": "Δ to the baseline",
    "optimised prompts": "Δ to the prompt that it started from",
    "self-training": "Δ to the base model under the same prompt",
    "majority vote": "Δ to the mean of its samples",
}
WIDTH = 120  # of a terminal's lines
ONLY_REPORTED = "only reported"
NOTES = (
    "Accuracy on all test questions in percent, Δ in points, with 95 % intervals. p is adjusted over the comparisons "
    "that are declared together (Holm); of others, “alone” or exploratory, it is as it is. What is called better or "
    "worse is marked.",
    f"“Reported” is what is {LABEL}: {SOURCE} on GitHub. It gives no intervals: those shown are Wilson’s for "
    f"{QUESTIONS:,} questions. Its Δ is always to its baseline.",
)


def as_text(results: Sequence[KeyResult], absent: Sequence[str]) -> str:
    """The table for a terminal, under each approach what its differences are to."""
    rows: list[list[Cell] | str] = []
    before = ""
    for row in results:
        if row.approach != before:
            reference = REFERENCES[row.approach]
            rows.append(f"{row.approach}, {reference}" if reference else row.approach)
        rows.append([Cell(f"  {row.run}"), *_figures(row), *_reported(row)])
        before = row.approach
    header = ["run", "accuracy", "Δ", "p", "verdict", "reported", "Δ"]
    beneath = [textwrap.fill(line, WIDTH) for line in (*NOTES, *_not_here(absent))]
    return "\n\n".join([to_text(Table(header, rows, ["verdict"])), "\n".join(beneath)])


def as_markdown(results: Sequence[KeyResult], absent: Sequence[str]) -> str:
    """The same as a Markdown page."""
    rows = [cells(row.approach, row.run, *_figures(row), row.reference, *_reported(row)) for row in results]
    header = ["approach", "run", "accuracy", "Δ", "p", "verdict", "against", "reported", "reported Δ"]
    table = to_markdown(Table(header, rows, ["run", "verdict", "against"]))
    listed = "\n".join(f"- {line}" for line in _not_here(absent))
    return "\n\n".join(part for part in ["# Key results", table, *NOTES, listed] if part) + "\n"


def page_table(results: Sequence[KeyResult]) -> Table:
    """The same for a page: a run leads to the questions that flipped."""
    rows = []
    for row in results:
        link = browser_link(a=row.reference, b=row.run) if row.versus else ""
        accuracy, *_, verdict = _figures(row)
        differs = comparison_cells(row.versus, "Δ", "95 %", "interval")
        # Of what was not declared the verdict says that p stands alone.
        p = comparison_cells(row.versus, "decisive p" if isinstance(row.versus, Judged) else "p")
        judged = Cell(verdict.text, tone=tone_of(row.versus) or "quiet")
        reported = [Cell(cell.text, tone="quiet") for cell in _reported(row)]
        rows.append([Cell(row.run, link=link), Cell(row.approach), accuracy, *differs, *p, judged, *reported])
    columns = ["run", "approach", "accuracy", "Δ", "95 %", "interval", "p", "verdict", "reported", "its Δ"]
    references = [
        f"{row.approach}: {REFERENCES[row.approach]}" for row in results if row.versus and REFERENCES[row.approach]
    ]
    caption = (
        f"What each approach reaches, in percent ({'; '.join(dict.fromkeys(references))}). In the last two columns, "
        f"what is {LABEL}"
    )
    return Table(columns, rows, ["approach", "verdict"], caption)


def in_short(results: Sequence[KeyResult]) -> str:
    """Which runs are better or worse than what they are compared with, in a sentence."""
    judged = [row for row in results if isinstance(row.versus, Judged) and row.versus.p_holm is not None]
    if not judged:
        return "No run has a declared comparison yet."
    parts = [f"{verdict}: {_listed(judged, verdict)}" for verdict in (BETTER, WORSE)]
    return f"Of {len(judged)} runs with a declared comparison, in points over their reference, {'; '.join(parts)}."


def _listed(rows: Sequence[KeyResult], verdict: Verdict) -> str:
    told = [
        f"{row.run} {delta(row.versus)}"
        for row in rows
        if isinstance(row.versus, Judged) and row.versus.verdict == verdict
    ]
    return ", ".join(told) or "none"


def _figures(row: KeyResult) -> list[Cell]:
    """Accuracy, difference, p and verdict; dashes for what is not known, nothing where there is nothing to know."""
    accuracy = with_range(*row.accuracy) if row.accuracy else DASH
    if row.versus is None:
        blank = DASH if row.reference else ""
        return cells(accuracy, blank, blank, ONLY_REPORTED if row.only_reported else blank)
    judged = row.versus if isinstance(row.versus, Judged) else None
    difference = Cell(delta(row.versus), significant=bool(judged and judged.decided))
    return [Cell(accuracy), difference, Cell(_p(row.versus)), Cell(judged.verdict if judged else EXPLORATORY)]


def _p(row: Compared) -> str:
    adjusted = row.p_holm if isinstance(row, Judged) else None
    return f"{p_value(row.p)} alone" if adjusted is None else p_value(adjusted)


def _reported(row: KeyResult) -> list[Cell]:
    if row.reported is None:
        return cells("", "")
    difference = points(row.reported.difference) if row.reported.difference else ""
    return cells(_with_interval(row.reported), difference)


def _with_interval(reported: Reported) -> str:
    return with_range(reported.accuracy, *wilson(reported.accuracy * QUESTIONS, QUESTIONS))


def _not_here(absent: Sequence[str]) -> list[str]:
    return [f"Not here: {line}" for line in absent]
