"""Scenes of surroundings, signals and machines, and of recordings gone wrong."""

import numpy as np
from numpy.random import Generator

from audio_reasoning.tasks.mini.kind import Facts, Scene, fact, pick
from audio_reasoning.tasks.mini.music import PITCHED, pad
from audio_reasoning.tasks.mini.synth import (
    RATE_HZ,
    SURROUNDINGS,
    chirp,
    every,
    filtered,
    in_turn,
    loudness,
    noise,
    note,
    periodic,
    reverberant,
    rms,
    samples,
    sum_at,
    surrounding,
    tone,
    vowel,
)
from audio_reasoning.tasks.mini.voices import NUMBERS, WORDS

MORSE = {"A": ".-", "N": "-.", "I": "..", "M": "--", "S": "...", "O": "---"}
COURSES = ("growing", "fading", "steady", "swelling")
MOVES = {"approaching": "growing", "leaving": "fading", "standing still": "steady", "passing by": "swelling"}
# A telephone line's tones (Hz, Hz, seconds on, seconds of period), near those of North America, ringing shortened.
LINES = {
    "dial tone": (350.0, 440.0, 9.0, 9.0),
    "busy": (480.0, 620.0, 0.25, 0.5),
    "ringing": (440.0, 480.0, 0.8, 1.4),
    "dead line": (350.0, 440.0, 0.0, 9.0),
}
ALARMS = ("siren", "smoke alarm", "reversing truck", "ship")
HEARTS = {"normal": "steady", "too fast": "fast", "too slow": "slow", "skipping beats": "uneven"}
MAKERS = {"clock": "steady", "ball": "speeding up", "horse": "grouped", "rain": "uneven"}
QUALITIES = ("clean", "noisy", "clipped", "muffled")
RELATIONS = ("together", "voice first", "drum first", "taking turns")
EVENTS = {"beep": "beeps", "knock": "knocks", "chirp": "chirps"}


def ambience(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A surrounding whose loudness takes a course: it comes, goes, stays or passes by."""
    name = fact(rng, facts, "around", SURROUNDINGS)
    course = MOVES[facts["move"]] if "move" in facts else facts.get("course", "steady")
    x = surrounding(rng, name, 2.1) * loudness(course, samples(2.1), 0.03 + 0.15 * hard)
    heard = f"{course} loudness"
    return Scene(x, "sound", {"around": name, "course": heard, "move": heard})


def behind_music(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A surrounding behind music."""
    name = fact(rng, facts, "behind", SURROUNDINGS)
    x = (0.8 - 0.5 * hard) * surrounding(rng, name, 1.8) + 0.4 * pad(rng, 1.8)
    return Scene(x, "mix-sound-music", {"behind": f"music and {name}"})


def events(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Some beeps, knocks or chirps to count."""
    number = NUMBERS.index(fact(rng, facts, "number", NUMBERS)) + 1
    kind = facts.get("target", "beep")
    pitch_hz = rng.uniform(350, 1500)
    if kind == "beep":
        parts = [tone(pitch_hz, 0.12) for _ in range(number)]
    else:
        parts = [note(rng, "drum", 0.0, 0.12) if kind == "knock" else chirp(rng) for _ in range(number)]
    x = in_turn(parts, rng.uniform(0.16, 0.22) - 0.06 * hard, 0.1)
    return Scene(x, "sound", {"number": ", ".join(f"{kind} {n}" for n in NUMBERS[:number])})


def morse(rng: Generator, hard: float, facts: Facts) -> Scene:
    """One letter in Morse code (ITU-R M.1677)."""
    letter = fact(rng, facts, "letter", tuple(MORSE))
    unit_s = 0.12 - 0.03 * hard
    pitch_hz = rng.uniform(500, 900)
    x = in_turn([tone(pitch_hz, unit_s if s == "." else 3 * unit_s) for s in MORSE[letter]], unit_s, 0.1)
    return Scene(x, "sound", {"letter": ", ".join("dot" if s == "." else "dash" for s in MORSE[letter])})


def line(rng: Generator, hard: float, facts: Facts) -> Scene:
    """What a telephone line says: dial tone, busy, ringing, or nothing but hiss."""
    state = fact(rng, facts, "line", tuple(LINES))
    low_hz, high_hz, on_s, period_s = LINES[state]
    t = np.arange(samples(2.2)) / RATE_HZ
    x = (periodic([1.0], low_hz, 2.2) + periodic([1.0], high_hz, 2.2)) * (t % period_s < on_s)
    heard = {"dial tone": "one level tone", "busy": "fast tones", "ringing": "slow tones", "dead line": "no tone"}[
        state
    ]
    return Scene(x + (0.02 + 0.2 * hard) * noise(rng, 2.2), "sound", {"line": heard})


def alarm(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A siren that rises and falls, fast high beeps, slow beeps, or one low blast."""
    name = fact(rng, facts, "alarm", ALARMS)
    t = np.arange(samples(2.2)) / RATE_HZ
    if name == "siren":
        x = periodic([1, 0.3, 0.2], 900 + 450 * np.sin(2 * np.pi * (1.1 + 0.5 * hard) * t), 2.2)
    elif name == "ship":
        x = in_turn([periodic([h**-0.5 for h in range(1, 12)], rng.uniform(90, 120), 1.6)], 0.3, 0.2)
    else:
        on_s, gap_s, pitch_hz = (0.12, 0.1, 3100.0) if name == "smoke alarm" else (0.45, 0.35, 1000.0)
        x = sum_at([(at, tone(pitch_hz, on_s)) for at in every(on_s + gap_s, 0.1, 2.0)], 2.2)
    heard = {
        "siren": "rising and falling pitch",
        "smoke alarm": "fast high tones",
        "reversing truck": "slow tones",
        "ship": "one low tone",
    }[name]
    return Scene(x, "sound", {"alarm": heard})


def heart(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A heart that beats normally, too fast, too slowly, or skips beats."""
    state = fact(rng, facts, "heart", tuple(HEARTS))
    gap_s = {"too fast": 0.26, "too slow": 0.9}.get(state, 0.5) * 2 ** (0.25 * hard * rng.uniform(-1, 1))
    starts = every(gap_s, 0.1, 2.5)
    if state == "skipping beats":
        del starts[int(rng.integers(1, len(starts) - 1))]
    beat = note(rng, "drum", 0.0, 0.12)
    parts = [(at + delay_s, gain * beat) for at in starts for delay_s, gain in ((0.0, 1.0), (0.13, 0.4))]
    return Scene(sum_at(parts, 2.7), "sound", {"heart": f"{HEARTS[state]} beats"})


def maker(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Taps whose timing tells what makes them: a clock, a bouncing ball, a trotting horse, dripping rain."""
    name = fact(rng, facts, "maker", tuple(MAKERS))
    starts = {
        "clock": every(0.5 - 0.1 * hard, 0.1, 2.3),
        "ball": list(0.1 + np.cumsum(np.geomspace(0.55, 0.08, 9)) - 0.55),
        "horse": [at + step for at in every(0.65, 0.1, 2.0) for step in (0.0, 0.14, 0.28)],
        "rain": list(np.sort(rng.uniform(0.05, 2.2, 25))),
    }[name]
    x = sum_at([(float(at), note(rng, "drum", 0.0, 0.08)) for at in starts], 2.4)
    return Scene(x, "sound", {"maker": f"{MAKERS[name]} beats"})


def recording(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A voice or music, in a clean, noisy, clipped or muffled recording."""
    state = fact(rng, facts, "quality", QUALITIES)
    spoken = facts.get("target") == "voice"
    speaker, instrument = pick(rng, ("woman", "man")), pick(rng, ("organ", "violin"))
    if spoken:
        x = in_turn([vowel(rng, pick(rng, WORDS), speaker, 0.5) for _ in range(3)], 0.08)
    else:
        x = in_turn([note(rng, instrument, rng.uniform(-4, 4), 0.5) for _ in range(3)], 0.08)
    if state == "noisy":
        x = x + noise(rng, len(x) / RATE_HZ) * (1.2 - 0.8 * hard)
    elif state == "clipped":
        x = np.clip(x * (20 - 14 * hard), -0.3, 0.3)
    elif state == "muffled":
        x = filtered(x, 0.0, 400 + 700 * hard)
    return Scene(x, "speech" if spoken else "music", {"quality": f"a {state} sound"})


def distance(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A voice near by, or far away: muffled and reverberant."""
    where = fact(rng, facts, "distance", ("near", "far"))
    speaker = pick(rng, ("woman", "man", "child"))
    x = in_turn([vowel(rng, pick(rng, WORDS), speaker, 0.4) for _ in range(3)], 0.1)
    if where == "far":
        x = reverberant(rng, filtered(x, 0.0, 700 + 900 * hard), 1.2, 1.6 - 0.8 * hard)
    return Scene(x, "speech", {"distance": f"a {'clean' if where == 'near' else 'muffled'} sound"})


def relation(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A voice and a drum: at once, one after the other, or in turns."""
    how = fact(rng, facts, "relation", RELATIONS)
    speaker = pick(rng, ("woman", "man"))
    voice = [vowel(rng, pick(rng, WORDS), speaker, 0.3) for _ in range(3)]
    drum = [note(rng, "drum", 0.0, 0.3) for _ in range(3)]
    slots = {
        "together": (0, 2, 4, 0, 2, 4),
        "voice first": (0, 1, 2, 3, 4, 5),
        "drum first": (3, 4, 5, 0, 1, 2),
        "taking turns": (0, 2, 4, 1, 3, 5),
    }[how]
    step_s = 0.36 - 0.06 * hard
    x = sum_at([(0.05 + slot * step_s, part) for slot, part in zip(slots, voice + drum, strict=True)], 2.3)
    heard = {
        "together": "voice and drum at once",
        "voice first": "voice, then drum",
        "drum first": "drum, then voice",
        "taking turns": "voice, then drum, then voice, then drum",
    }[how]
    return Scene(x, "mix-sound-speech", {"relation": heard})


def balance(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A voice and music, one of them too loud, or balanced."""
    loud = fact(rng, facts, "loud", ("voice", "music", "neither"))
    speaker, instrument = pick(rng, ("woman", "man")), pick(rng, PITCHED)
    voice = in_turn([vowel(rng, pick(rng, WORDS), speaker, 0.4) for _ in range(4)], 0.08)
    music = note(rng, instrument, 0.0, len(voice) / RATE_HZ)
    soft = 0.06 + 0.2 * hard
    gains = {"voice": (1.0, soft), "music": (soft, 1.0), "neither": (0.7, 0.7)}[loud]
    x = gains[0] * voice / rms(voice) + gains[1] * music / rms(music)
    return Scene(0.15 * x, "mix-music-speech", {"loud": "a level mix" if loud == "neither" else f"a louder {loud}"})
