"""Question types of MMAR's Signal Layer."""

from audio_reasoning.tasks.mini.kind import Kind
from audio_reasoning.tasks.mini.music import CHANGES, PLACES, odd_instrument, two_notes
from audio_reasoning.tasks.mini.sounds import QUALITIES, recording
from audio_reasoning.tasks.mini.voices import odd_word

LAYER = "Signal Layer"
_QUALITY, _ANOMALY, _DIFFERENCE = "Acoustic Quality Analysis", "Anomaly Detection", "Audio Difference Analysis"

KINDS = (
    Kind(
        name="recording_of_music",
        sub_category=_QUALITY,
        scene=recording,
        fact="quality",
        question="How is the recording of the music?",
        options=QUALITIES,
        analysis="the recording is {answer}",
        brief="a {answer} recording",
    ),
    Kind(
        name="recording_of_voice",
        sub_category=_QUALITY,
        scene=recording,
        fact="quality",
        question="How is the recording of the {target}?",
        options=QUALITIES,
        analysis="the recording is {answer}",
        brief="a {answer} recording",
        targets=("voice",),
    ),
    Kind(
        name="odd_instrument",
        sub_category=_ANOMALY,
        scene=odd_instrument,
        fact="odd",
        question="Which note does not fit?",
        options=PLACES,
        analysis="the {answer} is odd",
        brief="the {answer} is odd",
    ),
    Kind(
        name="odd_word",
        sub_category=_ANOMALY,
        scene=odd_word,
        fact="odd",
        question="Which word does not fit?",
        options=PLACES,
        analysis="the {answer} is odd",
        brief="the {answer} is odd",
    ),
    Kind(
        name="second_note",
        sub_category=_DIFFERENCE,
        scene=two_notes,
        fact="change",
        question="How is the second note different?",
        options=CHANGES,
        analysis="the second is {answer}",
        brief="the second is {answer}",
    ),
    Kind(
        name="louder_note",
        sub_category=_DIFFERENCE,
        scene=two_notes,
        fact="louder",
        question="Which note is louder?",
        options=("first", "second"),
        analysis="the {answer} is louder",
        brief="the {answer} is louder",
    ),
)
