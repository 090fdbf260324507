"""Records read back: as they were written, or refused with file, line and field."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.choices import kept_choices, right_choice
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Audio, Question, question_from, read_questions, to_dict

QUESTION = Question(
    id="q1",
    audio=Audio("mini/a.flac", "0" * 64, 2.0),
    question="Which sound is heard?",
    choices=(" a bell", "rain"),
    answer=1,
    category="Perception Layer",
    sub_category="Music Theory",
    modality="sound",
    language=None,
    source="mini",
    group="a",
)
ROW = json.loads(json.dumps(to_dict(QUESTION)))
TEXTS = ("id", "question", "category", "sub_category", "modality", "source", "group")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def refused(change: dict) -> str:
    with pytest.raises(UserError) as caught:
        question_from({**ROW, **change}, "q.jsonl:7")
    assert str(caught.value).startswith("q.jsonl:7: ")
    return str(caught.value)


def test_a_question_is_read_as_it_was_written():
    assert question_from(ROW) == QUESTION
    assert question_from({**ROW, "language": "en"}).language == "en"
    assert question_from({**ROW, "audio": {**ROW["audio"], "duration_s": 2}}).audio.duration_s == 2


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", [None, 3, ["a"]])
def test_a_text_must_be_a_text(field, value):
    assert f"'{field}' must be a text, found {json.dumps(value)}" in refused({field: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"language": 3}, "'language' must be a text or null, found 3"),
        ({"choices": "rain"}, "'choices' must be a list of texts"),
        ({"choices": ["rain", 2]}, "'choices' must be a list of texts"),
        ({"choices": []}, "at least two choices"),
        ({"choices": ["rain"]}, "at least two choices"),
        ({"choices": ["rain", "wind", " "]}, "'choices' must not hold a blank text"),
        ({"choices": ["rain", "rain "]}, "'rain' is given twice"),
        ({"answer": 2}, "'answer' must be the index of a choice, 0–1, found 2"),
        ({"answer": -1}, "0–1, found -1"),
        ({"answer": True}, "0–1, found true"),
        ({"answer": 1.0}, "0–1, found 1.0"),
        ({"answer": "rain"}, '0–1, found "rain"'),
        ({"audio": "mini/a.flac"}, 'audio must be an object, found "mini/a.flac"'),
        ({"audio": {"path": "a.flac", "sha256": ""}}, "audio: Audio needs the field 'duration_s'"),
        ({"audio": {**ROW["audio"], "path": None}}, "audio: 'path' must be a text"),
        ({"audio": {**ROW["audio"], "duration_s": "2"}}, "audio: 'duration_s' must be a length in seconds"),
        ({"audio": {**ROW["audio"], "duration_s": True}}, "audio: 'duration_s' must be a length in seconds"),
        ({"audio": {**ROW["audio"], "duration_s": -1.0}}, "audio: 'duration_s' must be a length in seconds"),
        ({"audio": {**ROW["audio"], "duration_s": float("nan")}}, "audio: 'duration_s' must be a length in seconds"),
        ({"choice": []}, "unknown field 'choice' of Question; did you mean \"choices\"?"),
    ],
)
def test_a_wrong_question_is_refused(change, said):
    assert said in refused(change)


@pytest.mark.parametrize("field", ROW)
def test_a_missing_field_is_named(field):
    with pytest.raises(UserError, match=f"^q: Question needs the field '{field}'$"):
        question_from({name: value for name, value in ROW.items() if name != field}, "q")


@given(st.dictionaries(st.sampled_from([*ROW]), JSON))
def test_any_question_is_read_or_refused_with_a_message(change):
    try:
        question = question_from({**ROW, **change}, "q:1")
    except UserError as error:
        assert str(error).startswith("q:1: ")
    else:
        assert question.choices[question.answer].strip()
        assert len({choice.strip() for choice in question.choices}) == len(question.choices) >= 2


@given(st.lists(st.text(max_size=3), max_size=4), st.text(max_size=3))
def test_a_right_choice_is_the_answer_up_to_outer_spaces(choices, answer):
    try:
        kept = kept_choices(choices, "q")
        index = right_choice(kept, answer, "q")
    except UserError as error:
        assert str(error).startswith("q: ")
    else:
        assert kept == tuple(choice for choice in choices if choice.strip())
        assert kept[index].strip() == answer.strip()


def test_blank_lines_do_not_shift_line_numbers(tmp_path: Path):
    (tmp_path / "r.jsonl").write_text('\n\n{"colour": 1}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"r\.jsonl:3: unknown field 'colour'"):
        read_questions(tmp_path / "r.jsonl")


def test_a_file_of_questions_may_hold_blank_lines(tmp_path: Path):
    (tmp_path / "q.jsonl").write_text(f"\n{json.dumps(ROW)}\n\n", encoding="utf-8")
    assert read_questions(tmp_path / "q.jsonl") == [QUESTION]
