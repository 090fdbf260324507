"""Chat requests: as a stage writes them, as a server reads them, and what of them decides an answer.

A message's content is a string or a list of parts: `text_part` and `audio_part`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.records import Audio
from audio_reasoning.engines.clips import InlineClips
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import Decoding, Request

_NOT_KEPT = InlineClips(None)


@dataclass(frozen=True)
class ChatRequest:
    """A question to a model; `n` samples are drawn in one request (vLLM gives sample i the seed `seed` + i).

    `id` names the request in messages. `token_ids` asks for the ids of prompt and completion (vLLM only).
    `extra` holds further fields of the request, such as top_k.
    """

    id: str
    messages: Sequence[Mapping[str, Any]]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    n: int = 1
    token_ids: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


def text_part(text: str) -> dict[str, Any]:
    """A piece of text in a message."""
    return {"type": "text", "text": text}


def audio_part(audio: Audio) -> dict[str, Any]:
    """A clip in a message; its path is relative to the server's media root."""
    return {"type": "audio", "path": audio.path, "sha256": audio.sha256}


def _user(text: str, audio: Audio | None) -> dict[str, Any]:
    return {"role": "user", "content": [*([audio_part(audio)] if audio else []), text_part(text)]}


def chat_request(request: Request, decoding: Decoding, token_ids: bool = False) -> ChatRequest:
    """A question to a model as a conversation."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": request.system}] if request.system else []
    for one in request.demonstrations:
        messages += [_user(one.user, one.audio), {"role": "assistant", "content": one.response}]
    return ChatRequest(
        id=request.id,
        messages=[*messages, _user(request.user, request.audio)],
        **decoding.model_dump(),
        token_ids=token_ids,
    )


def cache_key(request: ChatRequest, server: Server) -> str:
    """The hash of everything that decides the answer: clips count by content, not by name."""
    row = {
        "messages": _converted(request.messages, lambda part: {"type": "audio", "sha256": part["sha256"]}),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "n": request.n,
        "token_ids": request.token_ids,
        "extra": dict(request.extra),
    }
    return sha256_json({"server": server.identity, "request": row})


def body(request: ChatRequest, server: Server, clips: InlineClips = _NOT_KEPT) -> dict[str, Any]:
    """The JSON body of the request.

    A local vLLM reads clips from the media root; other endpoints get them inside the request, from `clips`.
    Raises UserError when a clip is not there.
    """

    def audio(part: Mapping[str, Any]) -> dict[str, Any]:
        path = _clip(part, request, server)
        if server.backend == "vllm":
            return {"type": "audio_url", "audio_url": {"url": path.as_uri()}}
        return {"type": "input_audio", "input_audio": clips.part(path, str(part["sha256"]))}

    fields: dict[str, Any] = {
        "model": server.model_name,
        "messages": _converted(request.messages, audio),
        "n": request.n,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        **request.extra,
    }
    if server.backend == "vllm":
        fields["return_token_ids"] = True  # each sample's length is known by its ids alone
    return fields


def _converted(
    messages: Sequence[Mapping[str, Any]], convert: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The messages, with `convert` applied to each audio part."""

    def content(value: Any) -> Any:
        return value if isinstance(value, str) else [convert(p) if p["type"] == "audio" else p for p in value]

    return [{**message, "content": content(message["content"])} for message in messages]


def _clip(part: Mapping[str, Any], request: ChatRequest, server: Server) -> Path:
    path = server.media_root / str(part["path"])
    if not path.is_file():
        raise UserError(f"{path}: no such file, but {request.id} asks about it; `dvc repro` makes it")
    return path
