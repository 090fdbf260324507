"""Measure how long comparing two prediction files takes, process start included.

    python -m benchmarks.compare      # print the figures

The files are synthetic and in the challenge's format: 1,000 questions with MMAR's numbers of clips' videos and of
sub-categories. What is measured is the command itself, with its 10,000 resamples.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from audio_reasoning.core.files import write_jsonl

QUESTIONS, VIDEOS, CATEGORIES, SUB_CATEGORIES = 1_000, 911, 4, 16
REPEATS = 5
ROOT = Path(__file__).parents[1]
CHOICES = ["a dog", "a cat", "a bell", "rain"]


def write_files(folder: Path) -> None:
    """Questions and two prediction files that differ on a fifth of them."""
    rng = np.random.default_rng(0)
    right = rng.random(QUESTIONS) < 0.67
    other = np.where(rng.random(QUESTIONS) < 0.2, ~right, right)
    ids = [f"v{i % VIDEOS}_00-00-{i // VIDEOS:02d}_00-01-00" for i in range(QUESTIONS)]
    questions = [
        {
            "id": name,
            "question": "What is heard?",
            "choices": CHOICES,
            "answer": CHOICES[0],
            "category": f"Layer {i % CATEGORIES}",
            "sub-category": f"Skill {i % SUB_CATEGORIES}",
            "modality": "sound",
        }
        for i, name in enumerate(ids)
    ]
    write_jsonl(folder / "questions.jsonl", questions)
    for name, scores in (("a", right), ("b", other)):
        rows = [
            {"id": i, "thinking_prediction": "It barks. " * 200, "answer_prediction": CHOICES[0 if score else 1]}
            for i, score in zip(ids, scores, strict=True)
        ]
        write_jsonl(folder / f"{name}.jsonl", rows)


def measure(repeats: int = REPEATS) -> dict[str, Any]:
    """Median wall-clock and CPU seconds of the command."""
    wall, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        paths = [str(Path(folder) / name) for name in ("a.jsonl", "b.jsonl", "questions.jsonl")]
        command = [sys.executable, "-m", "cli", "compare", *paths[:2], "--questions", paths[2]]
        for _ in range(repeats):
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            wall.append(time.monotonic() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert "10000 resamples" in printed
    return {
        "questions": QUESTIONS,
        "seconds": round(statistics.median(wall), 2),
        "cpu_seconds": round(statistics.median(cpu), 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
