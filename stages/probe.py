"""Stage `probe`: how far question and choices alone give the answer away, for each source and split.

    python -m stages.probe

Writes metrics/probe.json. docs/own-questions.md explains the figures.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import write_json
from audio_reasoning.core.records import Question, read_questions
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.leaks import Probed, judged, probe
from audio_reasoning.render.table import Table, to_text
from audio_reasoning.render.tables import DASH, percent, points, points_range
from audio_reasoning.tasks.mmar_schema import SPLITS
from audio_reasoning.tasks.probe_params import Probe
from stages.layout import METRICS, QUESTIONS
from stages.params import load_params

PROBE = METRICS / "probe.json"
ALL = "all"


class Params(Strict):
    """What the stage reads."""

    probe: Probe


def parts(splits: dict[str, list[Question]]) -> Iterator[tuple[str, str, list[Question]]]:
    """(source, split, questions): each source's splits, the source as a whole, then all; no part is named twice."""
    everything = [question for questions in splits.values() for question in questions]
    sources = sorted({question.source for question in everything})
    for source in sources:
        of_source = {split: [q for q in questions if q.source == source] for split, questions in splits.items()}
        filled = {split: questions for split, questions in of_source.items() if questions}
        for split, questions in filled.items():
            yield source, split, questions
        if len(filled) > 1:
            yield source, ALL, [question for questions in filled.values() for question in questions]
    if len(sources) > 1:
        yield ALL, ALL, everything


def table(rows: Sequence[Probed]) -> str:
    """The rows for a terminal."""
    header = ["source", "split", "questions", "right", "by chance", "above", "95 %", "verdict"]
    lines = []
    for row in rows:
        excess, low, high = row.excess, row.low, row.high
        above = [DASH, DASH]
        if excess is not None and low is not None and high is not None:
            above = [points(excess), points_range(low, high)]
        figures = [str(row.n), percent(row.accuracy), percent(row.chance), *above]
        lines.append([row.source, row.split, *figures, row.verdict_text])
    return to_text(Table(header, lines, words=("split", "verdict")))


def written(rows: Sequence[Probed]) -> dict[str, object]:
    """What the stage writes: the last row's figures, which `dvc metrics` compares, and all rows in a list."""
    last = rows[-1]
    figures = ("n", "accuracy", "chance", "excess", "low", "high", "verdict")
    return {**{name: getattr(last, name) for name in figures}, "rows": [row.model_dump() for row in rows]}


def run(params: Probe, folder: Path = QUESTIONS, target: Path = PROBE) -> list[Probed]:
    """Probe the questions in `folder`, write `target`, return its rows."""
    splits: dict[str, list[Question]] = {split: read_questions(folder / f"{split}.jsonl") for split in SPLITS}
    rows = judged([probe(source, split, questions, params) for source, split, questions in parts(splits)])
    write_json(target, written(rows))
    return rows


@stage_main
def main() -> None:
    """Probe all questions."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(table(run(load_params(Params, "probe").probe)))


if __name__ == "__main__":
    main()
