"""Sections on trained models: what they gained, what the gate said, and what there was to learn from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_reasoning.metrics.results import existing_result
from audio_reasoning.metrics.training_results import GateOutcome, ModelRow, PassRateRow, TrainingSummary
from audio_reasoning.render.comparison import delta
from audio_reasoning.render.report.comparisons import COLUMNS, versus_cells
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import model_panels, pass_rates
from audio_reasoning.render.report.panels import alt_text, panel_rows, pivot
from audio_reasoning.render.report.sections import Figure, Section, browser_link
from audio_reasoning.render.report.shares import of_questions
from audio_reasoning.render.report.vega import names_in
from audio_reasoning.render.table import Cell, Table, cells
from audio_reasoning.render.tables import MINI_NOTE


def models_section(folder: Path) -> Section:
    """What each model gained, what the gate said of it, and accuracy by sub-category; `folder` has the metrics."""
    files = [str(folder / name) for name in ("summary.json", "compare.json", "gates")]
    section = Section("section-models", "Did training help?", files)
    summary = existing_result(folder / "summary.json", TrainingSummary)
    compare = existing_result(folder / "compare.json", list[ModelRow])
    if summary is None or compare is None or not summary.versus_base:
        return section.missing("no trained models have been compared", "dvc repro compare_models")
    rows = panel_rows(compare, ("model", "prompt"))
    for row in rows:
        row["member"] = f"{row['model']}/{row['prompt']}"
    figure = Figure(
        "Accuracy by model, sub-category and prompt, with 95 % intervals (questions in brackets).",
        draw(model_panels(rows), alt_text(rows, "member")),
        pivot(rows, "member", "Accuracy in percent by sub-category, model and prompt"),
    )
    leaves = [row for row in summary.versus_base if row.b in summary.leaves]
    gains = [f"{row.b} {delta(row)} under {row.prompt}, {row.verdict}" for row in leaves]
    return replace(
        section,
        lead=f"Points over the base model (preset {summary.preset}): {'; '.join(gains)}.",
        tables=[_versus_base(summary), _gates(summary, folder / "gates")],
        figures=[figure],
        notes=[note for note in summary.notes if note != MINI_NOTE],
    )


def _versus_base(summary: TrainingSummary) -> Table:
    rows = []
    for row in summary.versus_base:
        run = f"{row.b}/{row.prompt}"
        name = Cell(run, link=browser_link(a=row.prompt, b=run))
        changes = cells(str(len(row.rise)), str(len(row.fall)))
        rows.append([name, *versus_cells(row, row.prompt, run), *changes])
    caption = (
        "Each model against the base model under the same prompt; sub-categories that rise and fall significantly, "
        "by Benjamini-Hochberg over all of them"
    )
    return Table(["model and prompt", "Δ base", *COLUMNS[1:], "rise", "fall"], rows, ["verdict"], caption)


def _gates(summary: TrainingSummary, folder: Path) -> Table:
    rows = []
    for listed in summary.gate:
        gate = existing_result(folder / f"{listed.model}.json", GateOutcome) or GateOutcome(
            accepted=listed.accepted, scale=listed.scale, reason=listed.reason, refused=listed.refused
        )
        word = f"accepted at scale {gate.scale:g}" if gate.accepted else "refused" if gate.refused else "rejected"
        dev = [of_questions(acc, gate.dev.n if gate.dev else 0) for acc in (gate.dev_before, gate.dev_after)]
        verdict = Cell(word, tone="good" if gate.accepted else "bad")
        rows.append(cells(listed.model, listed.start, verdict, *dev, _reason(gate, listed.start)))
    columns = ["model", "from", "gate", "dev before", "dev after", "reason"]
    caption = "What the gate said of each trained adapter; accuracy on dev in percent, in brackets 95 % intervals"
    return Table(columns, rows, ["from", "gate", "reason"], caption)


def _reason(gate: GateOutcome, start: str) -> str:
    """Why, and of a refusal whose model is kept, and what could be done about it."""
    if not gate.refused:
        return gate.reason
    ways_out = "; ".join(gate.refused.ways_out)
    return f"{gate.refused.stage}: {gate.reason}; its model is that of {start}; ways out: {ways_out}"


def pass_rates_section(file: Path) -> Section:
    """How often the sampler answers each training problem rightly, by model."""
    section = Section("section-pass-rates", "What was there to learn from?", [str(file)])
    measured = existing_result(file, list[PassRateRow])
    if not measured:
        return section.missing("no pass rates of training problems", "dvc repro compare_models")
    rows: list[dict[str, Any]] = [
        {"label": f"{row.model}, sampled from {row.sampler}"}
        | row.model_dump(include={"pass_rate", "category", "problems"})
        for row in measured
    ]
    labels, zones = names_in(rows, "label"), names_in(rows, "category")
    counts = {label: [_problems(rows, label, zone) for zone in zones] for label in labels}
    names = [zone.replace("_", " ") for zone in zones]
    listing = "; ".join(
        f"{label}: " + ", ".join(f"{n} {name}" for name, n in zip(names, by_zone, strict=True))
        for label, by_zone in counts.items()
    )
    lines = [cells(label, *map(str, by_zone)) for label, by_zone in counts.items()]
    caption = "Problems by model and how hard they are for the model that samples"
    figure = Figure(
        "Training problems by the share of samples that answer them rightly.",
        draw(pass_rates(rows), f"Histograms of problems by pass rate. {listing}."),
        Table(["model", *names], lines, caption=caption),
    )
    return replace(section, lead=_sometimes(measured), figures=[figure])


def _sometimes(rows: list[PassRateRow]) -> str:
    """How many problems of each model are sometimes answered rightly, which is what a model can learn from."""
    problems: dict[str, list[int]] = {}
    for row in rows:
        counts = problems.setdefault(row.model, [0, 0])
        counts[0] += row.problems * (0 < row.pass_rate < 1)
        counts[1] += row.problems
    listing = ", ".join(f"{some} of {all_of} in {model}" for model, (some, all_of) in problems.items())
    return f"Problems that are answered rightly sometimes, so that there is something to learn from them: {listing}."


def _problems(rows: list[dict[str, Any]], label: str, zone: str) -> int:
    return sum(row["problems"] for row in rows if (row["label"], row["category"]) == (label, zone))
