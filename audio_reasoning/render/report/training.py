"""Sections on self-training: what the iterations gained, what the gate said, and what there was to learn from."""

from dataclasses import replace
from typing import Any

from audio_reasoning.core.files import REST_METRICS
from audio_reasoning.render.report.comparisons import COLUMNS, versus_cells
from audio_reasoning.render.report.drawing import draw
from audio_reasoning.render.report.figures import iteration_panels, pass_rates
from audio_reasoning.render.report.node import Node, read_node
from audio_reasoning.render.report.panels import alt_text, panel_rows, pivot
from audio_reasoning.render.report.sections import Cell, Figure, Section, Table, browser_link, cells
from audio_reasoning.render.report.shares import gain, of_questions
from audio_reasoning.render.tables import MINI_NOTE

PASS_RATES = REST_METRICS / "pass_rates.json"


def iterations_section() -> Section:
    """What each iteration gained, what the gate said of it, and accuracy by sub-category."""
    files = [str(REST_METRICS / name) for name in ("summary.json", "compare.json", "gates")]
    shown = Section("section-iterations", "Did self-training help?", files)
    summary, compare = read_node(REST_METRICS / "summary.json"), read_node(REST_METRICS / "compare.json")
    if summary is None or compare is None or not summary["versus_base"].rows():
        return shown.missing("no iterations of self-training have been compared", "dvc repro rest_compare")
    rows = panel_rows(compare, ("iteration", "prompt"))
    for row in rows:
        row["member"] = f"{row['iteration']}/{row['prompt']}"
    figure = Figure(
        "Accuracy by iteration, sub-category and prompt, with 95 % intervals (questions in brackets).",
        draw(iteration_panels(rows), alt_text(rows, "member")),
        pivot(rows, "member", "Accuracy in percent by sub-category, iteration and prompt"),
    )
    last = summary.text("last")
    gains = [
        f"{gain(row)} under {row.text('prompt')}, {row.text('verdict')}"
        for row in summary["versus_base"].rows()
        if row.text("b") == last
    ]
    return replace(
        shown,
        lead=(
            f"Points over the base model after {last} (preset {summary.text('preset')}, "
            f"seed {summary.count('seed')}): {'; '.join(gains)}."
        ),
        tables=[_versus_base(summary), _gates(summary)],
        figures=[figure],
        notes=[str(note.value) for note in summary["notes"].rows() if note.value != MINI_NOTE],
    )


def _versus_base(summary: Node) -> Table:
    rows = []
    for row in summary["versus_base"].rows():
        prompt, run = row.text("prompt"), f"{row.text('b')}/{row.text('prompt')}"
        changes = [str(len(row[key].rows())) for key in ("rise", "fall")]
        rows.append([Cell(run, link=browser_link(a=prompt, b=run)), *versus_cells(row, prompt, run), *cells(*changes)])
    return Table(
        "Each iteration against the base model under the same prompt; sub-categories that rise and fall significantly, "
        "by Benjamini-Hochberg over all of them",
        ["iteration and prompt", "Δ base", *COLUMNS[1:], "rise", "fall"],
        rows,
        words=[7],
    )


def _gates(summary: Node) -> Table:
    rows = []
    for listed in summary["gate"].rows():
        name = listed.text("iteration")
        gate = read_node(REST_METRICS / "gates" / f"{name}.json") or listed
        accepted = gate["accepted"].value is True
        refused = gate.get("refused")
        word = f"accepted at scale {gate.number('scale'):g}" if accepted else "refused" if refused else "rejected"
        asked = gate.get("dev")
        n = asked.count("n") if asked else 0
        dev = [of_questions(gate.number_or_none(key), n) for key in ("dev_before", "dev_after")]
        verdict = Cell(word, tone="good" if accepted else "bad")
        reason = gate.text("reason")
        if refused:
            ways_out = "; ".join(str(way.value) for way in refused["ways_out"].rows())
            kept = f"its model is that of {listed.text('from')}"
            reason = f"{refused.text('stage')}: {reason}; {kept}; ways out: {ways_out}"
        rows.append([Cell(name), Cell(listed.text("from")), verdict, *cells(*dev, reason)])
    columns = ["iteration", "from", "gate", "dev before", "dev after", "reason"]
    caption = "What the gate said of each trained adapter; accuracy on dev in percent, in brackets 95 % intervals"
    return Table(caption, columns, rows, words=[1, 2, 5])


def pass_rates_section() -> Section:
    """How often the sampler answers each training problem rightly, by iteration."""
    shown = Section("section-pass-rates", "What was there to learn from?", [str(PASS_RATES)])
    found = read_node(PASS_RATES)
    if found is None or not found.rows():
        return shown.missing("no pass rates of training problems", "dvc repro rest_compare")
    rows: list[dict[str, Any]] = [
        {
            "label": f"{row.text('iteration')}, sampled from {row.text('sampler')}",
            "pass_rate": row.number("pass_rate"),
            "category": row.text("category"),
            "problems": row.count("problems"),
        }
        for row in found.rows()
    ]
    labels, zones = (list(dict.fromkeys(row[key] for row in rows)) for key in ("label", "category"))
    counts = {label: [_problems(rows, label, zone) for zone in zones] for label in labels}
    names = [zone.replace("_", " ") for zone in zones]
    told = "; ".join(
        f"{label}: " + ", ".join(f"{n} {name}" for name, n in zip(names, found_of, strict=True))
        for label, found_of in counts.items()
    )
    lines = [cells(label, *map(str, found_of)) for label, found_of in counts.items()]
    figure = Figure(
        "Training problems by the share of samples that answer them rightly.",
        draw(pass_rates(rows), f"Histograms of problems by pass rate. {told}."),
        Table("Problems by iteration and how hard they are for the model that samples", ["iteration", *names], lines),
    )
    return replace(shown, lead=_sometimes(found), figures=[figure])


def _sometimes(found: Node) -> str:
    """How many problems of each iteration are sometimes answered rightly, which is what a model can learn from."""
    problems: dict[str, list[int]] = {}
    for row in found.rows():
        teaches = 0 < row.number("pass_rate") < 1
        counts = problems.setdefault(row.text("iteration"), [0, 0])
        counts[0] += row.count("problems") * teaches
        counts[1] += row.count("problems")
    told = ", ".join(f"{some} of {all_of} in {iteration}" for iteration, (some, all_of) in problems.items())
    return f"Problems that are answered rightly sometimes, so that there is something to learn from them: {told}."


def _problems(rows: list[dict[str, Any]], label: str, zone: str) -> int:
    return sum(row["problems"] for row in rows if (row["label"], row["category"]) == (label, zone))
