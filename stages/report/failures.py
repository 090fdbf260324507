"""Sections on what goes wrong, and on how good the reasoning is where the answer is right."""

from stages.common.files import METRICS
from stages.evaluate.tables import MINI_NOTE, p_value, points, points_range
from stages.report.mistakes import run_part
from stages.report.node import Node, read_node
from stages.report.sections import Cell, Section, Table, browser_link, cells
from stages.report.shares import NONE, accuracy, of_questions, share

ERRORS = METRICS / "errors.json"
JUDGE = METRICS / "judge.json"
HARDEST = 10  # that are listed; their number is told


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
        f"prompt gets {easiest} right. This is about the prompts alone, not about control arms, votes or iterations."
    )
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead=lead,
        tables=[_runs(runs), _thinking(found, runs), *_counting(runs), *([_hardest(hardest)] if hardest else [])],
        parts=sorted(parts, key=lambda part: part.folded),
        notes=[str(note.value) for note in found["notes"].rows() if note.value != MINI_NOTE],
    )


def _runs(runs: list[Node]) -> Table:
    rows = []
    for run in runs:
        worst = next((group for group in run["groups"].rows() if group.text("by") == "sub_category"), None)
        invalid = {row.text("status"): row.number_or_none("share") for row in run["invalid"].rows()}
        rows.append(
            [
                Cell(run.text("run"), link=browser_link(a=run.text("run"))),
                *cells(accuracy(run), share(run.number("chance"))),
                *(cells(worst.text("name"), accuracy(worst), str(worst.count("n"))) if worst else cells("", "", "")),
                *(Cell(share(invalid.get(status))) for status in ("truncated", "no_answer", "error")),
            ]
        )
    columns = ["run", "accuracy", "by chance", "worst sub-category", "accuracy there", "questions"]
    caption = "Failures by run, in percent; in brackets 95 % intervals"
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
                NONE if words is None else f"{words:,.1f}",
                *(NONE if rate is None else f"{rate:.2f}" for rate in rates),
                of_questions(looping.number_or_none("share"), run.count("n")),
                *(accuracy(looping), accuracy(others), share(looping.number_or_none("truncated"))),
            )
        )
    caption = (
        f"Thinking by run. Second thoughts: in 1,000 words of thinking. A trace loops where the same "
        f"{limits.count('loop_ngram')} words occur {limits.count('loop_repeats')} times or more; in percent"
    )
    columns = ["run", "words", *(f"“{word.capitalize()}”" for word in said)]
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
        rows.append(cells(run.text("run"), str(asked), *told, NONE if error is None else f"{error:+.2f}"))
    caption = "Counting by run: answers to questions of how many, in percent; in brackets 95 % intervals"
    columns = ["run", "questions", "right", "too few", "too many", "off by, on average"]
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
            *(Cell(share(row.number_or_none(key))) for key in ("trace_quality", "score_per_run")),
            Cell(f"{row.count('failed')} of {row.count('ratings')}"),
        ]
        for row in runs
    ]
    columns = ["run", "score", f"Δ {runs[0].text('run')}", "95 %", "p Holm", "accuracy", "right answers alone"]
    caption = (
        f"Scores by the judge “{found.text('judge')}” in percent, in brackets 95 % intervals: a wrong answer is 0, a "
        "right one the share of rubric items that its trace meets"
    )
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead=f"Judged by {found.text('judge')}: {found.text('note')}.",
        tables=[Table(caption, [*columns, "trimmed per run", "ratings that failed"], rows)],
    )


def _difference(compared: Node | None) -> list[Cell]:
    if compared is None:
        return cells("", "", "")
    interval = points_range(compared.number("low"), compared.number("high"))
    return cells(points(compared.number("difference")), interval, p_value(compared.number("p_holm")))
