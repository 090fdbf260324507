"""Sections on what goes wrong, and on how good the reasoning is where the answer is right."""

from dataclasses import replace

from audio_reasoning.core.files import METRICS
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.report.mistakes import run_part
from audio_reasoning.render.report.node import Node, read_node
from audio_reasoning.render.report.sections import Cell, Section, Table, browser_link, cells
from audio_reasoning.render.report.shares import accuracy, bounded, of_questions
from audio_reasoning.render.tables import DASH, MINI_NOTE, p_value, percent, points, points_range

ERRORS = METRICS / "errors.json"
JUDGE = METRICS / "judge.json"
HARDEST = 10  # that are listed; their number is told
PROMPTS_ALONE = "This section is about the prompts alone, not about control arms, votes or iterations."


def errors_section(headline: str) -> Section:
    """Answers that are none, thinking that loops, the questions that no prompt gets right; `headline` in detail."""
    shown = Section("section-errors", "What goes wrong?", [str(ERRORS), "reports/errors.md"])
    found = read_node(ERRORS)
    if found is None or not found["runs"].rows():
        return shown.missing("no error analysis", "dvc repro errors")
    runs, hardest, easiest = found["runs"].rows(), found["hardest"].rows(), len(found["easiest"].rows())
    n = found.count("questions")
    parts = [run_part(run, folded=run.text("run") != headline) for run in runs]
    lead = (
        f"No prompt gets {len(hardest)} of {n} questions right, {of_questions(len(hardest) / n, n)} %; every "
        f"prompt gets {easiest} right."
    )
    return replace(
        shown,
        lead=lead,
        tables=[_runs(runs), _thinking(found, runs), *_counting(runs), *([_hardest(hardest)] if hardest else [])],
        parts=sorted(parts, key=lambda part: part.folded),
        notes=[PROMPTS_ALONE, *(str(note.value) for note in found["notes"].rows() if note.value != MINI_NOTE)],
    )


def _runs(runs: list[Node]) -> Table:
    rows = []
    for run in runs:
        worst = next((group for group in run["groups"].rows() if group.text("by") == "sub_category"), None)
        invalid = {row.text("status"): row.number_or_none("share") for row in run["invalid"].rows()}
        rows.append(
            [
                Cell(run.text("run"), link=browser_link(a=run.text("run"))),
                *cells(accuracy(run), percent(run.number("chance"))),
                *(cells(f"{worst.text('name')} ({worst.count('n')})", accuracy(worst)) if worst else cells("", "")),
                *(Cell(of_questions(invalid.get(fate), run.count("n"))) for fate in FATES),
            ]
        )
    columns = ["prompt", "accuracy", "by chance", "worst sub-category (questions)", "accuracy there"]
    caption = "Failures by prompt, in percent; in brackets 95 % intervals"
    return Table(caption, [*columns, "cut off", "no answer", "failed"], rows, words=[3])


def _thinking(found: Node, runs: list[Node]) -> Table:
    """Second thoughts and loops, and whether what loops is answered worse."""
    limits = found["params"].rows(least=1)[0]
    said = [word for word, _ in runs[0]["thinking"]["per_1000_words"].items()]
    rows = []
    for run in runs:
        thinking = run["thinking"]
        looping, others = thinking["looping"], thinking["others"]
        words = thinking.number_or_none("mean_words")
        rates = [thinking["per_1000_words"].number_or_none(word) for word in said]
        rows.append(
            cells(
                run.text("run"),
                DASH if words is None else f"{words:,.1f}",
                *(DASH if rate is None else f"{rate:.2f}" for rate in rates),
                of_questions(looping.number_or_none("share"), run.count("n")),
                *(accuracy(looping), accuracy(others), percent(looping.number_or_none("truncated"))),
            )
        )
    caption = (
        f"Thinking by prompt: words of a trace on average; second thoughts in 1,000 words; traces that loop (the same "
        f"{limits.count('loop_ngram')} words {limits.count('loop_repeats')} times or more), and the accuracy of those "
        "and of others, in percent, in brackets 95 % intervals"
    )
    columns = ["prompt", "words", *(f"“{word.capitalize()}”" for word in said)]
    return Table(caption, [*columns, "looping", "accuracy of looping", "of others", "looping and cut off"], rows)


def _counting(runs: list[Node]) -> list[Table]:
    """Whether questions of how many are answered with too few or too many; nothing where none asks that."""
    rows = []
    for run in runs:
        counts = run["counts"]
        # Several answers to one question are no independent evidence: the interval is that of so many questions.
        asked = round(counts.count("n") * run.count("n") / run.count("responses"))
        told = [of_questions(counts.number_or_none(key), asked) for key in ("accuracy", "too_few", "too_many")]
        error = counts.number_or_none("mean_error")
        rows.append(cells(run.text("run"), str(asked), *told, DASH if error is None else f"{error:+.2f}"))
    caption = "Counting by prompt: answers to questions of how many, in percent; in brackets 95 % intervals"
    columns = ["prompt", "questions", "right", "too few", "too many", "off by, on average"]
    return [Table(caption, columns, rows)] if any(run["counts"].count("n") for run in runs) else []


def _hardest(hardest: list[Node]) -> Table:
    rows = []
    for row in hardest[:HARDEST]:
        name, chosen = row.text("id"), row.get("chosen")
        told = f"{row.text('chosen')} ({row.count('times')} of {row.count('responses')})" if chosen else "nothing"
        kept = [row.text(key) for key in ("sub_category", "question", "right")]
        rows.append([Cell(name, link=browser_link(q=name)), *cells(*kept, told)])
    caption = f"Questions that no prompt gets right: {len(rows)} of {len(hardest)}, those with most agreement first"
    columns = ["question", "sub-category", "asked", "right answer", "most chosen"]
    return Table(caption, columns, rows, words=[1, 2, 3, 4])


def judge_section() -> Section:
    """Rubric scores of the runs that were judged, under the name of who judged them."""
    shown = Section("section-judge", "How good is the reasoning?", [str(JUDGE)])
    found = read_node(JUDGE)
    if found is None or not found["runs"].rows():
        return shown.missing("no traces have been rated by rubrics (judge.runs)", "dvc repro judge")
    versus = {row.text("b"): row for row in found["comparisons"].rows()}
    runs = found["runs"].rows()
    rows = [
        [
            *cells(row.text("run"), accuracy(row, "score")),
            *_difference(versus.get(row.text("run"))),
            Cell(of_questions(row.number("acc_strict"), row.count("n"))),
            *(Cell(bounded(row, key)) for key in ("trace_quality", "score_per_run")),
            Cell(f"{row.count('failed')} of {row.count('ratings')}"),
        ]
        for row in runs
    ]
    columns = ["run", "score", f"Δ {runs[0].text('run')}", "95 %", "p Holm", "accuracy", "right answers alone"]
    judge = found.text("judge")
    caption = (
        f"Scores by the judge “{judge}” in percent, in brackets 95 % intervals: a wrong answer is 0, a right one the "
        "share of rubric items that its trace meets"
    )
    scores = ", ".join(f"{row.text('run')} {accuracy(row, 'score')}" for row in runs)
    return replace(
        shown,
        lead=f"Scores in percent by the judge “{judge}”: {scores}.",
        tables=[Table(caption, [*columns, "trimmed per run", "ratings that failed"], rows)],
        notes=[f"Judge “{judge}”: {found.text('note')}."],
    )


def _difference(compared: Node | None) -> list[Cell]:
    if compared is None:
        return cells("", "", "")
    interval = points_range(compared.number("low"), compared.number("high"))
    return cells(points(compared.number("difference")), interval, p_value(compared.number("p_holm")))
