"""A place that answers chat requests, and plain HTTP to it."""

import base64
import json
import os
import unicodedata
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

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
    base_url: str = field(repr=False)  # it may hold a password: messages show its public_url
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

    `option` says in messages what needs it. Blanks and line ends around both are dropped, and so is a
    /chat/completions at the end of the address. Raises UserError when either variable is not set, the address is none,
    or the key is one that no header can carry; the message shows neither.
    """
    if missing := unset(option, url, key):
        raise UserError(missing[0])
    base_url = os.environ[url].strip()
    if not base_url.startswith(("http://", "https://")):
        raise UserError(f"{url}: the address does not start with http:// or https://")
    parts = urlsplit(base_url) if public_url(base_url) else None
    if parts is None or not parts.hostname:
        raise UserError(f"{url}: the address names no host")
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    base_url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    identity = {"backend": "openai", "base_url": public_url(base_url), "model": model_name}
    return Server("openai", base_url, _usable_key(key), model_name, identity, "", media_root)


def _usable_key(name: str) -> str:
    """The key in the environment variable `name`, without blanks and line ends around it."""
    key = os.environ[name].strip()
    for place, character in enumerate(key, start=1):
        if not "!" <= character <= "~":
            what = unicodedata.name(character, f"character number {ord(character)}").lower()
            raise UserError(
                f"{name}: character {place} of the key is a {what}, which no key can hold; was it copied with a "
                "typographic quote, a dash or a line end?"
            )
    if key[0] in "\"'" or key[-1] in "\"'":
        raise UserError(f"{name}: the key begins or ends with a quote, which is no part of it; set it without")
    return key


def unset(option: str, *names: str) -> list[str]:
    """A message for each environment variable that `option` needs and that is not set, or empty."""
    return [f"{option}: set {name} in the environment" for name in names if not os.environ.get(name, "").strip()]


def public_url(url: str) -> str:
    """An endpoint's address as it may be published: scheme, host and path, nothing that could hold a key.

    >>> public_url("https://me:secret@example.org:8000/v1?key=secret#x")
    'https://example.org:8000/v1'

    Raises UserError for what is no URL.
    """
    try:
        scheme, host, path, _, _ = parts = urlsplit(url)
    except ValueError as error:
        raise UserError(f"the endpoint's address is no URL: {error}") from None
    try:
        _ = parts.port
    except ValueError:  # whose words hold what stands there, which can be a part of a password
        raise UserError(
            "the endpoint's address is no URL: its port is no number (write @ : / ? # in a password as %40 %3A %2F "
            "%3F %23)"
        ) from None
    return urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))


def chat_url(base_url: str) -> str:
    """Where chat requests go: the path is made longer, a query stays, a user's name and password are left out.

    >>> chat_url("https://me:secret@example.org/v1?api-version=2")
    'https://example.org/v1/chat/completions?api-version=2'
    """
    parts = urlsplit(base_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/chat/completions", parts.query, ""))


def authorization(server: Server) -> str:
    """The Authorization header: the key, or the name and password in the address (RFC 7617) where it holds them."""
    parts = urlsplit(server.base_url)
    if not parts.username and not parts.password:
        return f"Bearer {server.api_key}"
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def secrets(server: Server) -> set[str]:
    """What no message may hold: the key, a password in the address, and the values of its query."""
    parts = urlsplit(server.base_url)
    values = [field.partition("=")[2] for field in parts.query.split("&")]
    plain = {server.api_key, parts.password or "", *values}
    return (plain | {unquote(value) for value in plain}) - {""}


def proxy(server: Server) -> str | None:
    """The proxy that the environment names for an endpoint; none stands between us and this machine."""
    parts = urlsplit(server.base_url)
    if server.backend == "vllm" or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


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
