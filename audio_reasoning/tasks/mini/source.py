"""MMAR-mini, synthesised."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audio_reasoning.core.progress import progress
from audio_reasoning.tasks.audio import write_flac
from audio_reasoning.tasks.mini.generate import Item, generate
from audio_reasoning.tasks.mmar_schema import SPLITS
from audio_reasoning.tasks.params import MiniSource
from audio_reasoning.tasks.provenance import provenance

ORIGIN = provenance("Apache-2.0", "", "synthesised")


def load(source: MiniSource, folder: Path, _dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Synthesise every split and yield its questions with their evidence."""
    counts = {split: getattr(source, split) for split in SPLITS}
    with progress(sum(counts.values()), "question", "synthesising") as bar:
        for split, count in counts.items():
            written = ""
            for item in generate(source.seed, split, count, source.min_share):
                # The questions about one clip follow one another.
                if item.group != written:
                    write_flac(folder / f"{item.group}.flac", item.samples)
                    written = item.group
                bar.update()
                yield _row(item, split)


def _row(item: Item, split: str) -> dict[str, Any]:
    return {
        "id": item.id,
        "audio_path": f"{item.group}.flac",
        "question": item.question,
        "choices": list(item.choices),
        "answer": item.choices[item.answer],
        "modality": item.modality,
        "category": item.category,
        "sub-category": item.sub_category,
        "language": item.language,
        "source": "mini",
        "url": None,
        "timestamp": None,
        "group": item.group,
        "split": split,
        "evidence": asdict(item.evidence),
        "difficulty": item.difficulty,
        "kind": item.kind,
        "provenance": ORIGIN,
    }
