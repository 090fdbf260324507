"""Sections on what goes wrong, and on how good the reasoning is where the answer is right."""

from dataclasses import replace
from pathlib import Path

from audio_reasoning.metrics.errors.results import ErrorAnalysis, Hard, RunErrors
from audio_reasoning.metrics.judge_results import JudgeSummary
from audio_reasoning.metrics.results import existing_result
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.comparison import accuracy, bounded, comparison_cells, with_range
from audio_reasoning.render.report.mistakes import run_part
from audio_reasoning.render.report.sections import Section, browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import DASH, MINI_NOTE, percent

HARDEST = 10  # that are listed; their number is told
PROMPTS_ALONE = "This section is about the prompts alone, not about control arms, votes or trained models."


def errors_section(file: Path, text: Path, headline: str) -> Section:
    """Answers that are none, thinking that loops, the questions that no prompt gets right; `headline` in detail.

    `text` tells the same in Markdown.
    """
    section = Section("section-errors", "What goes wrong?", [str(file), str(text)])
    analysis = existing_result(file, ErrorAnalysis)
    if analysis is None or not analysis.runs:
        return section.missing("no error analysis", "dvc repro errors")
    runs, hardest, n = analysis.runs, analysis.hardest, analysis.questions
    parts = [run_part(run, folded=run.run != headline) for run in runs]
    lead = (
        f"No prompt gets {len(hardest)} of {n} questions right, {of_questions(len(hardest) / n, n)} %; every "
        f"prompt gets {len(analysis.easiest)} right."
    )
    return replace(
        section,
        lead=lead,
        tables=[_runs(runs), _thinking(analysis, runs), *_counting(runs), *([_hardest(hardest)] if hardest else [])],
        parts=sorted(parts, key=lambda part: part.folded),
        notes=[PROMPTS_ALONE, *(note for note in analysis.notes if note != MINI_NOTE)],
    )


def _runs(runs: list[RunErrors]) -> Table:
    rows = []
    for run in runs:
        worst = next(iter(run.of("sub_category")), None)
        invalid = {row.status: row.share for row in run.invalid}
        rows.append(
            cells(
                Cell(run.run, link=browser_link(a=run.run)),
                *(accuracy(run), percent(run.chance)),
                *((f"{worst.name} ({worst.n})", accuracy(worst)) if worst else ("", "")),
                *(of_questions(invalid.get(fate), run.n) for fate in FATES),
            )
        )
    worst_column = "worst sub-category (questions)"
    columns = ["prompt", "accuracy", "by chance", worst_column, "accuracy there", "cut off", "no answer", "failed"]
    return Table(columns, rows, [worst_column], "Failures by prompt, in percent; in brackets 95 % intervals")


def _thinking(analysis: ErrorAnalysis, runs: list[RunErrors]) -> Table:
    """Second thoughts and loops, and whether what loops is answered worse."""
    limits = analysis.params[0]
    words = [*runs[0].thinking.per_1000_words]
    rows = []
    for run in runs:
        thinking = run.thinking
        rates = [thinking.per_1000_words.get(word) for word in words]
        rows.append(
            cells(
                run.run,
                DASH if thinking.mean_words is None else f"{thinking.mean_words:,.1f}",
                *(DASH if rate is None else f"{rate:.2f}" for rate in rates),
                of_questions(thinking.looping.share, run.n),
                *(accuracy(thinking.looping), accuracy(thinking.others), percent(thinking.looping.truncated)),
            )
        )
    caption = (
        f"Thinking by prompt: words of a trace on average; second thoughts in 1,000 words; traces that loop (the same "
        f"{limits.loop_ngram} words {limits.loop_repeats} times or more), and the accuracy of those "
        "and of others, in percent, in brackets 95 % intervals"
    )
    columns = ["prompt", "words", *(f"“{word.capitalize()}”" for word in words), "looping", "accuracy of looping"]
    return Table([*columns, "of others", "looping and cut off"], rows, caption=caption)


def _counting(runs: list[RunErrors]) -> list[Table]:
    """Whether questions of how many are answered with too few or too many; nothing where none asks that."""
    rows = []
    for run in runs:
        counts = run.counts
        # Several answers to one question are no independent evidence: the interval is that of so many questions.
        n = round(counts.n * run.n / run.responses)
        figures = [of_questions(share, n) for share in (counts.accuracy, counts.too_few, counts.too_many)]
        error = DASH if counts.mean_error is None else f"{counts.mean_error:+.2f}"
        rows.append(cells(run.run, str(n), *figures, error))
    caption = "Counting by prompt: answers to questions of how many, in percent; in brackets 95 % intervals"
    columns = ["prompt", "questions", "right", "too few", "too many", "off by, on average"]
    return [Table(columns, rows, caption=caption)] if any(run.counts.n for run in runs) else []


def _hardest(hardest: list[Hard]) -> Table:
    rows = []
    for row in hardest[:HARDEST]:
        chosen = "nothing" if row.chosen is None else f"{row.chosen} ({row.times} of {row.responses})"
        name = Cell(row.id, link=browser_link(q=row.id))
        rows.append(cells(name, row.sub_category, row.question, row.right, chosen))
    caption = f"Questions that no prompt gets right: {len(rows)} of {len(hardest)}, those with most agreement first"
    columns = ["question", "sub-category", "asked", "right answer", "most chosen"]
    return Table(columns, rows, columns, caption)


def judge_section(file: Path) -> Section:
    """Rubric scores of the runs that were judged, under the name of who judged them."""
    section = Section("section-judge", "How good is the reasoning?", [str(file)])
    summary = existing_result(file, JudgeSummary)
    if summary is None or not summary.runs:
        return section.missing("no traces have been rated by rubrics (judge.runs)", "dvc repro judge")
    versus = {row.b: row for row in summary.comparisons}
    scores = {row.run: with_range(row.score, row.low, row.high) for row in summary.runs}
    rows = [
        cells(
            *(row.run, scores[row.run]),
            *comparison_cells(versus.get(row.run), "Δ", "95 %", "p Holm"),
            of_questions(row.acc_strict, row.n),
            *(bounded(row, key) for key in ("trace_quality", "score_per_run")),
            f"{row.failed} of {row.ratings}",
        )
        for row in summary.runs
    ]
    judge = summary.judge
    columns = ["run", "score", f"Δ {summary.runs[0].run}", "95 %", "p Holm", "accuracy", "right answers alone"]
    caption = (
        f"Scores by the judge “{judge}” in percent, in brackets 95 % intervals: a wrong answer is 0, a right one the "
        "share of rubric items that its trace meets"
    )
    listing = ", ".join(f"{run} {score}" for run, score in scores.items())
    return replace(
        section,
        lead=f"Scores in percent by the judge “{judge}”: {listing}.",
        tables=[Table([*columns, "trimmed per run", "ratings that failed"], rows, caption=caption)],
        notes=[f"Judge “{judge}”: {summary.note}."],
    )
