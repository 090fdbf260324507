"""MMAR's schema: what is read, and what is refused with file, line and id."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.clips import source_video
from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.mmar_schema import parse_row, read_rows
from tests.mmar import METADATA, SAMPLE, needs_metadata

ROW = {
    "id": "abc_00-00-01_00-00-05",
    "audio_path": "./audio/abc_00-00-01_00-00-05.wav",
    "question": "What is heard?",
    "choices": ["rain", "wind", "a bell"],
    "answer": "wind",
    "modality": "sound",
    "category": "Perception Layer",
    "sub-category": "Temporal Analysis",
    "language": None,
    "source": "youtube",
    "url": "https://example.org/abc",
    "timestamp": "00:00:01,00:00:05",
}


REQUIRED = ("id", "audio_path", "question", "choices", "answer", "modality", "category", "sub-category")
VALUES = st.none() | st.text() | st.integers() | st.lists(st.text())


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_an_array_and_lines_read_alike(tmp_path):
    rows = [ROW, {**ROW, "id": "other"}]
    (tmp_path / "q.json").write_text(json.dumps(rows), encoding="utf-8")
    write_lines(tmp_path / "q.jsonl", rows)
    first, second = read_rows(tmp_path / "q.json"), read_rows(tmp_path / "q.jsonl")
    assert first == second
    assert first[0].answer == 1 and first[0].choices == ("rain", "wind", "a bell")
    assert first[0].audio_path == "audio/abc_00-00-01_00-00-05.wav"


def test_choices_are_kept_verbatim_and_the_answer_may_differ_in_outer_spaces():
    row = parse_row({**ROW, "choices": ["Andrew ", " Bo"], "answer": "Andrew"}, "q")
    assert row.choices == ("Andrew ", " Bo") and row.answer == 0


def test_an_exact_answer_wins_over_case():
    assert parse_row({**ROW, "choices": ["No", "no"], "answer": "no"}, "q").answer == 1


def test_blank_choices_are_counted_and_left_out():
    row = parse_row({**ROW, "choices": ["rain", "wind", ""]}, "q")
    assert row.choices == ("rain", "wind") and row.blank_choices == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": []}, "at least two choices"),
        ({"choices": ["wind", " "]}, "at least two choices"),
        ({"choices": "rain, wind"}, "'choices' must be a list of texts"),
        ({"choices": ["wind", 3]}, "'choices' must be a list of texts"),
        ({"choices": ["wind", "wind "]}, "'wind' is given twice"),
        ({"answer": "Wind"}, "the answer 'Wind' is not one of the choices"),
        ({"answer": "win"}, "the answer 'win' is not one of the choices"),
        ({"answer": 1}, "'answer' must be a text"),
        ({"question": "  "}, "'question' must be a text that is not blank"),
        ({"language": 7}, "'language' must be a text or null"),
        ({"split": "eval"}, "'split' must be one of train, dev, test"),
        ({"audio_path": "../x.wav"}, "'audio_path' must lie inside"),
        ({"audio_path": "a/../../x.wav"}, "'audio_path' must lie inside"),
        ({"audio_path": "/etc/passwd"}, "'audio_path' must lie inside"),
        ({"audio_path": "..\\x.wav"}, "'audio_path' must lie inside"),
    ],
)
def test_a_bad_row_is_refused_with_file_line_and_id(tmp_path, change, message):
    path = write_lines(tmp_path / "q.jsonl", [{**ROW, "id": "fine"}, {**ROW, **change}])
    with pytest.raises(UserError, match=message) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}:2 (id '{ROW['id']}'): ")


@pytest.mark.parametrize(
    "field", ["audio_path", "question", "choices", "answer", "modality", "category", "sub-category"]
)
def test_a_missing_field_is_named(tmp_path, field):
    path = write_lines(tmp_path / "q.jsonl", [{k: v for k, v in ROW.items() if k != field}])
    with pytest.raises(UserError, match=rf"q\.jsonl:1 .*{field}"):
        read_rows(path)


def test_a_row_without_an_id_is_named_by_its_line(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", [{k: v for k, v in ROW.items() if k != "id"}])
    with pytest.raises(UserError, match=r"q\.jsonl:1: the field 'id' is missing"):
        read_rows(path)


def test_blank_lines_do_not_shift_line_numbers(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("\n" + json.dumps(ROW) + "\n\n" + json.dumps({**ROW, "id": "b", "answer": "?"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"q\.jsonl:4 \(id 'b'\)"):
        read_rows(path)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("modality", "speech", "Speech"),
        ("category", "Perception Layer", "perception  layer"),
        ("category", "Perception Layer", "Perception"),
        ("sub-category", "Temporal Analysis", "Temporal-Analysis "),
        ("sub-category", "Musik für Anfänger", "Musik fu\u0308r Anfa\u0308nger"),
        ("modality", "mix-sound", "mix\u00a0sound"),
    ],
)
def test_one_label_in_two_spellings_is_refused_with_both(tmp_path, field, one, other):
    path = write_lines(tmp_path / "q.jsonl", [{**ROW, field: one}, {**ROW, "id": "b", field: other}])
    for dropped in (None, []):
        with pytest.raises(UserError) as caught:
            read_rows(path, dropped)
        assert str(caught.value).startswith(f"{path}:2 (id 'b'): the {field} {other!r} is {one!r} in {path}:1 ")


def test_labels_that_differ_in_a_word_are_two(tmp_path):
    path = write_lines(
        tmp_path / "q.jsonl", [ROW, {**ROW, "id": "b", "modality": "mix-sound", "category": "Signal Layer"}]
    )
    assert len(read_rows(path)) == 2


def test_an_id_used_twice_is_refused_with_both_places(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", [ROW, {**ROW, "id": "b"}, ROW])
    with pytest.raises(UserError, match=r"q\.jsonl:3: id .* is taken by .*q\.jsonl:1"):
        read_rows(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.json", "{}", r"q\.json:1: the field 'id' is missing"),
        ("q.json", '["x"]', r"q\.json:1 \(item 1\): expected a JSON object"),
        ("q.json", "[", "not valid JSON"),
        ("q.json", "[] []", "not valid JSON"),
        ("q.json", "[]", "holds no questions"),
        ("q.jsonl", "\n", "holds no questions"),
        ("q.jsonl", "{}\n{", r"q\.jsonl"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / name)


@given(
    st.dictionaries(
        st.sampled_from([*ROW, "group", "split"]), st.none() | st.text() | st.integers() | st.lists(st.text())
    )
)
def test_any_row_is_read_or_refused_with_a_message(change):
    try:
        row = parse_row({**ROW, **change}, "q:1")
    except UserError as error:
        assert str(error).startswith("q:1")
    else:
        assert 0 <= row.answer < len(row.choices) and row.choices[row.answer].strip() == row.raw["answer"].strip()


@pytest.mark.parametrize(
    ("row_id", "video"),
    [
        ("qx8hrhBZJ98_00-01-32_00-02-02", "qx8hrhBZJ98"),
        ("WZy02_OFErk_00-00-11_00-00-28", "WZy02_OFErk"),
        ("BV1kx411m7UN_2-45_3-15", "BV1kx411m7UN"),
        ("plain", None),
    ],
)
def test_the_source_video_is_the_id_without_timestamps(row_id, video):
    assert source_video(row_id) == video


def test_the_group_is_the_sources_own_or_the_video_or_the_clip():
    assert parse_row({**ROW, "group": "mine"}, "q").group == "mine"
    assert parse_row(ROW, "q").group == "abc"
    assert parse_row({**ROW, "id": "q1", "audio_path": "set/x.wav"}, "q").group == "set/x.wav"


def test_a_sample_like_it_is_read_whole():
    rows = read_rows(SAMPLE)
    assert (len(rows), len({row.group for row in rows}), sum(row.blank_choices for row in rows)) == (32, 28, 4)
    assert {len(row.choices) for row in rows} == {2, 3, 4, 6}


@needs_metadata
def test_the_real_metadata_is_read_whole():
    rows = read_rows(METADATA)
    assert len(rows) == 1000
    assert len({row.group for row in rows}) == 911
    assert sum(row.blank_choices for row in rows) == 4
    assert Counter(len(row.choices) for row in rows)[4] == 818
    assert {row.split for row in rows} == {None}
