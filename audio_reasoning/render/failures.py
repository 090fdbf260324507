"""The answers of one run that are not right, for a terminal and for Markdown: figures, then question by question.

Whatever a model or a question says is shown to the letter, never obeyed.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from audio_reasoning.core.records import Question
from audio_reasoning.core.shown import code_span, plain_text, printable
from audio_reasoning.metrics.errors.breakdowns import letter
from audio_reasoning.metrics.errors.failures import KINDS, Failure, by_kind
from audio_reasoning.metrics.errors.results import RunErrors
from audio_reasoning.render.report.answers import answer_part
from audio_reasoning.render.table import Table, cells, foreign, to_markdown, to_text
from audio_reasoning.render.tables import DASH, percent, percent_range

WIDTH = 110  # of a terminal's lines
THINKING_CHARS = 1_500  # shown of one answer in a terminal; a page has all of it
SELECTED_NOTE = (
    "A prompt that is changed by what fails here is selected on these questions: its accuracy on them is optimistic. "
    "What it is worth is for the test questions, once."
)


def as_text(run: RunErrors, failures: Sequence[Failure], media_root: Path, show: int) -> str:
    """All figures and the first `show` failures for a terminal; clips are below `media_root`."""
    parts = [_headline(run, failures), *map(to_text, _tables(run, failures))]
    parts += ["\n".join(_lines(failure, media_root)) for failure in failures[:show]]
    if len(failures) > show:
        parts.append(f"{len(failures) - show} more: --show {len(failures)}, or --out with a file for all of them")
    return "\n\n".join([*parts, textwrap.fill(SELECTED_NOTE, WIDTH)])


def as_markdown(run: RunErrors, failures: Sequence[Failure], media_root: Path) -> str:
    """All figures and all failures as a page."""
    parts = [f"# What fails under {plain_text(run.run)}", _headline(run, failures, plain=False), SELECTED_NOTE]
    parts += map(to_markdown, _tables(run, failures))
    for failure in failures:
        parts += _section(failure, media_root)
    return "\n\n".join(parts) + "\n"


def _headline(run: RunErrors, failures: Sequence[Failure], *, plain: bool = True) -> str:
    name = printable(run.run) if plain else plain_text(run.run)
    return (
        f"{name}: {percent(run.acc)} % right ({percent_range(run.low, run.high)}) of {run.n} questions, chance "
        f"{percent(run.chance)} %; {len(failures)} of {run.responses} answers fail"
    )


def _tables(run: RunErrors, failures: Sequence[Failure]) -> list[Table]:
    """Failures by kind, and by sub-category, the worst first."""
    kinds = [
        cells(kind, str(n), percent(n / run.responses if run.responses else None))
        for kind, n in by_kind(failures).items()
    ]
    counts = Counter((printable(failure.question.sub_category), failure.kind) for failure in failures)
    groups = [
        cells(
            foreign(row.name),
            *(str(row.n), percent(row.acc), percent_range(row.low, row.high)),
            *(str(counts[row.name, kind]) for kind in KINDS),
        )
        for row in run.of("sub_category")
    ]
    return [
        Table(["failure", "answers", "% of all"], kinds),
        Table(["sub-category", "questions", "accuracy", "95 %", *KINDS], groups),
    ]


def _title(failure: Failure) -> str:
    sample = f", sample {failure.response.sample_index}" if failure.response.sample_index else ""
    return f"{printable(failure.question.sub_category)}: {failure.kind}{sample}"


def _said(failure: Failure) -> tuple[str, str]:
    """What stands where a right answer should be: the choice taken, the error, or the words that give none."""
    question, response = failure.question, failure.response
    if response.answer is not None:
        return "chosen", _choice(question, response.answer)
    return ("error", response.error) if response.status == "error" else ("said", answer_part(response))


def _choice(question: Question, place: int) -> str:
    return f"{letter(place)}: {question.choices[place]}"


def _facts(failure: Failure, media_root: Path) -> Iterator[tuple[str, str]]:
    """What there is to know of a failure but its thinking, by its name."""
    question = failure.question
    yield "question", question.question
    yield "choices", " / ".join(_choice(question, place) for place in range(len(question.choices)))
    yield _said(failure)
    yield "right", _choice(question, question.answer)
    if question.audio.path:
        yield "clip", str(media_root / question.audio.path)


def _lines(failure: Failure, media_root: Path) -> Iterator[str]:
    yield f"{printable(failure.question.id)}  {_title(failure)}"
    thinking = failure.response.thinking
    left_out = len(thinking) - THINKING_CHARS
    if left_out > 0:
        half = THINKING_CHARS // 2
        thinking = f"{thinking[:half]} [… {left_out} characters, which --out has …] {thinking[-half:]}"
    for name, text in [*_facts(failure, media_root), ("thinking", thinking)]:
        yield textwrap.fill(printable(text) or DASH, WIDTH, initial_indent=f"  {name:9} ", subsequent_indent=" " * 12)


def _section(failure: Failure, media_root: Path) -> Iterator[str]:
    yield f"## {code_span(failure.question.id)} {plain_text(_title(failure))}"
    facts = _facts(failure, media_root)
    yield "\n".join(f"- {name}: {code_span(text) or DASH}" for name, text in facts)
    lines = [printable(line) for line in failure.response.thinking.splitlines()]
    yield "\n".join(["Thinking:", "", *(f"    {line}".rstrip() for line in lines)]) if lines else "No thinking."
