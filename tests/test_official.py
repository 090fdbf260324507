"""MMAR's string match, against a restatement of its definition and against counts on the real metadata."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audio_reasoning.core.records import Audio, Question, Response
from audio_reasoning.tasks.official import official_match, submitted_text
from tests.mmar import METADATA, SAMPLE

PHRASES = st.lists(st.sampled_from(["near", "Far", "to", "C", "am", "猫", "é", "_x", "2", "-", ".", " "]), max_size=5)
TEXTS = PHRASES.map(" ".join) | st.text(max_size=12)


def restated(prediction, answer, choices):
    """The definition once more, word by word over the characters, without sets of tokens."""

    def words(text):
        return "".join(c if c.isalnum() or c == "_" or re.match(r"\w", c) else " " for c in text.lower()).split()

    said, right = words(prediction), words(answer)
    if len(said) == 0:
        return False
    for word in right:
        if word not in said:
            return False
    for choice in choices:
        if sorted(set(words(choice))) == sorted(set(right)):
            continue
        for word in words(choice):
            if word not in right and word in said:
                return False
    return True


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=5))
@example("from far to near", "from near to far", ["from near to far", "from far to near"])
@example("", "", [""])
@example("a", "", ["a", ""])
def test_agrees_with_a_restatement_of_the_definition(prediction, answer, choices):
    assert official_match(prediction, answer, choices) == restated(prediction, answer, choices)


@given(TEXTS.filter(lambda text: re.search(r"\w", text)), st.lists(TEXTS, max_size=4))
def test_the_right_choice_verbatim_is_always_right(answer, others):
    assert official_match(answer, answer, [answer, *others])


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def metadata():
    if not METADATA.is_file():
        pytest.skip("MMAR's metadata is not here; set MMAR_METADATA to its path")
    return rows_of(METADATA)


def letter(row):
    return "ABCDEF"[row["choices"].index(row["answer"])]


def test_wrong_choices_that_the_official_match_takes_for_right(metadata):
    accepted = [
        row["id"]
        for row in metadata
        for choice in row["choices"]
        if choice != row["answer"] and official_match(choice, row["answer"], row["choices"])
    ]
    assert (len(accepted), len(set(accepted))) == (28, 20)


WRAPPERS = {  # around a choice, and how many right answers still count
    "{x}": 1000,
    "**{x}**": 1000,
    r"\boxed{{{x}}}": 1000,
    "Answer: {x}": 996,
    "<answer>{x}</answer>": 996,
    "{letter}. {x}": 985,
    "({letter}) {x}": 985,
    "Option {letter}: {x}": 985,
    "The answer is {x}.": 910,
    "The correct answer is {letter}. {x}": 897,
    "Based on the audio, the answer is {x}": 889,
    "In the audio I hear that it is {x}": 872,
    "{letter}": 0,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_how_many_right_answers_survive_a_wrapper(metadata, wrapper):
    predictions = [wrapper.format(x=row["answer"], letter=letter(row)) for row in metadata]
    pairs = zip(predictions, metadata, strict=True)
    accepted = sum(official_match(text, row["answer"], row["choices"]) for text, row in pairs)
    assert accepted == WRAPPERS[wrapper]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_choice_in_every_wrapper_is_judged_as_by_the_definition(metadata, wrapper):
    judged = 0
    for row in metadata:
        for option, choice in zip("ABCDEF", row["choices"], strict=False):
            text = wrapper.format(x=choice, letter=option)
            expected = restated(text, row["answer"], row["choices"])
            assert official_match(text, row["answer"], row["choices"]) == expected, (row["id"], text)
            judged += 1
    assert (len(metadata), judged) == (1000, 815 * 4 + 171 * 2 + 10 * 3 + 3 * 5 + 6)


def test_every_choice_of_the_sample_in_every_wrapper_is_judged_as_by_the_definition():
    rows, accepted = rows_of(SAMPLE), set()
    for row, wrapper in ((row, wrapper) for row in rows for wrapper in WRAPPERS):
        for option, choice in zip("ABCDEF", row["choices"], strict=False):
            text = wrapper.format(x=choice, letter=option)
            right = official_match(text, row["answer"], row["choices"])
            assert right == restated(text, row["answer"], row["choices"]), (row["id"], text)
            if right and choice != row["answer"] and wrapper == "{x}":
                accepted.add(choice)
    assert accepted == {"From near to far"}


QUESTION = Question(
    id="q",
    audio=Audio("mini/q.flac", "0" * 64, 1.0),
    question="Who?",
    choices=("A dog ", "A cat"),
    answer=0,
    category="Semantic Layer",
    sub_category="Content Analysis",
    modality="sound",
    language=None,
    source="mini",
    group="q",
)


@pytest.mark.parametrize(
    ("text", "answer", "submitted"),
    [
        ("<think>x</think>ANSWER: a dog.", 0, "A dog "),
        ("<think>x</think>ANSWER: a horse", None, "a horse"),
        ("<think>x</think>It is a dog.", None, "It is a dog."),
        ("<think>A dog", None, ""),
        ("", None, ""),
    ],
)
def test_what_would_be_submitted(text, answer, submitted):
    status = "no_answer" if answer is None else "ok"
    response = Response("q", 0, status, text, "x", answer, "", "stop", 1, 1)
    assert submitted_text(QUESTION, response) == submitted
