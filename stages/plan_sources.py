"""What sources hold, as it is stated where they are published; docs/sources.md tells of each."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from audio_reasoning.tasks.params import Shares
from stages.project import Project

SPLITS = ("train", "dev", "test")


class Stated(NamedTuple):
    """Questions of a source, seconds of a clip, gigabytes to download, and whether a limit saves any of these."""

    questions: int
    seconds: float
    download_gb: float
    by_clip: bool = False


STATED = {  # by loader; seconds are means, where none is stated the length that clips are cut to
    "mmar": Stated(1_000, 20.0, 3.6),
    "mmau": Stated(1_000, 10.0, 1.8),
    "audiomcq": Stated(19_480, 10.0, 9.7, by_clip=True),
    "musicbench": Stated(52_768, 10.0, 16.8),
    "tacos": Stated(12_000, 22.0, 1.6),
    "avqa": Stated(38_000, 10.0, 0.0),
    "countingqa": Stated(10_000, 10.0, 0.0),
    "reasonaqa": Stated(50_000, 15.0, 0.0),
    "youtube": Stated(1_000, 10.0, 0.0),
}
WEIGHTS_GB = {"Qwen/Qwen3-Omni-30B-A3B-Thinking": 63.0, "Qwen/Qwen3-Omni-30B-A3B-Instruct": 70.0}
_UNKNOWN = Stated(1_000, 10.0, 0.0)
_MINI_S = 1.4
_FLAC_GB_PER_HOUR = 0.06  # 16 kHz mono


@dataclass(frozen=True)
class Expected:
    """Questions and mean seconds of a clip by split, what is downloaded, and what lies on the disk for it."""

    questions: dict[str, int]
    seconds: dict[str, float]
    downloads: dict[str, float]  # GB by what it is
    disk_gb: float


def expected(project: Project) -> Expected:
    """What the sources of the parameters hold, their limits and shares taken off."""
    counts, seconds = dict.fromkeys(SPLITS, 0.0), dict.fromkeys(SPLITS, 0.0)
    downloads: dict[str, float] = {}
    for name, source in project.data.sources.items():
        stated = _stated(source)
        taken = min(stated.questions, getattr(source, "limit", None) or stated.questions)
        part = project.data.combine.parts.get(name)
        for split, share in _shares(source).items():
            number = taken * share * (part.share if part else 1.0)
            number = min(number, part.limit) if part and part.limit else number
            counts[split] += number
            seconds[split] += number * stated.seconds
        fetched = stated.download_gb * (taken / stated.questions if stated.by_clip else 1.0)
        if fetched and not getattr(source, "audio", ""):
            downloads[name] = round(fetched, 1)
    if project.model.kind == "hub":
        downloads[project.model.id] = WEIGHTS_GB.get(project.model.id, 0.0)
    means = {split: seconds[split] / counts[split] if counts[split] else 0.0 for split in SPLITS}
    hours = sum(seconds.values()) / 3600
    disk = 2 * sum(downloads.values()) + 2 * hours * _FLAC_GB_PER_HOUR  # archives and what is in them; DVC's cache
    return Expected({split: round(counts[split]) for split in SPLITS}, means, downloads, round(disk, 1))


def _stated(source: Any) -> Stated:
    if source.loader == "mini":
        return Stated(source.train + source.dev + source.test, _MINI_S, 0.0)
    return STATED.get(source.loader, _UNKNOWN)


def _shares(source: Any) -> dict[str, float]:
    if source.loader == "mini":
        total = source.train + source.dev + source.test
        return {split: getattr(source, split) / total for split in SPLITS}
    if isinstance(source.split, Shares):
        return {split: getattr(source.split, split) for split in SPLITS}
    return {split: float(split == source.split) for split in SPLITS}
