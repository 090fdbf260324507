"""JSON and YAML that somebody or something broke: always one message, with the place."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, read_jsonl
from audio_reasoning.core.parse import parse_json, parse_yaml

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


@given(st.text())
def test_any_text_is_a_value_or_a_message(text):
    for parse, load in ((parse_json, json.loads), (parse_yaml, yaml.safe_load)):
        try:
            value = parse(text, "f")
        except UserError as error:
            assert str(error).startswith("f:")
        else:
            assert repr(value) == repr(load(text))
