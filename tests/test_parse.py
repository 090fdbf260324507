"""JSON and YAML that somebody or something broke: always one message, with the place."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, read_jsonl, read_rows, read_text
from audio_reasoning.core.parse import parse_json, parse_json_rows, parse_yaml

CONFLICT = "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n\n", "f:3: not valid JSON"),
        ("[" * 100_000, "f:1: JSON nested too deeply"),
        ('{"a": ' * 100_000, "f:1: JSON nested too deeply"),
        ("1" * 5_000, "f:1: not valid JSON (Exceeds the limit"),
        (CONFLICT.format("{}", "{}"), "merge conflict"),
        ('{"a": 1,\n' + CONFLICT.format('"b": 2', '"b": 3') + "}", "f:2: not valid JSON"),
    ],
)
def test_broken_json_is_told_with_its_line(text, told):
    with pytest.raises(UserError) as caught:
        parse_json(text, "f")
    assert told in str(caught.value) and ("merge conflict" in str(caught.value)) is ("<<<<" in text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "f: not valid YAML"),
        ("day: 2026-02-31", "f: not valid YAML: day is out of range"),
        ("[" * 50_000, "f: YAML nested too deeply"),
        (CONFLICT.format("a: 1", "a: 2"), "conflict"),
    ],
)
def test_broken_yaml_is_told(text, told):
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "f")
    assert told in str(caught.value)


def test_a_line_is_counted_from_where_the_text_begins():
    with pytest.raises(UserError, match=r"^f:8: not valid JSON"):
        parse_json("{", "f", 8)


@pytest.mark.parametrize("read", [read_json, lambda path: [*read_jsonl(path)]])
def test_files_are_read_alike(tmp_path, read):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"deep\.json:1: JSON nested too deeply"):
        read(path)


UNUSABLE = [
    ("NaN", "holds NaN"),
    ("[1, -Infinity]", "holds -Infinity"),
    ('{"a": 1e999}', "holds 1e999"),
    ("1" * 400 + ".0", "which is no number in JSON"),
    (r'"cut \ud83d"', r"half of a surrogate pair (\ud83d)"),
    (r'{"\uDE00": 1}', r"half of a surrogate pair (\uDE00)"),
    (r'"\ud83d\ud83d\ude00"', r"half of a surrogate pair (\ud83d)"),
]


@pytest.mark.parametrize(("text", "said"), UNUSABLE)
def test_what_no_file_can_be_given_again_is_told_with_its_line(text, said):
    with pytest.raises(UserError) as caught:
        parse_json(f'[\n"NaN, Infinity and 1e999 as words",\n{text}\n]', "f")
    assert str(caught.value).startswith("f:3: ") and said in str(caught.value)


@pytest.mark.parametrize("text", [r'"\ud83d\ude00"', r'"\\\\ud83d"', '"NaN"', '"1e999"', "1e300", "1e-999", '"😀"'])
def test_what_only_looks_unusable_is_read(text):
    assert parse_json(text, "f") == json.loads(text)


@given(
    st.recursive(
        st.floats() | st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_read_can_be_written(value):
    text = json.dumps(value)
    try:
        read = parse_json(text, "f")
    except UserError as error:
        assert str(error).startswith("f:1: holds ")
    else:
        json.dumps(read, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", [r'a: "\ud83d"', r'a: ["\U0000d83d"]'])
def test_half_a_character_in_yaml_is_told_with_its_line(text):
    with pytest.raises(UserError, match=r"^f:2: holds half of a surrogate pair"):
        parse_yaml(f"# why\n{text}", "f")
    assert parse_yaml(r"a: '\ud83d'", "f") == {"a": r"\ud83d"}, "no escape in single quotes"


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────

ROWS = [{"a": 1}, {"b": [2, {"c": "[,]"}]}]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows"])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("".join(json.dumps(row) + "\n" for row in ROWS), [1, 2]),
        ("\n" + "\n\n".join(json.dumps(row) for row in ROWS), [2, 4]),
        ("\r\n".join(json.dumps(row) for row in ROWS), [1, 2]),
        (json.dumps(ROWS), [1, 1]),
        (json.dumps(ROWS, indent=1) + "\n", [2, 5]),
        ("\n".join(json.dumps(row, indent=1) for row in ROWS), [1, 4]),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_array_and_lines_are_read_alike_whatever_the_name(tmp_path, name, text, lines, mark):
    path = tmp_path / name
    path.write_text(mark + text, encoding="utf-8", newline="")
    places, rows = zip(*read_rows(path), strict=True)
    assert [*rows] == ROWS
    assert [place.split(" ")[0] for place in places] == [f"{path}:{line}" for line in lines]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1}', "f:1: not valid JSON"),
        ('[{"a": 1},\n]', "f:2: not valid JSON"),
        ('[{"a": 1}\n{"b": 2}]', "f:2: not valid JSON (Expecting ',' or ']')"),
        ('[{"a": 1}]\n[]', "f:2: not valid JSON (Extra data)"),
        ('{"a": 1}\n{"b": ', "f:2: not valid JSON"),
        ('{"a": 1},\n{"b": 2}', "f:1: not valid JSON"),
        ('[\n{"a": 1},\n{"a": NaN}\n]', "f:3: holds NaN"),
        ("[", "f:1: not valid JSON"),
        ("[]]", "f:1: not valid JSON"),
    ],
)
def test_broken_rows_are_told_with_their_line(text, said):
    with pytest.raises(UserError) as caught:
        list(parse_json_rows(text, "f"))
    assert str(caught.value).startswith(said)


def test_a_row_of_another_shape_is_told_with_its_line_and_item(tmp_path):
    (tmp_path / "f").write_text("[{},\n7]")
    with pytest.raises(UserError, match=r"f:2 \(item 2\): expected a JSON object, found int"):
        list(read_rows(tmp_path / "f"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_other_unicode_encodings_are_named(tmp_path, encoding):
    (tmp_path / "f").write_text('{"a": "é"}\n', encoding=encoding)
    with pytest.raises(UserError, match=r"f:1: is UTF-16 or UTF-32 text; save it as UTF-8"):
        read_text(tmp_path / "f")


def test_a_byte_that_is_no_utf8_is_told_with_its_line(tmp_path):
    (tmp_path / "f").write_bytes(b"one\ntwo caf\xe9\n")
    with pytest.raises(UserError, match=r"f:2: not UTF-8 text \(byte 11 of the file is 0xe9\)"):
        read_text(tmp_path / "f")


@given(st.text())
def test_any_text_is_a_value_or_a_message(text):
    for parse, load in ((parse_json, json.loads), (parse_yaml, yaml.safe_load)):
        try:
            value = parse(text, "f")
        except UserError as error:
            assert str(error).startswith("f:")
        else:
            assert repr(value) == repr(load(text))
