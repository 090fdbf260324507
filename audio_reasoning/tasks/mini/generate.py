"""Generate MMAR-mini: items in MMAR's taxonomy, with MMAR's shares, each with its evidence.

Every question draws its choices and its answer before the sound is made, the answer uniformly, so
nothing in the text says which choice is right. A clip's randomness comes from (seed, stream, clip)
alone: runs are identical, and no two streams share a clip.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from audio_reasoning.tasks.mini import cultural, perception, semantic, signal
from audio_reasoning.tasks.mini.kind import Facts, Kind, pick, some
from audio_reasoning.tasks.mini.synth import Signal, rms, samples

STREAMS = ("train", "dev", "test", "pretrain")
HOP = 160
LAYERS: Mapping[str, str] = {k.sub_category: m.LAYER for m in (signal, perception, semantic, cultural) for k in m.KINDS}
KINDS: Mapping[str, Kind] = {k.name: k for m in (signal, perception, semantic, cultural) for k in m.KINDS}
# Questions of each sub-category among MMAR's 1,000.
MMAR_COUNTS: Mapping[str, int] = {
    "Content Analysis": 304,
    "Environmental Perception and Reasoning": 149,
    "Counting and Statistics": 99,
    "Professional Knowledge and Reasoning": 71,
    "Music Theory": 63,
    "Emotion and Intention": 60,
    "Culture of Speaker": 52,
    "Correlation Analysis": 50,
    "Speaker Analysis": 48,
    "Temporal Analysis": 28,
    "Acoustic Quality Analysis": 18,
    "Anomaly Detection": 17,
    "Spatial Analysis": 15,
    "Imagination": 10,
    "Audio Difference Analysis": 8,
    "Aesthetic Evaluation": 8,
}
PAIRED_CLIPS = 0.15
MIN_S, MAX_S = 1.5, 4.0
_WORTH_PROCESSES = 500  # questions; fewer are made before another process has started


@dataclass(frozen=True)
class Evidence:
    """Why the answer is right: what is heard, in order; what follows from it; the same in a few words."""

    heard: str
    analysis: str
    brief: str


@dataclass(frozen=True)
class Item:
    """One question; `samples` is float32 at 16 kHz on the 16-bit grid, a multiple of 160 long."""

    id: str
    samples: NDArray[np.float32]
    question: str
    choices: tuple[str, ...]
    answer: int
    category: str
    sub_category: str
    modality: str
    language: str | None
    group: str
    evidence: Evidence
    difficulty: float
    kind: str


@dataclass(frozen=True)
class _Ask:
    kind: Kind
    target: str
    choices: tuple[str, ...]
    answer: int

    @property
    def facts(self) -> dict[str, str]:
        known = {self.kind.fact: self.choices[self.answer]}
        return {**known, "target": self.target} if self.target else known


def generate(seed: int, stream: str, count: int, min_share: float) -> Iterator[Item]:
    """Yield `count` items of a stream: "train", "dev", "test" or "pretrain", made on all cores.

    `min_share` is the least share of any sub-category (see `quotas`).
    """
    if stream not in STREAMS:
        raise ValueError(f"stream must be one of {STREAMS}, not {stream!r}")
    plan = _plan(_random(seed, stream, "plan"), count, min_share)
    clips = (delayed(_clip)(seed, stream, clip, [kind.name for kind in kinds]) for clip, kinds in enumerate(plan))
    processes = -1 if count >= _WORTH_PROCESSES else 1
    for items in Parallel(n_jobs=processes, batch_size=16, return_as="generator")(clips):
        yield from items


def quotas(count: int, min_share: float) -> dict[str, int]:
    """How many of `count` questions each sub-category gets: MMAR's shares, raised to `min_share`, rescaled.

    Largest remainders round them, so they add up to `count`.

    >>> quotas(100, 0.0)["Content Analysis"]
    30
    """
    shares = {name: max(n / 1000, min_share) for name, n in MMAR_COUNTS.items()}
    exact = {name: count * share / sum(shares.values()) for name, share in shares.items()}
    floors = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: floors[name] - exact[name])
    for name in by_remainder[: count - sum(floors.values())]:
        floors[name] += 1
    return floors


def _plan(rng: Generator, count: int, min_share: float) -> list[list[Kind]]:
    """The kinds of each clip, one or two, in random order; sub-categories meet their quotas exactly."""
    kinds: list[Kind] = []
    for name, quota in quotas(count, min_share).items():
        cycle = [kind for kind in KINDS.values() if kind.sub_category == name for _ in range(kind.weight)]
        while quota > 0:
            kinds += [cycle[i] for i in rng.permutation(len(cycle))[:quota]]
            quota -= len(cycle)
    shuffled = [kinds[i] for i in rng.permutation(len(kinds))]
    waiting: dict[object, list[Kind]] = defaultdict(list)
    for kind in shuffled:
        if not kind.free:
            waiting[kind.scene].append(kind)
    pairs_left = round(count * PAIRED_CLIPS / (1 + PAIRED_CLIPS))
    clips: list[list[Kind]] = []
    for kind in shuffled:
        if kind.free and waiting[kind.scene] and pairs_left:
            clips.append([waiting[kind.scene].pop(), kind])
            pairs_left -= 1
        elif kind.free:
            clips.append([kind])
    clips += [[kind] for rest in waiting.values() for kind in rest]
    return [clips[i] for i in rng.permutation(len(clips))]


def _random(seed: int, stream: str, part: int | str) -> Generator:
    digest = hashlib.sha256(f"mmar-mini/{seed}/{stream}/{part}".encode()).digest()
    return Generator(PCG64(int.from_bytes(digest, "big")))


def _ask(rng: Generator, kind: Kind) -> _Ask:
    """Draw the question's target and choices, and then, independently of them, which one is right."""
    target = pick(rng, kind.targets) if kind.targets else ""
    options = [option for option in kind.options if option != target]
    shown = min(kind.shown, len(options))
    if kind.ordered:
        start = rng.integers(len(options) - shown + 1)
        options = options[start : start + shown]
    return _Ask(kind, target, tuple(some(rng, options, shown)), int(rng.integers(shown)))


def _clip(seed: int, stream: str, clip: int, kinds: list[str]) -> list[Item]:
    rng = _random(seed, stream, clip)
    return list(_clip_items(rng, [KINDS[kind] for kind in kinds], f"mini_{stream}_{clip:05d}"))


def _clip_items(rng: Generator, kinds: list[Kind], name: str) -> Iterator[Item]:
    asks = [_ask(rng, kind) for kind in kinds]
    facts: Facts = {key: value for ask in asks for key, value in ask.facts.items()}
    hard = float(rng.random())
    scene = kinds[0].scene(rng, hard, facts)
    clip = _recorded(rng, scene.samples, hard)
    for index, ask in enumerate(asks):
        kind, words = ask.kind, {"answer": ask.choices[ask.answer], "target": ask.target}
        evidence = Evidence(scene.heard[kind.fact], kind.analysis.format(**words), kind.brief.format(**words))
        yield Item(
            id=f"{name}_{index}",
            samples=clip,
            question=kind.question.format(target=ask.target),
            choices=ask.choices,
            answer=ask.answer,
            category=LAYERS[kind.sub_category],
            sub_category=kind.sub_category,
            modality=scene.modality,
            language=None,
            group=name,
            evidence=evidence,
            difficulty=round(hard, 4),
            kind=kind.name,
        )


def _recorded(rng: Generator, x: Signal, hard: float) -> NDArray[np.float32]:
    """The clip as recorded: cut or padded, in slight noise (45 to 25 dB below it), on the 16-bit grid."""
    n = min(max(len(x), samples(MIN_S)), samples(MAX_S))
    n += -n % HOP
    x = np.pad(x, (0, max(0, n - len(x))))[:n]
    floor = max(rms(x), 0.01) * 10 ** (-(45 - 20 * hard) / 20)
    x = (x + floor * rng.standard_normal(n)) * rng.uniform(0.7, 1.0)
    x *= min(1.0, 0.98 / float(np.max(np.abs(x))))
    return (np.round(x * 32767) / 32768).astype(np.float32)
