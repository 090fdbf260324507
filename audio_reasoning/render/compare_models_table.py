"""The table of `compare_models`, for a terminal and for Markdown."""

from collections.abc import Iterator
from typing import NamedTuple

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import BASE
from audio_reasoning.metrics import results
from audio_reasoning.metrics.results import Accuracy
from audio_reasoning.metrics.training_results import Gate, ModelComparison, TrainingSummary, VersusBase
from audio_reasoning.render.comparison import comparison_cells, with_range
from audio_reasoning.render.table import Cell, Table, cells, to_markdown, to_text
from audio_reasoning.render.tables import percent, percent_range, points, points_range

LEGEND = """\
{n} questions; percent, and for Δ, its interval and ±80 % points. *: better or worse, which takes p below 0.05, adjusted
over all comparisons of its column (Holm), and an interval without zero. ±80 %: the smallest true difference that 80 %
of such comparisons find. ↑ ↓: how many sub-categories rise and fall significantly (Benjamini-Hochberg over
the {groups} of them). Δ from: with the model that it started from."""
HEADER = ["strict", "95 %", "Δ base", "95 %", "p", "p Holm", "±80 %", "↑", "↓", "Δ from", "95 %"]
MARKDOWN_LEGEND = """\
{n} questions; accuracy in percent, Δ in points, with 95 % intervals. *: better or worse, which takes p below 0.05,
adjusted over all comparisons of its column (Holm), and an interval without zero. ↑ ↓: sub-categories that rise and fall
significantly (Benjamini-Hochberg over the {groups} of them)."""
MARKDOWN_HEADER = ["prompt", "model", "accuracy", "Δ base", "p Holm", "↑", "↓", "Δ from", "gate"]

Metrics = dict[tuple[str, str], results.Metrics]  # by model and prompt: what `score` wrote


class Line(NamedTuple):
    """A model under a prompt: its row over all questions, and its comparisons, as they are in the summary."""

    model: str
    prompt: str
    overall: Accuracy
    base: VersusBase | None
    start: ModelComparison | None  # None too where it started from the base

    @property
    def changes(self) -> list[str]:
        """How many sub-categories rise and fall significantly."""
        return [str(len(self.base.rise)), str(len(self.base.fall))] if self.base else ["", ""]


def table(metrics: Metrics, summary: TrainingSummary) -> str:
    """The comparison for a terminal: a block for each prompt, a line for each model, and the gate's verdicts."""
    rows: list[list[Cell] | str] = []
    for line in _lines(metrics, summary):
        overall, start = line.overall, line.start
        rows += [line.prompt] if line.model == BASE else []
        tested = comparison_cells(line.base, "Δ*", "95 %", "p", "p Holm", "±80 %")
        change = Cell(f"{start.a} {points(start.difference)}", significant=start.decided) if start else Cell()
        accuracy = cells(percent(overall.acc_strict), percent_range(overall.low, overall.high))
        figures = [*accuracy, *tested, *cells(*line.changes), change, *comparison_cells(start, "95 %")]
        rows.append(cells(f"  {line.model}", *figures))
    gate = [f"{row.model}, from {row.start}: {_verdict(row)}; {_reason(row)}" for row in summary.gate]
    return "\n".join([to_text(Table(["model", *HEADER], rows)), "", *gate, "", *_notes(LEGEND, metrics, summary)])


def markdown(metrics: Metrics, summary: TrainingSummary) -> str:
    """The comparison as a Markdown table, with fewer figures, and what to keep in mind about it."""
    verdicts = {row.model: _verdict(row) for row in summary.gate}
    rows = []
    for line in _lines(metrics, summary):
        overall = line.overall
        accuracy = with_range(overall.acc_strict, overall.low, overall.high)
        tested = cells(_difference(line.base), *comparison_cells(line.base, "p Holm"), *line.changes)
        change = f"{line.start.a} {_difference(line.start)}" if line.start else ""
        rows.append(cells(line.prompt, line.model, accuracy, *tested, change, verdicts.get(line.model, "")))
    return to_markdown(Table(MARKDOWN_HEADER, rows, notes=_notes(MARKDOWN_LEGEND, metrics, summary)))


def _lines(metrics: Metrics, summary: TrainingSummary) -> Iterator[Line]:
    """All models under the first prompt, the base first, then all under the second, and so on."""
    starts = {verdict.model: verdict.start for verdict in summary.gate}
    base = {(row.prompt, row.b): row for row in summary.versus_base}
    predecessor = {(row.prompt, row.b): row for row in summary.versus_predecessor}
    for prompt in dict.fromkeys(prompt for _, prompt in metrics):
        for model in dict.fromkeys(model for model, _ in metrics):
            if model != BASE and (prompt, model) not in base:
                raise UserError(
                    f"metrics/training/summary.json does not compare {model} under {prompt}, which params.yaml lists: "
                    "it is out of date; `dvc repro` mends it"
                )
            start = predecessor[prompt, model] if starts.get(model, BASE) != BASE else None
            yield Line(model, prompt, metrics[model, prompt].overall, base.get((prompt, model)), start)


def _difference(row: ModelComparison | None) -> str:
    return f"{points(row.difference)}{'*' if row.decided else ''} ({points_range(row.low, row.high)})" if row else ""


def _verdict(row: Gate) -> str:
    if row.refused:
        return f"refused by {row.refused.stage}, so it is the model of {row.start}"
    return f"accepted at scale {row.scale:g}" if row.accepted else "rejected"


def _reason(row: Gate) -> str:
    """Why, and of a refusal what could be done about it."""
    return f"{row.reason}; ways out: {'; '.join(row.refused.ways_out)}" if row.refused else row.reason


def _notes(legend: str, metrics: Metrics, summary: TrainingSummary) -> list[str]:
    values = next(iter(metrics.values()))
    made_by = f"profile {summary.profile}; preset {summary.preset}"
    return [legend.format(n=values.n, groups=len(values.sub_category)), made_by, *summary.notes]
