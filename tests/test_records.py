"""Records read back: as they were written, or refused with file, line and field."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.choices import kept_choices, right_choice
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import (
    NO_AUDIO,
    Response,
    question_from,
    read_questions,
    response_from,
    to_dict,
)
from tests import questions

QUESTION = replace(questions.QUESTION, choices=(" a bell", "rain"))
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
        ({"answer": True}, "'answer' must be the index of a choice, found true"),
        ({"answer": 1.0}, "the index of a choice, found 1.0"),
        ({"answer": "rain"}, 'the index of a choice, found "rain"'),
        ({"audio": "mini/a.flac"}, "'audio' must be an object, found \"mini/a.flac\""),
        ({"audio": {"path": "a.flac", "sha256": ""}}, "audio: the field 'duration_s' is missing"),
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
    with pytest.raises(UserError, match=f"^q: the field '{field}' is missing$"):
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
        kept = kept_choices(choices)
        index = right_choice(kept, answer)
    except ValueError as error:
        assert "choice" in str(error)
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


RESPONSE = Response("q1", 0, "ok", "<think>It rings.</think> ANSWER: rain", "It rings.", 1, "verbatim", "stop", 5, 9)


def test_a_response_is_read_as_it_was_written():
    for response in (RESPONSE, replace(RESPONSE, completion_token_ids=(1, 2), forced=True, reasked_chars=9)):
        assert response_from(json.loads(json.dumps(to_dict(response)))) == response
    assert "forced" not in to_dict(RESPONSE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "lost"}, "'status' must be one of ok, truncated, no_answer, error, found \"lost\""),
        ({"sample_index": 0.5}, "'sample_index' must be a whole number, found 0.5"),
        ({"answer": True}, "'answer' must be a whole number or null, found true"),
        ({"prompt_tokens": "5"}, "'prompt_tokens' must be a whole number, found \"5\""),
        ({"forced": 1}, "'forced' must be true or false, found 1"),
        ({"prompt_token_ids": [1, "2"]}, 'must be a list of whole numbers or null, found "2" in prompt_token_ids[1]'),
        ({"prompt_token_ids": 7}, "'prompt_token_ids' must be a list of whole numbers or null, found 7"),
        ({"text": None}, "'text' must be a text, found null"),
        ({"thinkng": "x", "text": None}, "unknown field 'thinkng' of Response; did you mean \"thinking\"?"),
        ({"text": ["x" * 5_000]}, "xxx…"),
    ],
)
def test_a_wrong_response_is_refused(change, said):
    with pytest.raises(UserError) as caught:
        response_from({**to_dict(RESPONSE), **change}, "p.jsonl:3")
    assert str(caught.value).startswith("p.jsonl:3: ") and said in str(caught.value) and len(str(caught.value)) < 400


def test_no_line_of_a_file_says_that_there_is_no_audio():
    unheard = replace(QUESTION, audio=NO_AUDIO)
    assert unheard.audio is NO_AUDIO
    assert question_from(to_dict(unheard)).audio is not NO_AUDIO


def test_ten_thousand_responses_are_read_in_well_under_a_second():
    row, began = to_dict(RESPONSE), time.process_time()
    for _ in range(10_000):
        response_from(row)
    assert time.process_time() - began < 1
