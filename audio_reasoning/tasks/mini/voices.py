"""Scenes in which somebody speaks, in formant-synthesised vowels."""

import numpy as np
from numpy.random import Generator

from audio_reasoning.tasks.mini.kind import Facts, Scene, fact, pick, some
from audio_reasoning.tasks.mini.music import PLACES, pad
from audio_reasoning.tasks.mini.synth import (
    SHAPES,
    SPEAKERS,
    SURROUNDINGS,
    VOWELS,
    Signal,
    in_turn,
    note,
    periodic,
    rms,
    samples,
    surrounding,
    vowel,
)

WORDS = tuple(VOWELS)
PEOPLE = tuple(SPEAKERS)
NUMBERS = ("one", "two", "three", "four", "five")
MOODS = ("calm", "excited", "sad", "angry")
LANGUAGES = ("tonal", "even", "stressed", "whistled")


def over(rng: Generator, level: float, voice: Signal, bed: str) -> tuple[Signal, str]:
    """A voice over a bed, with the modality of the mixture; `bed` is "none" or names a surrounding or "music"."""
    duration_s = len(voice) / 16_000
    if bed == "none":
        return voice, "speech"
    if bed == "music":
        return voice + level * _at_rms(pad(rng, duration_s)), "mix-music-speech"
    mixed = voice + level * _at_rms(surrounding(rng, bed, duration_s)[: len(voice)])
    if rng.random() < 0.12:
        return mixed + 0.2 * _at_rms(pad(rng, duration_s)), "mix-sound-music-speech"
    return mixed, "mix-sound-speech"


def _level(hard: float) -> float:
    return 0.25 + 0.35 * hard


def _at_rms(x: Signal) -> Signal:
    return x * (0.15 / max(rms(x), 1e-6))


def talk(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Somebody says a few words, perhaps over something."""
    speaker = fact(rng, facts, "speaker", PEOPLE)
    number = NUMBERS.index(facts["number"]) + 1 if "number" in facts else 1 if "word" in facts else 3
    words = [pick(rng, WORDS) for _ in range(number)]
    if "word" in facts:
        words[0] = facts["word"]
    if "first_word" in facts:
        words[0] = facts["first_word"]
    if "last_word" in facts:
        words[-1] = facts["last_word"]
    if "said" in facts:
        others = [word for word in WORDS if word != facts["target"]]
        words = [pick(rng, others) for _ in words]
        if facts["said"] == "yes":
            words[rng.integers(number)] = facts["target"]
    length_s = 1.2 if number == 1 else 0.42 - 0.1 * hard if number < 4 else 0.25
    gap_s = 0.16 - 0.06 * hard
    voice = in_turn([vowel(rng, w, speaker, length_s, _declining(rng, length_s)) for w in words], gap_s, 0.15)
    usual = ("none", "none", "none", *SURROUNDINGS, "music") if "number" not in facts else ("none",)
    bed = fact(rng, facts, "bed", usual)
    # A loud bed makes the words harder, and itself easier.
    mixed, modality = over(rng, 0.6 - 0.45 * hard if "bed" in facts else _level(hard), voice, bed)
    heard = dict.fromkeys(("word", "first_word", "last_word", "said"), ", then ".join(words))
    heard["number"] = ", ".join(f"word {n}" for n in NUMBERS[:number])
    heard["speaker"] = f"a {speaker}"
    heard["bed"] = f"a voice and {bed}"
    return Scene(mixed, modality, heard)


def _declining(rng: Generator, length_s: float) -> Signal:
    """A natural slow fall of pitch around a random height, in semitones."""
    return rng.uniform(-1.5, 1.5) + np.linspace(0.4, -0.4, samples(length_s))


def after_bell(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Words before and after a bell."""
    before, after = some(rng, WORDS, 2)
    after = facts.get("after", after)
    before = pick(rng, [word for word in WORDS if word != after])
    speaker = pick(rng, PEOPLE[:3])
    length_s = 0.6 - 0.2 * hard
    parts = [vowel(rng, before, speaker, length_s), note(rng, "bell", 0.0, 0.5), vowel(rng, after, speaker, length_s)]
    return Scene(in_turn(parts, 0.12), "mix-sound-speech", {"after": f"{before}, then bell, then {after}"})


def odd_word(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Four words, one of them another word."""
    place = PLACES.index(fact(rng, facts, "odd", PLACES))
    usual, other = some(rng, WORDS, 2)
    words = [other if i == place else usual for i in range(4)]
    speaker = pick(rng, PEOPLE[:3])
    voice = in_turn([vowel(rng, word, speaker, 0.36 - 0.1 * hard) for word in words], 0.08)
    return Scene(voice, "speech", {"odd": ", then ".join(words)})


def turns(rng: Generator, hard: float, facts: Facts) -> Scene:
    """Two or three voices that take turns."""
    speakers = some(rng, PEOPLE, int(rng.integers(2, 4)))
    if "same" in facts:
        speakers = speakers[:1] * 2 if facts["same"] == "one" else speakers[:2]
    if "first_speaker" in facts:
        speakers = [facts["first_speaker"], *[s for s in speakers if s != facts["first_speaker"]][:2]]
    if "last_speaker" in facts:
        speakers = [*[s for s in speakers if s != facts["last_speaker"]][:2], facts["last_speaker"]]
    length_s = 0.55 - 0.15 * hard
    voice = in_turn([vowel(rng, pick(rng, WORDS), s, length_s, _declining(rng, length_s)) for s in speakers], 0.1)
    order = ", then ".join(f"a {speaker}" for speaker in speakers)
    mixed, modality = over(rng, _level(hard), voice, pick(rng, ("none", "none", "music", *SURROUNDINGS[:2])))
    return Scene(mixed, modality, dict.fromkeys(("same", "first_speaker", "last_speaker"), order))


def mood(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A voice in a mood: calm is slow and level, excited fast and high, sad slow and falling, angry fast and harsh."""
    feeling = fact(rng, facts, "mood", MOODS)
    speaker = pick(rng, ("woman", "man"))
    fast = feeling in ("excited", "angry")
    length_s = 0.2 + 0.06 * hard if fast else 0.55 - 0.1 * hard
    parts = []
    for index in range(6 if fast else 3):
        bend: float | Signal = 9.0 + 3.0 * (index % 2) if feeling == "excited" else 0.0
        if feeling == "sad":
            bend = -3.0 * index - np.linspace(0, 4, samples(length_s))
        part = vowel(rng, pick(rng, WORDS), speaker, length_s, bend)
        parts.append(np.clip(part * 8, -0.35, 0.35) if feeling == "angry" else part)
    manner = {
        "calm": "slow level words",
        "excited": "fast high words",
        "sad": "slow falling words",
        "angry": "fast harsh words",
    }
    mixed, modality = over(
        rng, _level(hard), in_turn(parts, 0.06), pick(rng, ("none", "none", "music", *SURROUNDINGS[:3]))
    )
    return Scene(mixed, modality, {"mood": manner[feeling]})


def intonation(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A word whose pitch takes a course: a lexical tone, or the rise of a question."""
    shape = fact(rng, facts, "tone", tuple(SHAPES))
    if "intent" in facts:
        shape = {"asking": "rising", "telling": "falling"}[facts["intent"]]
    speaker = pick(rng, ("woman", "man", "child"))
    length_s = 1.3 - 0.3 * hard
    bend = SHAPES[shape](np.linspace(0, 1, samples(length_s))) * (16 - 9 * hard)
    voice = in_turn([vowel(rng, pick(rng, WORDS), speaker, length_s, bend)], 0.1, 0.1)
    mixed, modality = over(rng, _level(hard), voice, pick(rng, ("none", "none", "music", "rain")))
    return Scene(mixed, modality, dict.fromkeys(("tone", "intent"), f"{shape} pitch"))


def language(rng: Generator, hard: float, facts: Facts) -> Scene:
    """A phrase in a kind of language: tonal, syllable-timed (even), stress-timed (stressed), or whistled."""
    kind = fact(rng, facts, "language", LANGUAGES)
    if "tonal" in facts:
        kind = "tonal" if facts["tonal"] == "yes" else pick(rng, ("even", "stressed"))
    speaker = pick(rng, ("woman", "man"))
    parts = []
    for index in range(6):
        length_s = 0.26 if kind != "stressed" else 0.12 if index % 3 else 0.5
        t = np.linspace(0, 1, samples(length_s))
        if kind == "whistled":
            parts.append(periodic([0.8], 1600.0 * 2 ** (rng.uniform(-0.5, 0.5) * t), length_s))
        else:
            shape = ("rising", "falling", "dipping")[index % 3] if kind == "tonal" else "level"
            parts.append(vowel(rng, pick(rng, WORDS), speaker, length_s, SHAPES[shape](t) * (16 - 9 * hard)))
    heard = {
        "tonal": "words of changing pitch",
        "even": "short level words",
        "stressed": "long and short words",
        "whistled": "whistled words",
    }[kind]
    return Scene(in_turn(parts, 0.08), "speech", dict.fromkeys(("language", "tonal"), heard))
