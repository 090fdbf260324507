"""The table of `compare_rest`, for a terminal and for Markdown."""

from dataclasses import dataclass
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import BASE
from audio_reasoning.render.compare_table import starred
from audio_reasoning.render.tables import markdown_table, p_value, percent, percent_range, points_range, text_table

LEGEND = """\
{n} questions; percent, and for Δ, its interval and ±80 % points. *: better or worse, which takes p below 0.05, adjusted
over all comparisons of its column (Holm), and an interval without zero. ±80 %: the smallest true difference that 80 %
of such comparisons find. ↑ ↓: how many sub-categories rise and fall significantly (Benjamini-Hochberg over
the {groups} of them). Δ from: with the iteration that it started from."""
HEADER = ["strict", "95 %", "Δ base", "95 %", "p", "p Holm", "±80 %", "↑", "↓", "Δ from", "95 %"]
MARKDOWN_LEGEND = """\
{n} questions; accuracy in percent, Δ in points, with 95 % intervals. *: better or worse, which takes p below 0.05,
adjusted over all comparisons of its column (Holm), and an interval without zero. ↑ ↓: sub-categories that rise and fall
significantly (Benjamini-Hochberg over the {groups} of them)."""
MARKDOWN_HEADER = ["prompt", "model", "accuracy", "Δ base", "p Holm", "↑", "↓", "Δ from", "gate"]

Metrics = dict[tuple[str, str], dict[str, Any]]  # by model and prompt: what `score` wrote


@dataclass(frozen=True)
class Line:
    """A model under a prompt: its row over all questions, and its comparisons, as they are in the summary."""

    model: str
    prompt: str
    overall: dict[str, Any]
    versus_base: dict[str, Any] | None
    versus_start: dict[str, Any] | None  # None too where it started from the base


def table(metrics: Metrics, summary: dict[str, Any]) -> str:
    """The comparison for a terminal: a block for each prompt, a line for each model, and the gate's verdicts."""
    rows: list[list[str] | str] = []
    for line in _lines(metrics, summary):
        rows += [line.prompt] if line.model == BASE else []
        overall, versus, start = line.overall, line.versus_base, line.versus_start
        cells = [f"  {line.model}", percent(overall["acc_strict"]), percent_range(overall["low"], overall["high"])]
        cells += [*_versus_cells(versus), _count(versus["rise"]), _count(versus["fall"])] if versus else [""] * 7
        cells += [f"{start['a']} {starred(start)}", points_range(start["low"], start["high"])] if start else [""] * 2
        rows.append(cells)
    gate = [f"{row['iteration']}, from {row['from']}: {_verdict(row)}; {_reason(row)}" for row in summary["gate"]]
    return "\n".join([text_table(["model", *HEADER], rows), "", *gate, "", *_notes(LEGEND, metrics, summary)])


def markdown(metrics: Metrics, summary: dict[str, Any]) -> str:
    """The comparison as a Markdown table, with fewer figures, and what to keep in mind about it."""
    verdicts = {row["iteration"]: _verdict(row) for row in summary["gate"]}
    rows = []
    for line in _lines(metrics, summary):
        overall, versus, start = line.overall, line.versus_base, line.versus_start
        accuracy = f"{percent(overall['acc_strict'])} ({percent_range(overall['low'], overall['high'])})"
        cells = [line.prompt, line.model, accuracy]
        if versus:
            cells += [_difference(versus), p_value(versus["p_holm"]), _count(versus["rise"]), _count(versus["fall"])]
        else:
            cells += [""] * 4
        rows.append([*cells, f"{start['a']} {_difference(start)}" if start else "", verdicts.get(line.model, "")])
    return "\n".join([markdown_table(MARKDOWN_HEADER, rows), "", *_notes(MARKDOWN_LEGEND, metrics, summary)])


def _lines(metrics: Metrics, summary: dict[str, Any]) -> list[Line]:
    """All models under the first prompt, the base first, then all under the second, and so on."""
    starts = {verdict["iteration"]: verdict["from"] for verdict in summary["gate"]}
    base = {(row["prompt"], row["b"]): row for row in summary["versus_base"]}
    predecessor = {(row["prompt"], row["b"]): row for row in summary["versus_predecessor"]}
    lines = []
    for prompt in dict.fromkeys(prompt for _, prompt in metrics):
        for model in dict.fromkeys(model for model, _ in metrics):
            if model != BASE and (prompt, model) not in base:
                raise UserError(
                    f"metrics/rest/summary.json does not compare {model} under {prompt}, which params.yaml lists: "
                    "it is out of date; `dvc repro` mends it"
                )
            overall = metrics[model, prompt]["detail"][0]
            start = predecessor[prompt, model] if starts.get(model, BASE) != BASE else None
            lines.append(Line(model, prompt, overall, base.get((prompt, model)), start))
    return lines


def _versus_cells(row: dict[str, Any]) -> list[str]:
    interval = points_range(row["low"], row["high"])
    return [starred(row), interval, p_value(row["p"]), p_value(row["p_holm"]), percent(row["detectable"])]


def _difference(row: dict[str, Any]) -> str:
    return f"{starred(row).strip()} ({points_range(row['low'], row['high'])})"


def _count(names: list[str]) -> str:
    return str(len(names))


def _verdict(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"refused by {row['refused']['stage']}, so it is the model of {row['from']}"
    return f"accepted at scale {row['scale']:g}" if row["accepted"] else "rejected"


def _reason(row: dict[str, Any]) -> str:
    """Why, and of a refusal what could be done about it."""
    told = [row["reason"]]
    if "refused" in row:
        told.append(f"ways out: {'; '.join(row['refused']['ways_out'])}")
    return "; ".join(told)


def _notes(legend: str, metrics: Metrics, summary: dict[str, Any]) -> list[str]:
    values = next(iter(metrics.values()))
    told = f"profile {summary['profile']}; preset {summary['preset']}; seed {summary['seed']}"
    return [legend.format(n=values["n"], groups=len(values["sub_category"])), told, *summary["notes"]]
