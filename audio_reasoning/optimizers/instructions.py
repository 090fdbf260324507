"""Instructions as an optimiser handles them: one spelling for each, and what can be none."""

import inspect
import re
from collections.abc import Collection

from audio_reasoning.prompts.registry import Prompt

MOST_CHARS = 4000
FIELD = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}|\{\w*\}")  # of a template, or of str.format
MARKER = re.compile(r"\[\[\s*##|##\s*\]\]|<\|")  # of DSPy's fields, and of turns in a chat template
NO_SYSTEM_TEXT = "Answer the multiple-choice question about the recording."


def canonical(text: str) -> str:
    r"""The one spelling of an instruction: blanks that nobody sees are gone, and DSPy keeps it as it is.

    >>> canonical("  Listen.\n\n\n   - Count.  \n   - Choose.\n")
    'Listen.\n\n- Count.\n- Choose.'
    """
    lines = [re.sub(r"\s", " ", line).rstrip() for line in text.split("\n")]
    cleaned = re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip())
    # A signature keeps its instructions as a docstring, which Python frees of common indentation.
    while (dedented := inspect.cleandoc(cleaned).strip()) != cleaned:
        cleaned = dedented
    return cleaned


def shown(prompt: Prompt) -> str:
    """The system text of a prompt as an optimiser is shown it, which takes an empty one for its own default."""
    return canonical(prompt.system) or NO_SYSTEM_TEXT


def refusal(text: str, known: Collection[str]) -> str:
    """Why an instruction in its one spelling cannot be tried, in a word or two; empty where it can.

    `known` are the instructions that are there already.

    >>> refusal("Listen to {question}.", []), refusal("Listen.", ["Listen."]), refusal("Listen.", [])
    ('template', 'repeated', '')
    """
    if not text:
        return "empty"
    if text in known:
        return "repeated"
    if len(text) > MOST_CHARS:
        return "too long"
    if FIELD.search(text):
        return "template"
    if MARKER.search(text):
        return "markers"
    if not all(line.isprintable() for line in text.split("\n")):
        return "unprintable"
    return ""
