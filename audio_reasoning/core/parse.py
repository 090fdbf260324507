"""JSON and YAML that a person, a merge or another program may have broken: told in one message, never a traceback.

What Python reads and no file can then be given is refused as well: NaN and infinite numbers, which JSON does not know,
and halves of surrogate pairs, which UTF-8 cannot express.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from audio_reasoning.core.errors import UserError

CONFLICT = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()
# What is refused is found in two steps. This one is quick, and finds too much: an emoji may be written as two halves.
SUSPECT = re.compile(r"\\u[dD][89a-fA-F]|NaN|Infinity|[eE]\+?\d{3}|\d{309}")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)|-?\d[\d.]*(?:[eE][+-]?\d+)?')
ESCAPE = re.compile(r"\\u(?:d[89ab]..\\ud[c-f]..|(?P<half>d[89a-f]..))|\\.", re.IGNORECASE)
HALF = "half of a surrogate pair ({}), which is no character; remove it, or write the whole character"


def parse_json(text: str, where: str, first_line: int = 1) -> Any:
    """The JSON value of a text that begins on line `first_line` of `where`.

    Raises UserError, naming the line, for what is no JSON, is nested too deeply, or holds a number too long to read,
    NaN, an infinite number or half of a surrogate pair.
    """
    value, end = _value(text, _past_space(text, 0), where, first_line)
    if end < len(text):
        raise _invalid("Extra data", text, end, where, first_line)
    return value


def parse_json_rows(text: str, where: str) -> Iterator[tuple[str, Any]]:
    """Each value of JSON lines, or of one JSON array, with its place for messages; a value may take several lines.

    Raises UserError as `parse_json` does.
    """
    start = _past_space(text, 0)
    in_array = text.startswith("[", start)
    position = _past_space(text, start + 1) if in_array else start
    if in_array and text.startswith("]", position):
        in_array, position = False, _past_space(text, position + 1)
        if position < len(text):
            raise _invalid("Extra data", text, position, where)
    if in_array and position == len(text):
        raise _invalid("Expecting value", text, position, where)
    line, counted, number = 1, 0, 0
    while position < len(text):
        line, counted, number = line + text.count("\n", counted, position), position, number + 1
        value, position = _value(text, position, where)
        yield f"{where}:{line}" + (f" (item {number})" if in_array else ""), value
        if in_array:
            in_array = text.startswith(",", position)
            if not in_array and not text.startswith("]", position):
                raise _invalid("Expecting ',' or ']'", text, position, where)
            position = _past_space(text, position + 1)
            if in_array and position == len(text):
                raise _invalid("Expecting value", text, position, where)
            if not in_array and position < len(text):
                raise _invalid("Extra data", text, position, where)


def _past_space(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    return match.end() if match else position


def _value(text: str, start: int, where: str, first_line: int = 1) -> tuple[Any, int]:
    """The value that begins at `start`, and where what follows it and white space begins."""
    try:
        value, end = DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _invalid(error.msg, text, error.pos, where, first_line) from None
    except RecursionError:
        raise UserError(f"{where}:{_line(text, start, first_line)}: JSON nested too deeply to be read") from None
    except ValueError as error:  # Python refuses integers of thousands of digits
        raise UserError(f"{where}:{_line(text, start, first_line)}: not valid JSON ({error})") from None
    if SUSPECT.search(text, start, end):
        for position, why in _unusable(text, start, end):
            raise UserError(f"{where}:{_line(text, position, first_line)}: holds {why}")
    return value, _past_space(text, end)


def _unusable(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Where sound JSON holds what cannot be written again, and what that is."""
    for token in TOKEN.finditer(text, start, end):
        if token[0].startswith('"'):
            for escape in ESCAPE.finditer(text, token.start(), token.end()):
                if escape["half"]:
                    yield escape.start(), HALF.format(escape[0])
        elif not math.isfinite(float(token[0])):
            yield token.start(), f"{token[0][:20]}, which is no number in JSON; write null, or leave the field out"


def _line(text: str, position: int, first_line: int = 1) -> int:
    return first_line + text.count("\n", 0, position)


def _invalid(what: str, text: str, position: int, where: str, first_line: int = 1) -> UserError:
    return UserError(f"{where}:{_line(text, position, first_line)}: not valid JSON ({what}){_conflict(text)}")


def parse_yaml(text: str, where: str) -> Any:
    """The YAML value of a text; UserError, prefixed by `where`, for what `parse_json` refuses, but for NaN."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that there is not
        raise UserError(f"{where}: not valid YAML: {error}{_conflict(text)}") from None
    except RecursionError:
        raise UserError(f"{where}: YAML nested too deeply to be read") from None
    if escape := re.search(r"\\u[dD][89a-fA-F]..|\\U0000[dD][89a-fA-F]..", text):
        try:
            json.dumps(value, ensure_ascii=False, default=str, skipkeys=True, check_circular=False).encode()
        except UnicodeEncodeError:
            raise UserError(f"{where}:{_line(text, escape.start())}: holds {HALF.format(escape[0])}") from None
    return value


def _conflict(text: str) -> str:
    return "; it holds the markers of a merge conflict, which is to be resolved first" if CONFLICT.search(text) else ""
