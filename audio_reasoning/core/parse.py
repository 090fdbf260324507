"""JSON and YAML that a person, a merge or another program may have broken: told in one message, never a traceback."""

import json
import re
from typing import Any

import yaml

from audio_reasoning.core.errors import UserError

CONFLICT = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)


def parse_json(text: str, where: str, first_line: int = 1) -> Any:
    """The JSON value of a text that begins on line `first_line` of `where`.

    Raises UserError, naming the line, for what is no JSON, is nested too deeply, or holds a number too long to read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise UserError(f"{where}:{line}: not valid JSON ({error.msg}){_conflict(text)}") from None
    except RecursionError:
        raise UserError(f"{where}:{first_line}: JSON nested too deeply to be read") from None
    except ValueError as error:  # Python refuses integers of thousands of digits
        raise UserError(f"{where}:{first_line}: not valid JSON ({error})") from None


def parse_yaml(text: str, where: str) -> Any:
    """The YAML value of a text; UserError, prefixed by `where`, for what is no YAML or nested too deeply."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that there is not
        raise UserError(f"{where}: not valid YAML: {error}{_conflict(text)}") from None
    except RecursionError:
        raise UserError(f"{where}: YAML nested too deeply to be read") from None


def _conflict(text: str) -> str:
    return "; it holds the markers of a merge conflict, which is to be resolved first" if CONFLICT.search(text) else ""
