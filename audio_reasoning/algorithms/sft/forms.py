"""The forms of thinking that a model is taught, written from what is given of a question.

`structured` has the four parts of SARI (Wen et al. 2025, arXiv 2504.15900): planning, caption, reasoning, summary;
`heard` has the two of the prompt structured_reasoning. What is given as thinking alone has no parts to tell apart: it
is learnt as `free`, without it as `none`, and as `structured` where it has SARI's parts already.
"""

import re

from audio_reasoning.algorithms.sft.params import Form
from audio_reasoning.tasks.given_traces import GivenTrace

PARTS = ("PLANNING", "CAPTION", "REASONING", "SUMMARY")
# Words of what cannot be heard. A sentence with one is left out: traces of videos tell what the camera sees.
_SEEN = re.compile(
    r"\b(?:see|sees|seen|visible|visually|visual|video|footage|image|images|picture|frame|camera|screen|watch\w*|"
    r"colou?r\w*|wearing|on-screen)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def thinking_of(given: GivenTrace, form: Form, answer: str) -> str | None:
    r"""What stands between the tags in that form; None where it cannot be written from what is given.

    >>> thinking_of(GivenTrace("q", "a bell", "it rings twice"), "heard", "two")
    'HEARD: a bell.\nANALYSIS: it rings twice.'
    >>> thinking_of(GivenTrace("q", thinking="A dog barks. A man is seen."), "free", "a dog")
    'A dog barks.'
    """
    if form == "none":
        return ""
    if given.heard:
        return _written(given, form, answer)
    audible = without_seen(given.thinking)
    if form == "structured":
        return audible if all(re.search(rf"\b{part}\b", audible, re.IGNORECASE) for part in PARTS) else None
    return (audible or None) if form == "free" else None


def _written(given: GivenTrace, form: Form, answer: str) -> str:
    if form == "heard":
        return f"HEARD: {given.heard}.\nANALYSIS: {given.analysis}."
    if form == "free":
        return f"{given.heard}; {given.analysis}."
    plan = "listen for what decides between the choices"
    said = (plan, given.heard, given.analysis, answer)
    return "\n".join(f"{part}: {text}." for part, text in zip(PARTS, said, strict=True))


def without_seen(text: str) -> str:
    """The text without its sentences that tell what is seen.

    >>> without_seen("Rain falls. The video shows a street! Thunder follows.")
    'Rain falls. Thunder follows.'
    """
    return " ".join(sentence for sentence in _SENTENCE.split(text.strip()) if not _SEEN.search(sentence))
