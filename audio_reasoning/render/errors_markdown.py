"""The error analysis as Markdown. Whatever a model or a question says is shown to the letter, never obeyed."""

from collections.abc import Iterator, Sequence
from typing import Any

from audio_reasoning.core.shown import plain_text
from audio_reasoning.metrics.errors.results import (
    Counts,
    ErrorAnalysis,
    Limits,
    QuestionGroup,
    ResponseGroup,
    RunErrors,
    Thinking,
)
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.table import Cell, Table, cells, code, foreign, to_markdown, to_text
from audio_reasoning.render.tables import DASH, percent, percent_range

WORST = 5  # sub-categories shown for each run
HARDEST = 25  # questions shown that no run gets right
EXAMPLES = 5  # shown of each kind of failure
LEGEND = (
    "Accuracy is strict, in percent of all questions, with Wilson's 95 % interval; `n` counts questions. Truncated, "
    "unanswered and failed responses are wrong. `chance` is what guessing would get."
)
RUN_NOTES = (
    "`cut`, `none` and `err`: percent of responses that were truncated, held no answer or failed; `missing`: percent "
    "of questions without a prediction. `looping`: percent of responses whose thinking repeats itself. `second "
    "thoughts`: “wait”, “actually” and “hmm” in 1,000 words of thinking. `count error`: the chosen number minus the "
    "right one where the choices are counts, on average."
)
RUN_HEADER = ["run", "accuracy", "95 %", "cut", "none", "err", "missing", "looping", "second thoughts", "count error"]
BY = {
    "modality": "modality",
    "language": "language",
    "choices": "number of choices",
    "clip_length": "clip",
    "right_position": "right answer at",
    "thinking_length": "thinking, characters",
}


def markdown(analysis: ErrorAnalysis) -> str:
    """The whole analysis as a Markdown page."""
    runs = analysis.runs
    parts = ["# Where the answers go wrong", LEGEND, *analysis.notes]
    parts += ["## Runs", to_markdown(_runs_table(runs)), RUN_NOTES]
    parts += ["## Sub-categories, the hardest first", to_markdown(_sub_categories(runs))]
    parts += [*_hardest(analysis)]
    for run in runs:
        parts += [f"## {plain_text(run.run)}", *_run(run, analysis.params[0])]
    return "\n\n".join(parts) + "\n"


def overview(analysis: ErrorAnalysis) -> str:
    """One line a run, for a terminal."""
    alike = f"{percent(analysis.none_right)} % of questions are right in no run, {percent(analysis.all_right)} %"
    return "\n".join([to_text(_runs_table(analysis.runs)), "", f"{alike} in every one", *analysis.notes])


def _runs_table(runs: Sequence[RunErrors]) -> Table:
    rows = []
    for run in runs:
        rates = [rate for rate in run.thinking.per_1000_words.values() if rate is not None]
        error = run.counts.mean_error
        figures = [*_accuracy(run), *(percent(row.share) for row in run.invalid), percent(run.thinking.looping.share)]
        figures += [f"{sum(rates):.2f}" if rates else DASH, DASH if error is None else f"{error:+.2f}"]
        rows.append(cells(foreign(run.run), *figures))
    return Table(RUN_HEADER, rows)


def _accuracy(row: Any) -> list[str]:
    return [percent(row.acc), percent_range(row.low, row.high)]


def _sub_categories(runs: Sequence[RunErrors]) -> Table:
    by_run = [{row.name: row for row in run.of("sub_category")} for run in runs]
    means = {name: sum(rows[name].acc or 0.0 for rows in by_run) / len(runs) for name in by_run[0]}
    rows = [
        cells(
            foreign(name),
            str(by_run[0][name].n),
            *(percent(by_run[0][name].chance), percent(means[name])),
            *(percent(rows[name].acc) for rows in by_run),
        )
        for name in sorted(means, key=means.__getitem__)
    ]
    return Table(["sub-category", "n", "chance", "mean", *(foreign(run.run) for run in runs)], rows)


def _hardest(analysis: ErrorAnalysis) -> Iterator[str]:
    hardest = analysis.hardest
    yield "## Questions that no run gets right" if len(analysis.runs) > 1 else "## Questions never answered right"
    yield (
        f"{len(hardest)} of {analysis.questions} ({percent(analysis.none_right)} %), against "
        f"{percent(analysis.all_right)} % that are always right. First those where most responses agree on the "
        "same wrong choice: a question whose label is wrong looks like that too."
    )
    if hardest:
        rows = [
            cells(
                code(row.id),
                foreign(row.sub_category),
                *(code(row.question), code(row.right), code(row.chosen) if row.chosen else DASH),
                f"{row.times} of {row.responses}",
            )
            for row in hardest[:HARDEST]
        ]
        header = ["id", "sub-category", "question", "right", "chosen most", "by"]
        yield to_markdown(Table(header, rows, words=header[:-1]))


def _run(run: RunErrors, limits: Limits) -> Iterator[str]:
    yield (
        f"{percent(run.acc)} % ({percent_range(run.low, run.high)}) of {run.n} questions, {run.responses} responses; "
        f"chance {percent(run.chance)} %."
    )
    yield "### Worst sub-categories"
    worst = [
        cells(foreign(row.name), str(row.n), *_accuracy(row), percent(row.chance))
        for row in run.of("sub_category")[:WORST]
    ]
    yield to_markdown(Table(["sub-category", "n", "accuracy", "95 %", "chance"], worst))
    yield "### By question and length"
    header = ["by", "group", "n", "accuracy", "95 %", "chance", "cut", "none", "err", "chosen"]
    yield to_markdown(Table(header, list(_breakdown(run)), words=["group"]))
    yield (
        "`cut`, `none` and `err`: percent of the group's responses that were truncated, held no answer or failed. "
        "`chosen`: percent of all responses that choose that position."
    )
    yield "### Counting"
    yield from _counting(run.counts)
    yield "### Thinking"
    yield from _thinking(run.thinking, limits)
    yield "### Answers"
    yield from _answers(run)


def _breakdown(run: RunErrors) -> Iterator[list[Cell]]:
    before = ""
    rows: list[QuestionGroup | ResponseGroup] = [row for row in run.groups if row.by in BY]
    for row in [*rows, *run.thinking_length]:
        chosen = percent(run.chosen_positions.get(row.name, 0.0)) if row.by == "right_position" else ""
        chance = percent(row.chance) if isinstance(row, QuestionGroup) else ""
        fates = [percent(getattr(row, fate)) for fate in FATES]
        by = "" if row.by == before else BY[row.by]
        yield cells(by, foreign(row.name), str(row.n), *_accuracy(row), chance, *fates, chosen)
        before = row.by


def _counting(counts: Counts) -> Iterator[str]:
    if not counts.n:
        yield "No question has numbers as its choices."
        return
    error = "no valid answer" if counts.mean_error is None else f"{counts.mean_error:+.2f} on average"
    yield (
        f"Of {counts.n} answers to questions of how many, {percent(counts.accuracy)} % are right, "
        f"{percent(counts.too_few)} % too few and {percent(counts.too_many)} % too many ({error}). "
        f"Of {counts.wrong} wrong ones, {percent(counts.off_by_one)} % are off by one."
    )
    times = {(row.right, row.chosen): row.n for row in counts.confusion}
    columns: list[int | None] = [*sorted({n for key in times for n in key if n is not None})]
    columns += [None] if any(chosen is None for _, chosen in times) else []
    rows = [
        [Cell(str(right)), *(_count(times.get((right, n), 0), right == n) for n in columns)]
        for right in sorted({right for right, _ in times})
    ]
    yield to_markdown(Table(["right ↓ chosen →", *("no answer" if n is None else str(n) for n in columns)], rows))


def _count(n: int, right: bool) -> Cell:
    return Cell(str(n) if right else str(n or "·"), significant=right)


def _thinking(thinking: Thinking, limits: Limits) -> Iterator[str]:
    frequencies = ", ".join(f"“{word}” {DASH if n is None else n}" for word, n in thinking.per_1000_words.items())
    mean = DASH if thinking.mean_words is None else f"{thinking.mean_words:g}"
    yield f"{mean} words a response. In 1,000 words: {frequencies}."
    yield f"Thinking loops where the same {limits.loop_ngram} words occur {limits.loop_repeats} times or more."
    rows = [
        [name, str(row.n), percent(row.share), *_accuracy(row), percent(row.truncated)]
        for name, row in (("looping", thinking.looping), ("not looping", thinking.others))
    ]
    yield to_markdown(Table(["thinking", "responses", "share", "accuracy", "95 %", "truncated"], rows))
    if thinking.loops:
        examples = [cells(code(loop.id), code(loop.words), str(loop.times)) for loop in thinking.loops[:EXAMPLES]]
        yield to_markdown(Table(["id", "repeats", "times"], examples, words=["repeats"]))


def _answers(run: RunErrors) -> Iterator[str]:
    rules = [cells(code(row.name), str(row.n), percent(row.share), *_accuracy(row)) for row in run.rules]
    yield to_markdown(Table(["read by the rule", "responses", "share", "accuracy", "95 %"], rules))
    examples = [
        cells(row.status.replace("_", " "), str(row.n), *map(code, (one.id, one.rule, one.text, one.choices)))
        for row in run.invalid
        for one in row.examples[:EXAMPLES]
    ]
    if examples:
        yield f"Without a valid answer, the first {EXAMPLES} of each kind:"
        header = ["status", "of", "id", "rule", "what it says", "choices"]
        yield to_markdown(Table(header, examples, words=header[2:]))
    else:
        yield "Every response has a valid answer."
