"""Scenes of notes: instruments, melodies, chords, pulses."""

import numpy as np
from numpy.random import Generator

from audio_reasoning.tasks.mini.kind import Facts, Scene, fact, pick, some
from audio_reasoning.tasks.mini.synth import (
    INSTRUMENTS,
    SHAPES,
    Signal,
    every,
    in_turn,
    loudness,
    note,
    periodic,
    samples,
    sum_at,
)

PITCHED = ("flute", "organ", "violin")
PLACES = ("first", "second", "third", "fourth")
TEMPI = {"very slow": 0.8, "slow": 0.45, "fast": 0.26, "very fast": 0.15}
PULSES = ("steady", "speeding up", "slowing down", "uneven")
FEELINGS = ("happy", "sad", "tense", "calm")
CHANGES = ("louder", "quieter", "higher", "lower")


def pad(rng: Generator, duration_s: float) -> Signal:
    """A soft sustained fifth, to put behind a voice."""
    root = rng.uniform(220, 330)
    return periodic([1, 0, 0.2], root, duration_s) + periodic([1, 0, 0.2], root * 1.5, duration_s)


def _listed(names: list[str]) -> str:
    return ", then ".join(names)


def instruments(rng: Generator, hard: float, facts: Facts) -> Scene:
    """One to three instruments, one after another."""
    target = facts.get("target")
    names = some(rng, INSTRUMENTS, int(rng.integers(2, 4)))
    if "only" in facts:
        names = [facts["only"]]
    if "present" in facts:
        names = [name for name in some(rng, INSTRUMENTS, len(INSTRUMENTS)) if name != target][:2]
        if facts["present"] == "yes":
            names[int(rng.integers(2))] = str(target)
    if "follows" in facts:
        pair = [str(target), facts["follows"]]
        other = pick(rng, [name for name in INSTRUMENTS if name not in pair])
        names = [*pair, other] if rng.random() < 0.5 else [other, *pair]
    if "first" in facts:
        names = [facts["first"], *[name for name in names if name != facts["first"]][:2]]
    if "last" in facts:
        names = [*[name for name in names if name != facts["last"]][:2], facts["last"]]
    length_s = (1.2 - 0.4 * hard) / len(names) + 0.15
    x = in_turn([note(rng, name, rng.uniform(-4, 4), length_s) for name in names], 0.08)
    return Scene(x, "music", dict.fromkeys(("only", "present", "follows", "first", "last"), _listed(names)))


def odd_instrument(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Four notes, one of them by another instrument."""
    place = PLACES.index(fact(rng, facts, "odd", PLACES))
    usual, other = some(rng, INSTRUMENTS, 2)
    names = [other if i == place else usual for i in range(4)]
    pitch = rng.uniform(-4, 4)
    x = in_turn([note(rng, name, pitch, 0.36 - 0.1 * hard) for name in names], 0.08)
    return Scene(x, "music", {"odd": _listed(names)})


def next_instrument(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Two instruments in turn, broken off: the one that did not end is next."""
    after = fact(rng, facts, "next", INSTRUMENTS)
    names = [after, pick(rng, [name for name in INSTRUMENTS if name != after])] * 2
    x = in_turn([note(rng, name, 0.0, 0.4 - 0.1 * hard) for name in names], 0.08)
    return Scene(x, "music", {"next": _listed(names)})


def melody(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Five notes whose pitch takes a course."""
    shape = fact(rng, facts, "shape", tuple(SHAPES))
    name = fact(rng, facts, "instrument", PITCHED)
    course = SHAPES[shape](np.linspace(0, 1, 5)) * (14 - 8 * hard)
    key = rng.uniform(-3, 3)
    x = in_turn([note(rng, name, key + semitones, 0.3) for semitones in course], 0.05)
    return Scene(x, "music", {"shape": f"{shape} pitch", "instrument": name})


def dynamics(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Repeated notes whose loudness takes a course."""
    course = fact(rng, facts, "course", ("growing", "fading", "steady", "swelling"))
    name, pitch = pick(rng, PITCHED), rng.uniform(-4, 4)
    x = in_turn([note(rng, name, pitch, 0.3) for _ in range(6)], 0.05)
    return Scene(x * loudness(course, len(x), 0.03 + 0.15 * hard), "music", {"course": f"{course} loudness"})


def chord(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A major or minor triad: its notes in turn, then together; the harder ones only together."""
    kind = fact(rng, facts, "chord", ("major", "minor"))
    key, name = rng.uniform(-3, 3), pick(rng, ("flute", "organ"))
    steps = (0, 4 if kind == "major" else 3, 7)
    together = np.sum([note(rng, name, key + step, 1.2) for step in steps], axis=0) * 0.6
    broken = [note(rng, name, key + step, 0.3) for step in steps] if hard < 0.6 else []
    return Scene(in_turn([*broken, together], 0.05), "music", {"chord": f"a {kind} third"})


def tempo(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A steady pulse."""
    name = fact(rng, facts, "tempo", tuple(TEMPI))
    gap_s = TEMPI[name] * 2 ** (0.3 * hard * rng.uniform(-1, 1))
    x = sum_at([(at, note(rng, "drum", 0.0, 0.12)) for at in every(gap_s, 0.05, 2.2)], 2.3)
    return Scene(x, "music", {"tempo": f"{name} beats"})


def pulse(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Beats whose spacing is steady, shrinks, grows, or wanders."""
    kind = fact(rng, facts, "pulse", PULSES)
    depth = 1.0 - 0.45 * hard
    gaps = {
        "steady": np.full(7, 0.32),
        "speeding up": np.geomspace(0.32 * (1 + depth), 0.32 / (1 + depth), 7),
        "slowing down": np.geomspace(0.32 / (1 + depth), 0.32 * (1 + depth), 7),
        "uneven": 0.32 * (1 + 0.6 * depth * np.array([1, -1, 1, 1, -1, -1, 1])[rng.permutation(7)]),
    }[kind]
    x = sum_at([(float(at), note(rng, "drum", 0.0, 0.12)) for at in 0.05 + np.cumsum(gaps) - gaps[0]], 2.7)
    return Scene(x, "music", {"pulse": f"{kind} beats"})


def feeling(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A phrase: happy is fast and rising, sad slow and falling, tense rough, calm slow and level."""
    name = fact(rng, facts, "feeling", FEELINGS)
    key, instrument = rng.uniform(-3, 3), pick(rng, PITCHED)
    steps = {"happy": (0, 4, 7, 12, 0, 4, 7, 12), "sad": (7, 3, 0), "tense": (0, 1, 0), "calm": (0, 0, 0)}[name]
    length_s = 0.2 if name == "happy" else 0.6
    notes = [note(rng, instrument, key + step * (1 - 0.4 * hard), length_s) for step in steps]
    if name == "tense":
        trembling = 1 + 0.9 * np.sin(2 * np.pi * 9 * np.arange(samples(length_s)) / 16_000)
        notes = [(x + note(rng, instrument, key + 1.3, length_s)) * trembling * 0.7 for x in notes]
    heard = {
        "happy": "fast rising notes",
        "sad": "slow falling notes",
        "tense": "rough notes",
        "calm": "slow level notes",
    }
    return Scene(in_turn(notes, 0.05), "music", {"feeling": heard[name]})


def blend(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Two notes together, smooth (a fifth) or rough (so close that they beat)."""
    kind = fact(rng, facts, "blend", ("smooth", "rough"))
    name, key = pick(rng, ("flute", "organ")), rng.uniform(-3, 3)
    other = key + (7.0 if kind == "smooth" else 0.6 + 0.6 * hard)
    x = in_turn([note(rng, name, key, 1.5) + note(rng, name, other, 1.5)], 0.1, 0.1)
    return Scene(x, "music", {"blend": f"{kind} notes"})


def two_notes(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A note twice, the second time louder, quieter, higher or lower."""
    change = fact(rng, facts, "change", CHANGES)
    if "louder" in facts:
        change = {"first": "quieter", "second": "louder"}[facts["louder"]]
    name, pitch = pick(rng, PITCHED), rng.uniform(-2, 2)
    step = (10 - 6 * hard) * {"higher": 1, "lower": -1}.get(change, 0)
    soft = 0.08 + 0.3 * hard
    gains = {"louder": (soft, 1.0), "quieter": (1.0, soft)}.get(change, (0.7, 0.7))
    x = in_turn([gains[0] * note(rng, name, pitch, 0.7), gains[1] * note(rng, name, pitch + step, 0.7)], 0.1)
    return Scene(x, "music", dict.fromkeys(("change", "louder"), f"a note, then a {change} note"))
