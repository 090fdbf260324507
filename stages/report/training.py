"""Sections on self-training: what the iterations gained, what the gate said, and what there was to learn from."""

from stages.common.files import METRICS
from stages.evaluate.tables import MINI_NOTE, percent, points, points_range
from stages.report.comparisons import COLUMNS, versus_cells
from stages.report.drawing import draw
from stages.report.figures import iteration_panels, pass_rates
from stages.report.node import Node, read_node
from stages.report.prompts import alt_text, panel_rows, pivot
from stages.report.sections import Cell, Figure, Section, Table, browser_link, cells

REST = METRICS / "rest"
PASS_RATES = REST / "pass_rates.json"


def iterations_section() -> Section:
    """What each iteration gained, what the gate said of it, and accuracy by sub-category."""
    files = [str(REST / name) for name in ("summary.json", "compare.json", "gates")]
    shown = Section("section-iterations", "Did self-training help?", files)
    summary, compare = read_node(REST / "summary.json"), read_node(REST / "compare.json")
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
    gains = [_gain(row) for row in summary["versus_base"].rows() if row.text("b") == last]
    return Section(
        shown.id,
        shown.title,
        shown.files,
        lead=f"Points over the base model after {last}, with 95 % intervals: {', '.join(gains)}.",
        tables=[_versus_base(summary), _gates(summary)],
        figures=[figure],
        notes=[str(note.value) for note in summary["notes"].rows() if note.value != MINI_NOTE],
    )


def _gain(row: Node) -> str:
    interval = points_range(row.number("low"), row.number("high"))
    return f"{points(row.number('difference'))} ({interval}) under {row.text('prompt')}"


def _versus_base(summary: Node) -> Table:
    rows = []
    for row in summary["versus_base"].rows():
        prompt, run = row.text("prompt"), f"{row.text('b')}/{row.text('prompt')}"
        changes = [str(len(row[key].rows())) for key in ("rise", "fall")]
        rows.append([Cell(run, link=browser_link(a=prompt, b=run)), *versus_cells(row, prompt, run), *cells(*changes)])
    return Table(
        "Each iteration against the base model under the same prompt; sub-categories that rise and fall significantly",
        ["iteration and prompt", "Δ base", *COLUMNS[1:], "rise", "fall"],
        rows,
        words=[7],
    )


def _gates(summary: Node) -> Table:
    rows = []
    for listed in summary["gate"].rows():
        name = listed.text("iteration")
        gate = read_node(REST / "gates" / f"{name}.json") or listed
        accepted = gate["accepted"].value is True
        word = f"accepted at scale {gate.number('scale'):g}" if accepted else "rejected"
        dev = [percent(gate.number(key)) if gate.get(key) else "" for key in ("dev_before", "dev_after")]
        verdict = Cell(word, tone="good" if accepted else "bad")
        rows.append([Cell(name), Cell(listed.text("from")), verdict, *cells(*dev, gate.text("reason"))])
    columns = ["iteration", "from", "gate", "dev before", "dev after", "reason"]
    return Table("What the gate said of each trained adapter", columns, rows, words=[1, 2, 5])


def pass_rates_section() -> Section:
    """How often the sampler answers each training problem rightly, by iteration."""
    shown = Section("section-pass-rates", "What was there to learn from?", [str(PASS_RATES)])
    found = read_node(PASS_RATES)
    if found is None or not found.rows():
        return shown.missing("no pass rates of training problems", "dvc repro rest_compare")
    rows = [
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
    names = [str(zone).replace("_", " ") for zone in zones]
    told = "; ".join(
        f"{label}: " + ", ".join(f"{n} {name}" for name, n in zip(names, found_of, strict=True))
        for label, found_of in counts.items()
    )
    lines = [cells(str(label), *map(str, found_of)) for label, found_of in counts.items()]
    figure = Figure(
        "Training problems by the share of samples that answer them rightly.",
        draw(pass_rates(rows), f"Histograms of problems by pass rate. {told}."),
        Table("Problems by iteration and how hard they are for the model that samples", ["iteration", *names], lines),
    )
    lead = "A model learns from problems that it sometimes gets right: those it always or never solves teach nothing."
    return Section(shown.id, shown.title, shown.files, lead=lead, figures=[figure])


def _problems(rows: list[dict[str, object]], label: object, zone: object) -> int:
    return sum(int(str(row["problems"])) for row in rows if (row["label"], row["category"]) == (label, zone))
