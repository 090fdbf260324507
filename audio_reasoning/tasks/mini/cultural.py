"""Question types of MMAR's Cultural Layer."""

from audio_reasoning.tasks.mini.kind import Kind
from audio_reasoning.tasks.mini.music import PULSES, blend, next_instrument, pulse
from audio_reasoning.tasks.mini.sounds import ALARMS, HEARTS, LINES, MAKERS, alarm, balance, heart, line, maker
from audio_reasoning.tasks.mini.synth import INSTRUMENTS, SHAPES
from audio_reasoning.tasks.mini.voices import LANGUAGES, intonation, language

LAYER = "Cultural Layer"
_KNOWLEDGE, _CULTURE = "Professional Knowledge and Reasoning", "Culture of Speaker"
_IMAGINATION, _AESTHETIC = "Imagination", "Aesthetic Evaluation"

KINDS = (
    Kind(
        name="telephone_line",
        sub_category=_KNOWLEDGE,
        scene=line,
        fact="line",
        question="What does the telephone tell?",
        options=tuple(LINES),
        analysis="the telephone tells {answer}",
        brief="telephone: {answer}",
    ),
    Kind(
        name="alarm",
        sub_category=_KNOWLEDGE,
        scene=alarm,
        fact="alarm",
        question="What gives this alarm?",
        options=ALARMS,
        analysis="the alarm is a {answer}",
        brief="alarm: {answer}",
    ),
    Kind(
        name="heart",
        sub_category=_KNOWLEDGE,
        scene=heart,
        fact="heart",
        question="What would a doctor say of this heart?",
        options=tuple(HEARTS),
        analysis="the heart is {answer}",
        brief="heart: {answer}",
    ),
    Kind(
        name="lexical_tone",
        sub_category=_CULTURE,
        scene=intonation,
        fact="tone",
        question="Which tone does the word have, as in Chinese?",
        options=tuple(SHAPES),
        analysis="the tone is {answer}",
        brief="a {answer} tone",
        weight=2,
    ),
    Kind(
        name="language",
        sub_category=_CULTURE,
        scene=language,
        fact="language",
        question="What kind of language is it?",
        options=LANGUAGES,
        analysis="the language is {answer}",
        brief="a {answer} language",
        weight=2,
    ),
    Kind(
        name="tonal_language",
        sub_category=_CULTURE,
        scene=language,
        fact="tonal",
        question="Is it a tone language?",
        options=("yes", "no"),
        analysis="is it tonal, {answer}",
        brief="tonal: {answer}",
    ),
    Kind(
        name="maker",
        sub_category=_IMAGINATION,
        scene=maker,
        fact="maker",
        question="What could make these taps?",
        options=tuple(MAKERS),
        analysis="it could be a {answer}",
        brief="taps of a {answer}",
    ),
    Kind(
        name="next_instrument",
        sub_category=_IMAGINATION,
        scene=next_instrument,
        fact="next",
        question="What would be heard next?",
        options=INSTRUMENTS,
        analysis="next comes {answer}",
        brief="next {answer}",
    ),
    Kind(
        name="performance",
        sub_category=_AESTHETIC,
        scene=pulse,
        fact="pulse",
        question="How well does the player keep time?",
        options=PULSES,
        analysis="the playing is {answer}",
        brief="{answer} playing",
    ),
    Kind(
        name="blend",
        sub_category=_AESTHETIC,
        scene=blend,
        fact="blend",
        question="Is the harmony smooth or rough?",
        options=("smooth", "rough"),
        analysis="the harmony is {answer}",
        brief="a {answer} harmony",
    ),
    Kind(
        name="balance",
        sub_category=_AESTHETIC,
        scene=balance,
        fact="loud",
        question="What is too loud in the mix?",
        options=("voice", "music", "neither"),
        analysis="too loud is {answer}",
        brief="too loud: {answer}",
    ),
)
