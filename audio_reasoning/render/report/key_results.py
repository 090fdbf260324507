"""The section that begins the overview: what each approach reaches, in one table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from audio_reasoning.metrics.key_results import KeyResult
from audio_reasoning.render.key_results import NOTES, in_short, page_table
from audio_reasoning.render.report.sections import Section


def key_results_section(files: Sequence[Path], results: Sequence[KeyResult], absent: Sequence[str]) -> Section:
    """The study in one table, and what of it is not there; `files` are those that it was read from."""
    section = Section("section-key-results", "What did each approach bring?", [str(file) for file in files])
    if all(row.only_reported for row in results):
        return section.missing("no prompt has been scored", "dvc repro score")
    notes = [*NOTES, *(f"Not here: {line.replace('`', '')}" for line in absent)]
    return replace(section, lead=in_short(results), tables=[page_table(results)], notes=notes)
