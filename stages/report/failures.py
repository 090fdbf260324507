"""Sections on what goes wrong, and on how good the reasoning is where the answer is right."""

from stages.common.files import METRICS
from stages.evaluate.compare import MINI_NOTE
from stages.evaluate.tables import p_value, percent, percent_range, points
from stages.report.node import Node, read_node
from stages.report.sections import Cell, Section, Table, browser_link, cells

ERRORS = METRICS / "errors.json"
JUDGE = METRICS / "judge.json"
HARDEST = 10  # that are listed; their number is told


def errors_section() -> Section:
    """Answers that are none, thinking that loops, and the questions that no run gets right."""
    shown = Section("section-errors", "What goes wrong?", [str(ERRORS), "reports/errors.md"])
    found = read_node(ERRORS)
    if found is None or not found["runs"].rows():
        return shown.missing("no error analysis", "dvc repro errors")
    share, hardest, easiest = percent(found.number("none_right")), found["hardest"].rows(), len(found["easiest"].rows())
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead=f"No run gets {len(hardest)} questions ({share} %) right; every run gets {easiest} right.",
        tables=[_runs(found), _hardest(hardest)] if hardest else [_runs(found)],
        notes=[str(note.value) for note in found["notes"].rows() if note.value != MINI_NOTE],
    )


def _runs(found: Node) -> Table:
    rows = []
    for run in found["runs"].rows():
        worst = next((group for group in run["groups"].rows() if group.text("by") == "sub_category"), None)
        invalid = {row.text("status"): row.number_or_none("share") for row in run["invalid"].rows()}
        looping = run["thinking"]["looping"].number_or_none("share")
        words = run["thinking"].number_or_none("mean_words")
        rows.append(
            [
                Cell(run.text("run"), link=browser_link(a=run.text("run"))),
                *cells(percent(run.number("acc")), percent(run.number("chance"))),
                Cell(f"{worst.text('name')}, {percent(worst.number('acc'))}" if worst else ""),
                *(Cell(_share(invalid.get(status))) for status in ("truncated", "no_answer", "error")),
                *cells(_share(looping), "–" if words is None else f"{words:,.1f}"),
            ]
        )
    columns = ["run", "accuracy", "by chance", "worst sub-category", "cut off", "no answer", "failed", "looping"]
    return Table("Failures by run, in percent", [*columns, "words of thinking"], rows, words=[3])


def _hardest(hardest: list[Node]) -> Table:
    rows = []
    for row in hardest[:HARDEST]:
        name, chosen = row.text("id"), row.get("chosen")
        told = f"{row.text('chosen')} ({row.count('times')} of {row.count('responses')})" if chosen else "nothing"
        kept = [row.text(key) for key in ("sub_category", "question", "right")]
        rows.append([Cell(name, link=browser_link(q=name)), *cells(*kept, told)])
    caption = f"Questions that no run gets right: {len(rows)} of {len(hardest)}, those with most agreement first"
    columns = ["question", "sub-category", "asked", "right answer", "most chosen"]
    return Table(caption, columns, rows, words=[1, 2, 3, 4])


def judge_section() -> Section:
    """Rubric scores of the runs that were judged, under the name of who judged them."""
    shown = Section("section-judge", "How good is the reasoning?", [str(JUDGE)])
    found = read_node(JUDGE)
    if found is None or not found["runs"].rows():
        return shown.missing("no traces have been rated by rubrics (judge.runs)", "dvc repro judge")
    versus = {row.text("b"): row for row in found["comparisons"].rows()}
    rows = []
    for row in found["runs"].rows():
        run = row.text("run")
        interval = percent_range(row.number("low"), row.number("high")) if row.get("low") else "–"
        shares = [_share(row.number_or_none(key)) for key in ("acc_strict", "trace_quality", "score_per_run")]
        compared = versus.get(run)
        difference = (
            [points(compared.number("difference")), p_value(compared.number("p_holm"))] if compared else ["", ""]
        )
        counts = f"{row.count('failed')} of {row.count('ratings')}"
        rows.append([Cell(run), *cells(percent(row.number("score")), interval, *difference, *shares, counts)])
    columns = ["run", "score", "95 %", "Δ first", "p Holm", "accuracy", "right answers alone", "trimmed per run"]
    caption = (
        "Rubric scores in percent: a wrong answer is 0, a right one the share of rubric items that its trace meets"
    )
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead=f"Judged by {found.text('judge')}: {found.text('note')}.",
        tables=[Table(caption, [*columns, "ratings that failed"], rows)],
    )


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)
