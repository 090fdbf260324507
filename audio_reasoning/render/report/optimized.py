"""The section on prompts that an optimiser found: what they say, what they are worth, and what the search took."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import EXPLORATORY, Judged, Metrics, Summary, existing_result
from audio_reasoning.render.comparison import accuracy, comparison_cells, delta, with_range
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import search_curves
from audio_reasoning.render.report.sections import Figure, Part, Section, browser_link, diff_of
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.table import Cell, Table, cells, foreign
from audio_reasoning.render.tables import DASH, percent

BANK = "bank"
TITLES = {"mipro": "MIPROv2", "gepa": "GEPA"}
OUTCOMES = {"found": "another prompt", "kept": "the start: nothing was better", "no proposal": "the start: no proposal"}
NOTES = (
    "The held-out questions are of dev too, but no search saw them: start and result were asked them once, at its end; "
    "p is exploratory there. What the result is worth is what it reaches on the test questions.",
    "Answers and tokens count those from the cache too. A cost that nobody tells is a dash.",
)
BANK_NOTE = (
    "Proposals by a bank: no model wrote them. The bank puts ready-made fragments together, which people wrote, and "
    "the search only chooses among such combinations."
)
SELECTED_ON = "validation, optimistic: selected on"
TESTED = ("Δ", "95 %", "interval", "p")
Searches = Mapping[str, Optimization]


def optimized_section(folder: Path, searches: Searches, summary_file: Path, scores_folder: Path) -> Section:
    """Each search: start and result, on which questions it is better by how much, and what that took."""
    section = Section("section-optimized", "Did optimising prompts help?", [str(folder), str(summary_file)])
    if not searches:
        return section.missing("no prompt has been optimised", "dvc repro optimize_prompt")
    summary = existing_result(summary_file, Summary)
    notes = [note for search in searches.values() for note in search.notes]
    notes = list(dict.fromkeys([*NOTES, *notes]))
    if any(search.proposer == BANK for search in searches.values()):
        notes.insert(0, BANK_NOTE)
    return replace(
        section,
        lead=_worth(searches),
        tables=[_scores(searches, summary, scores_folder), _made(searches), _taken(searches)],
        figures=[_curves(searches)],
        parts=[_texts(name, search) for name, search in searches.items()],
        notes=notes,
    )


def _worth(searches: Searches) -> str:
    told = [
        f"{name} {delta(search.heldout)}" if search.changed else f"{name} is its start again"
        for name, search in searches.items()
    ]
    return f"Points over the prompt that it started from, on questions held out of the search: {'; '.join(told)}."


def _made(searches: Searches) -> Table:
    rows = []
    for name, search in searches.items():
        refused = ", ".join(f"{n} {reason}" for reason, n in search.refused.items()) or "none"
        words = cells(TITLES[search.optimizer], foreign(search.proposer), search.start, OUTCOMES[search.outcome])
        rows.append([Cell(name), *words, Cell(str(len(search.candidates) - 1)), foreign(refused)])
    columns = ["prompt", "optimiser", "proposals by", "start", "ended with", "tried", "refused"]
    caption = "How each prompt was looked for: instructions tried beside the start’s, and proposals that were refused"
    return Table(columns, rows, ["optimiser", "proposals by", "start", "ended with", "refused"], caption)


def _scores(searches: Searches, summary: Summary | None, scores_folder: Path) -> Table:
    """Start and result on the questions that selected, on those held out, and on the test questions."""
    rows = []
    for name, search in searches.items():
        validation, heldout = search.validation, search.heldout
        selected = [accuracy(validation.start), accuracy(validation.result)]
        held_out = [of_questions(acc, heldout.n) for acc in (heldout.acc_a, heldout.acc_b)]
        on_test = [existing_result(scores_folder / f"{one}.json", Metrics) for one in (search.start, name)]
        compared = summary.between(search.start, name) if summary else None
        asked = str(on_test[1].n) if on_test[1] else DASH
        link = browser_link(a=search.start, b=name) if on_test[1] else ""
        rows += [
            cells(name, SELECTED_ON, str(validation.result.n), *selected, *[""] * len(TESTED), ""),
            [
                *cells(name, "held out", str(heldout.n), *held_out),
                *comparison_cells(heldout, *TESTED),
                Cell(EXPLORATORY),
            ],
            [Cell(name, link=link), *cells("test", asked, *map(_accuracy, on_test)), *_judged(compared, on_test)],
        ]
    columns = ["prompt", "questions", "n", "start", "result", "Δ", "95 %", "interval", "p", "verdict"]
    caption = "Accuracy of start and result in percent, in brackets 95 % intervals; Δ in points"
    return Table(columns, rows, ["questions", "verdict"], caption)


def _accuracy(metrics: Metrics | None) -> str:
    return with_range(metrics.acc_strict, metrics.overall.low, metrics.overall.high) if metrics else DASH


def _judged(row: Judged | None, on_test: Sequence[Metrics | None]) -> list[Cell]:
    if row is None:
        return cells(*[""] * len(TESTED), "not compared" if all(on_test) else "not asked")
    return comparison_cells(row, *TESTED[:-1], "decisive p", "verdict in words")


def _taken(searches: Searches) -> Table:
    rows = []
    for name, search in searches.items():
        used = search.usage
        tokens = used.proposer_prompt_tokens + used.proposer_completion_tokens
        counts = (used.answers, used.prompt_tokens, used.completion_tokens, used.proposer_calls, tokens)
        rows.append(cells(name, *(f"{n:,}" for n in counts), DASH if used.cost is None else f"{used.cost:.2f}"))
    columns = ["prompt", "answers", "tokens read", "tokens written", "proposer’s calls", "proposer’s tokens", "cost"]
    return Table(columns, rows, caption="What each search took")


def _curves(searches: Searches) -> Figure:
    rows: list[dict[str, Any]] = []
    lines = []
    for name, search in searches.items():
        for trial in search.trials:
            point = {"series": name, "x": trial.answers, "best": trial.best}
            rows.append({**point, "score": trial.score if trial.whole else None})
            label = search.candidates[trial.candidate].label
            score, best = percent(trial.score), percent(trial.best)
            lines.append(cells(name, str(trial.number), foreign(label), score, str(trial.questions), best))
            lines[-1].append(Cell(f"{trial.answers:,}"))
    caption = (
        "The best validation accuracy by the answers that the search had taken: optimistic, since it is selected on. "
        "Dots: candidates that were tried on all validation questions."
    )
    ends = [
        f"{name} from {percent(search.validation.start.acc)} % to {percent(search.validation.result.acc)} %"
        for name, search in searches.items()
    ]
    columns = ["prompt", "trial", "candidate", "score", "questions", "best so far", "answers"]
    table = Table(columns, lines, ["candidate"], "Every trial: accuracy in percent on so many questions")
    return Figure(caption, draw(search_curves(rows), f"Best accuracy of each search so far: {', '.join(ends)}."), table)


def _texts(name: str, search: Optimization) -> Part:
    """The system text of start and result."""
    before, after = (search.candidates[place].instruction for place in (0, search.chosen))
    caption = (
        f"The system text of {search.start} (−) and of {name} (+)" if search.changed else "The start’s system text"
    )
    return Part(f"{name}: what it says", [], [], folded=True, diffs=[diff_of(caption, before, after)])
