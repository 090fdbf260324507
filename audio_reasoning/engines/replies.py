"""What an HTTP reply to a chat request is worth: an answer, a fault that may pass, or the end of the run."""

import json
import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import orjson

_LEAST_SECRET = 6  # a shorter one is none, and would be found in ordinary words


class PassingError(Exception):
    """A try that gave no answer, though another may; the server asks to be left alone for `wait_s` seconds.

    `reached` tells whether the server was there at all.
    """

    def __init__(self, failure: str, wait_s: float = 0.0, *, reached: bool = True) -> None:
        super().__init__(failure)
        self.wait_s = wait_s
        self.reached = reached


class NoApiError(ValueError):
    """What answers is no API of this kind: a web page came, or a stream that nobody asked for."""


def encode(value: Any) -> bytes:
    """A JSON value as bytes."""
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair, or a number beyond 64 bits
        return json.dumps(value).encode()


def decode(content: bytes) -> Any:
    """The JSON value of a reply with status 200. Raises ValueError; NoApiError where it is something else."""
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    start = content[:200].decode(errors="replace").strip()
    if not start:
        raise ValueError("an empty reply came")
    if start.startswith("<"):
        raise NoApiError(f"a web page came instead of JSON: {start!r}")
    if start.startswith(("data:", "event:", ":")):
        raise NoApiError(f"a stream of events came, which was not asked for: {start!r}")
    try:
        return json.loads(content)  # reads what orjson does not: half a surrogate pair, NaN
    except ValueError:
        raise ValueError(f"a reply came that is no JSON, or not all of it: {start!r}") from None


def reason(content: bytes, secrets: Iterable[str]) -> str:
    """The server's own words in a reply with another status than 200, without the secrets that it may repeat."""
    try:
        detail = orjson.loads(content)
        if isinstance(detail, dict):
            detail = detail.get("error") or detail
        if isinstance(detail, dict):
            detail = detail.get("message") or detail
        text = str(detail)
    except ValueError:
        text = content.decode(errors="replace")
    for secret in secrets:
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, "***")
    return " ".join(text.split())[:500]


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The wait that a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3); 0 without one."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (ValueError, TypeError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)


def duration(seconds: float) -> str:
    """A wait in words.

    >>> duration(86_400), duration(90), duration(float("inf"))
    ('24 h', '90 s', 'for ever')
    """
    if math.isinf(seconds):
        return "for ever"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
