"""The error analysis as Markdown. Whatever a model or a question says is shown to the letter, never obeyed."""

from collections.abc import Iterator, Sequence
from typing import Any

from audio_reasoning.core.shown import code_span, plain_text
from audio_reasoning.metrics.scoring import FATES
from audio_reasoning.render.tables import DASH, markdown_table, percent, percent_range, text_table

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


def markdown(analysis: dict[str, Any]) -> str:
    """The whole analysis as a Markdown page."""
    runs = analysis["runs"]
    parts = ["# Where the answers go wrong", LEGEND, *analysis["notes"]]
    parts += ["## Runs", _runs_table(runs)]
    parts += ["## Sub-categories, the hardest first", _sub_categories(runs)]
    parts += [*_hardest(analysis)]
    for run in runs:
        parts += [f"## {plain_text(run['run'])}", *_run(run, analysis["params"][0])]
    return "\n\n".join(parts) + "\n"


def overview(analysis: dict[str, Any]) -> str:
    """One line a run, for a terminal."""
    rows = [_run_cells(run) for run in analysis["runs"]]
    alike = f"{percent(analysis['none_right'])} % of questions are right in no run, {percent(analysis['all_right'])} %"
    return "\n".join([text_table(RUN_HEADER, rows), "", f"{alike} in every one", *analysis["notes"]])


def _run_cells(run: dict[str, Any]) -> list[str]:
    thinking, counts = run["thinking"], run["counts"]
    second_thoughts = [value for value in thinking["per_1000_words"].values() if value is not None]
    return [
        run["run"],
        percent(run["acc"]),
        _interval(run),
        *(percent(row["share"]) for row in run["invalid"]),
        percent(thinking["looping"]["share"]),
        f"{sum(second_thoughts):.2f}" if second_thoughts else DASH,
        DASH if counts["mean_error"] is None else f"{counts['mean_error']:+.2f}",
    ]


def _runs_table(runs: Sequence[dict[str, Any]]) -> str:
    rows = [_run_cells(run) for run in runs]
    return "\n\n".join([markdown_table(RUN_HEADER, [[plain_text(row[0]), *row[1:]] for row in rows]), RUN_NOTES])


def _sub_categories(runs: Sequence[dict[str, Any]]) -> str:
    by_run = [{row["name"]: row for row in run["groups"] if row["by"] == "sub_category"} for run in runs]
    means = {name: sum(rows[name]["acc"] for rows in by_run) / len(runs) for name in by_run[0]}
    table = [
        [
            plain_text(name),
            str(by_run[0][name]["n"]),
            percent(by_run[0][name]["chance"]),
            percent(means[name]),
            *(percent(rows[name]["acc"]) for rows in by_run),
        ]
        for name in sorted(means, key=lambda name: means[name])
    ]
    header = ["sub-category", "n", "chance", "mean", *(plain_text(run["run"]) for run in runs)]
    return markdown_table(header, table)


def _hardest(analysis: dict[str, Any]) -> Iterator[str]:
    hardest = analysis["hardest"]
    yield "## Questions that no run gets right" if len(analysis["runs"]) > 1 else "## Questions never answered right"
    yield (
        f"{len(hardest)} of {analysis['questions']} ({percent(analysis['none_right'])} %), against "
        f"{percent(analysis['all_right'])} % that are always right. First those where most responses agree on the "
        "same wrong choice: a question whose label is wrong looks like that too."
    )
    if hardest:
        rows = [
            [
                code_span(row["id"]),
                plain_text(row["sub_category"]),
                code_span(row["question"]),
                code_span(row["right"]),
                code_span(row["chosen"] or "") or DASH,
                f"{row['times']} of {row['responses']}",
            ]
            for row in hardest[:HARDEST]
        ]
        header = ["id", "sub-category", "question", "right", "chosen most", "by"]
        yield markdown_table(header, rows, words=header[:-1])


def _run(run: dict[str, Any], params: dict[str, int]) -> Iterator[str]:
    yield (
        f"{percent(run['acc'])} % ({_interval(run)}) of {run['n']} questions, {run['responses']} responses; "
        f"chance {percent(run['chance'])} %."
    )
    worst = [row for row in run["groups"] if row["by"] == "sub_category"][:WORST]
    yield "### Worst sub-categories"
    yield markdown_table(
        ["sub-category", "n", "accuracy", "95 %", "chance"],
        [
            [plain_text(row["name"]), str(row["n"]), percent(row["acc"]), _interval(row), percent(row["chance"])]
            for row in worst
        ],
    )
    yield "### By question and length"
    header = ["by", "group", "n", "accuracy", "95 %", "chance", "cut", "none", "err", "chosen"]
    yield markdown_table(header, list(_breakdown(run)), words=["group"])
    yield (
        "`cut`, `none` and `err`: percent of the group's responses that were truncated, held no answer or failed. "
        "`chosen`: percent of all responses that choose that position."
    )
    yield "### Counting"
    yield from _counting(run["counts"])
    yield "### Thinking"
    yield from _thinking(run["thinking"], params)
    yield "### Answers"
    yield from _answers(run)


def _breakdown(run: dict[str, Any]) -> Iterator[list[str]]:
    rows = [row for row in run["groups"] if row["by"] in BY] + run["thinking_length"]
    for before, row in zip([None, *rows], rows, strict=False):
        by = "" if before and before["by"] == row["by"] else BY[row["by"]]
        chosen = run["chosen_positions"].get(row["name"], 0.0) if row["by"] == "right_position" else None
        cells = [
            str(row["n"]),
            percent(row["acc"]),
            _interval(row),
            percent(row["chance"]) if "chance" in row else "",
            *(percent(row[fate]) for fate in FATES),
            "" if chosen is None else percent(chosen),
        ]
        yield [by, plain_text(row["name"]), *cells]


def _counting(counts: dict[str, Any]) -> Iterator[str]:
    if not counts["n"]:
        yield "No question has numbers as its choices."
        return
    error = "no valid answer" if counts["mean_error"] is None else f"{counts['mean_error']:+.2f} on average"
    yield (
        f"Of {counts['n']} answers to questions of how many, {percent(counts['accuracy'])} % are right, "
        f"{percent(counts['too_few'])} % too few and {percent(counts['too_many'])} % too many ({error}). "
        f"Of {counts['wrong']} wrong ones, {percent(counts['off_by_one'])} % are off by one."
    )
    cells = {(row["right"], row["chosen"]): row["n"] for row in counts["confusion"]}
    columns: list[int | None] = sorted({n for key in cells for n in key if n is not None})
    columns += [None] if any(chosen is None for _, chosen in cells) else []
    yield markdown_table(
        ["right ↓ chosen →", *("no answer" if n is None else str(n) for n in columns)],
        [
            [str(right), *(_count(cells.get((right, n), 0), right == n) for n in columns)]
            for right in sorted({right for right, _ in cells})
        ],
    )


def _count(n: int, right: bool) -> str:
    return f"**{n}**" if right else str(n or "·")


def _thinking(thinking: dict[str, Any], params: dict[str, int]) -> Iterator[str]:
    said = ", ".join(f"“{word}” {DASH if n is None else n}" for word, n in thinking["per_1000_words"].items())
    mean = DASH if thinking["mean_words"] is None else f"{thinking['mean_words']:g}"
    yield f"{mean} words a response. In 1,000 words: {said}."
    yield (f"Thinking loops where the same {params['loop_ngram']} words occur {params['loop_repeats']} times or more.")
    rows = [
        [name, str(row["n"]), percent(row["share"]), percent(row["acc"]), _interval(row), percent(row["truncated"])]
        for name, row in (("looping", thinking["looping"]), ("not looping", thinking["others"]))
    ]
    yield markdown_table(["thinking", "responses", "share", "accuracy", "95 %", "truncated"], rows)
    if thinking["loops"]:
        examples = [[code_span(row["id"]), code_span(row["words"]), str(row["times"])] for row in thinking["loops"]]
        yield markdown_table(["id", "repeats", "times"], examples[:EXAMPLES], words=["repeats"])


def _answers(run: dict[str, Any]) -> Iterator[str]:
    yield markdown_table(
        ["read by the rule", "responses", "share", "accuracy", "95 %"],
        [
            [code_span(row["name"]), str(row["n"]), percent(row["share"]), percent(row["acc"]), _interval(row)]
            for row in run["rules"]
        ],
    )
    examples = [
        [
            row["status"].replace("_", " "),
            str(row["n"]),
            *(code_span(example[key]) for key in ("id", "rule", "text", "choices")),
        ]
        for row in run["invalid"]
        for example in row["examples"][:EXAMPLES]
    ]
    if examples:
        yield f"Without a valid answer, the first {EXAMPLES} of each kind:"
        header = ["status", "of", "id", "rule", "what it says", "choices"]
        yield markdown_table(header, examples, words=header[2:])
    else:
        yield "Every response has a valid answer."


def _interval(row: dict[str, Any]) -> str:
    return percent_range(row["low"], row["high"])
