"""How long answers took and what they cost: kept outside DVC's outs, since no two runs take the same time."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audio_reasoning.engines.answers import ChatResult

FILE = "runs.jsonl"


class Timings:
    """What was asked in one run: its latencies and its tokens. Answers from the cache do not count."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._latencies_s: list[float] = []
        self._prompt_tokens = self._completion_tokens = 0

    def add(self, latency_s: float, result: ChatResult) -> None:
        """Count one answer, which came `latency_s` seconds after its last try was sent."""
        self._latencies_s.append(latency_s)
        self._prompt_tokens += result.prompt_tokens
        self._completion_tokens += sum(sample.completion_tokens or 0 for sample in result.samples)

    def summary(self) -> dict[str, Any]:
        """Answers, seconds of the run, latencies in seconds, tokens; latencies are None where nothing was answered."""
        seconds, ranked = time.monotonic() - self._began, sorted(self._latencies_s)
        return {
            "answers": len(ranked),
            "seconds": round(seconds, 3),
            "latency_p50_s": percentile(ranked, 50),
            "latency_p95_s": percentile(ranked, 95),
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "completion_tokens_per_s": round(self._completion_tokens / seconds, 1) if seconds else 0.0,
        }


def percentile(ranked: list[float], percent: int) -> float | None:
    """The nearest-rank percentile of sorted values, None of none.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50), percentile([1.0, 2.0, 3.0, 4.0], 95)
    (2.0, 4.0)
    """
    return round(ranked[-(-len(ranked) * percent // 100) - 1], 4) if ranked else None


def record(folder: Path, **values: Any) -> None:
    """Add a line with `values` and the time to runs.jsonl in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a", encoding="utf-8") as file:  # one write of a line: processes may share the file
        file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **values}) + "\n")
