"""A place that answers chat requests, and plain HTTP to it."""

import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from audio_reasoning.core.errors import UserError

# What needs an endpoint, and the environment variables of its address and its key.
ENDPOINT = ("infer.backend is openai", "AUDIO_REASONING_BASE_URL", "AUDIO_REASONING_API_KEY")


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server.

    `identity` holds what of the server decides its answers: it is part of each response's cache key.
    `fingerprint` also covers what a local server is allowed to read; two that agree in it are one.
    `recover` finds or starts the server again after it has gone, and returns where it is then.
    """

    backend: Literal["vllm", "openai"]
    base_url: str
    api_key: str = field(repr=False)
    model_name: str
    identity: dict[str, Any]
    fingerprint: str
    media_root: Path
    recover: "Callable[[], Server] | None" = field(default=None, repr=False, compare=False)


def external_server(model_name: str, media_root: Path) -> Server:
    """The endpoint of infer.backend openai; raises as `named_endpoint` does."""
    return named_endpoint(*ENDPOINT, model_name, media_root)


def named_endpoint(option: str, url: str, key: str, model_name: str, media_root: Path) -> Server:
    """The endpoint whose address and key are in the environment variables `url` and `key`.

    `option` says in messages what needs it. Raises UserError when either variable is not set, or the address is none.
    """
    if missing := unset(option, url, key):
        raise UserError(missing[0])
    base_url = os.environ[url].rstrip("/")
    if not base_url.startswith(("http://", "https://")):
        raise UserError(f"{url}: {base_url!r} does not start with http:// or https://")
    identity = {"backend": "openai", "base_url": public_url(base_url), "model": model_name}
    return Server("openai", base_url, os.environ[key], model_name, identity, "", media_root)


def unset(option: str, *names: str) -> list[str]:
    """A message for each environment variable that `option` needs and that is not set, or empty."""
    return [f"{option}: set {name} in the environment" for name in names if not os.environ.get(name)]


def public_url(url: str) -> str:
    """An endpoint's address as it may be published: scheme, host and path, nothing that could hold a key.

    >>> public_url("https://me:secret@example.org:8000/v1?key=secret#x")
    'https://example.org:8000/v1'

    Raises UserError for what is no URL.
    """
    try:
        scheme, host, path, _, _ = urlsplit(url)
    except ValueError as error:
        raise UserError(f"the endpoint's address is no URL: {error}") from None
    return urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))


def call(base_url: str, api_key: str, path: str, body: Any = None, timeout_s: float = 30) -> Any:
    """GET `path` of a local server, or POST a JSON `body` to it; return the JSON answer, None if it is empty.

    Raises OSError, HTTPException or ValueError when there is no answer, one with a status other than 200
    (urllib.error.HTTPError), or one that is not JSON.
    """
    content = fetch(base_url, api_key, path, body, timeout_s)
    return json.loads(content) if content else None


def fetch(base_url: str, api_key: str, path: str, body: Any = None, timeout_s: float = 30) -> bytes:
    """The answer as it came; raises as `call` does, but for what is in it."""
    request = urllib.request.Request(
        base_url.removesuffix("/v1") + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
    )
    # A proxy from the environment has no business between us and this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as response:
        content: bytes = response.read()
    return content


def served_models(base_url: str, api_key: str) -> list[str]:
    """The names that a local server answers to: its model's, and those of adapters; raises as `call` does."""
    try:
        return [str(model["id"]) for model in call(base_url, api_key, "/v1/models")["data"]]
    except (LookupError, TypeError):
        raise ValueError("not a list of models") from None


def is_healthy(base_url: str, api_key: str, model_name: str) -> bool:
    """Whether a local server's engine runs, and it serves the model to the key."""
    try:
        call(base_url, api_key, "/health")
        return model_name in served_models(base_url, api_key)
    except (OSError, HTTPException, ValueError):
        return False
