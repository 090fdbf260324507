"""The judge of MMAR-mini: a rule that checks a trace against what its clip holds, known since the clip was made.

It asks no model, gives one rating, and gives it again for ever. Its scores show that rubric judging works from end
to end, and which part of a trace is wrong; they are no MMAR-Rubrics scores, and nothing compares the two.

What decides a question is heard as a row of units ("bell", "drum"; "chirp one", "chirp two"). A trace is read for
units of the same kind, right or wrong, the longest that fits first ("very fast beats" is not "fast beats").
"""

import re
from collections.abc import Mapping, Sequence

from audio_reasoning.judging.rubric_file import Evidence, Rubric

RULES = ("hears_all", "in_order", "nothing_else", "concludes", "follows")
_ARTICLES = ("a", "an", "the")


def units(heard: str) -> tuple[str, ...]:
    """The units of a description of what is heard.

    >>> units("a note, then a louder note"), units("chirp one, chirp two")
    (('note', 'louder note'), ('chirp one', 'chirp two'))
    """
    parts = [_words(part) for part in re.split(r",(?: then)? ", heard)]
    return tuple(" ".join(part[1:] if part[0] in _ARTICLES and len(part) > 1 else part) for part in parts)


def rubric_of(evidence: Mapping[str, str], question: str, answer: str, vocabulary: Sequence[str]) -> Rubric:
    """The five items for a `question` of MMAR-mini.

    `evidence` is its source's: what is `heard`, and the `analysis` that leads to the right `answer`; `vocabulary` are
    the units that can be heard where such a question is asked. Those that the question or the reference names may be
    named: the item that forbids the others lists none of them, as `judge_trace` holds none against a trace.
    """
    heard = units(evidence["heard"])
    reference = f"{evidence['heard']}; {evidence['analysis']}."
    may_be_named = {*_named(reference, vocabulary), *_named(question, vocabulary)}
    others = [unit for unit in vocabulary if unit not in may_be_named]
    return Rubric(
        items=(
            f"Names all that is heard and matters here: {', '.join(dict.fromkeys(heard))}.",
            f"Tells first what is heard, in its order and number: {', '.join(heard)}.",
            "Names something that is heard, and nothing that is not" + (f": {', '.join(others)}." if others else "."),
            f"Says the answer in words: {answer}.",
            "Draws the conclusion after all that is heard has been told.",
        ),
        reference=reference,
        evidence=Evidence(heard, tuple(vocabulary)),
    )


def judge_trace(trace: str, question: str, answer: str, reference: str, evidence: Evidence) -> tuple[int, ...]:
    """Whether `trace` meets each item of `rubric_of`, 1 or 0, in the order of RULES.

    `answer` is the right choice's text. What the question or the reference names besides what is heard (the sound
    that is asked for, and absent) may be named.
    """
    words = _words(trace)
    mentions = _mentions(words, evidence.vocabulary)
    named = [unit for unit, _ in mentions]
    count = len(evidence.heard)
    in_order = tuple(named[:count]) == evidence.heard
    may_be_named = {*evidence.heard, *_named(reference, evidence.vocabulary), *_named(question, evidence.vocabulary)}
    checks = {
        "hears_all": set(evidence.heard) <= set(named),
        "in_order": in_order,
        "nothing_else": bool(named) and set(named) <= may_be_named,
        "concludes": _says(words, answer),
        "follows": in_order and _says(words[mentions[count - 1][1] :], answer),
    }
    return tuple(int(checks[rule]) for rule in RULES)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _named(text: str, vocabulary: Sequence[str]) -> list[str]:
    return [unit for unit, _ in _mentions(_words(text), vocabulary)]


def _mentions(words: list[str], vocabulary: Sequence[str]) -> list[tuple[str, int]]:
    """The units in a list of words, in order, each with the place where it ends."""
    longest_first = sorted((unit.split() for unit in vocabulary), key=len, reverse=True)
    mentions, place = [], 0
    while place < len(words):
        unit = next((unit for unit in longest_first if words[place : place + len(unit)] == unit), None)
        place += len(unit) if unit else 1
        if unit:
            mentions.append((" ".join(unit), place))
    return mentions


def _says(words: list[str], text: str) -> bool:
    phrase = _words(text)
    return any(words[place : place + len(phrase)] == phrase for place in range(len(words) - len(phrase) + 1))
