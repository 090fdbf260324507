"""What a server answers: the samples of a request, or why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_reasoning.engines.messages import ChatRequest


@dataclass(frozen=True)
class Sample:
    """One sampled output.

    `completion_tokens` is None where a server gives only the sum over several samples. Token ids are kept
    where they were asked for.
    """

    text: str
    finish_reason: str
    completion_tokens: int | None
    completion_token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ChatResult:
    """The samples of a request, `n` of them; or none, and the `error`."""

    samples: tuple[Sample, ...]
    prompt_tokens: int
    prompt_token_ids: tuple[int, ...] | None = None
    error: str = ""


def failed(error: str) -> ChatResult:
    """The result of a request that got no answer."""
    return ChatResult(samples=(), prompt_tokens=0, error=error)


def parse(answer: Any, request: ChatRequest) -> ChatResult:
    """The result in the JSON body of a chat completion; it can have fewer samples than were asked for, never none.

    What only describes an answer may be missing: usage (0 prompt tokens then), a sample's index (samples count as
    they come) and finish_reason ("unknown", or "length" where the tokens asked for are used up).

    Raises ValueError when the body is no chat completion, has no sample or too many, or one without text or that the
    server broke off.
    """
    if not isinstance(answer, dict):
        raise ValueError(f"not a chat completion: {_short(answer)}")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        if reason := answer.get("error"):
            raise ValueError(f"the server tells of an error: {_short(reason)}")
        raise ValueError(f"not a chat completion: {_short(answer)}")
    if not 1 <= len(choices) <= request.n:
        raise ValueError(f"{len(choices)} samples came, {request.n} were asked for")
    usage = answer["usage"] if isinstance(answer.get("usage"), dict) else {}
    samples = tuple(_sample(choice, usage, request) for choice in _in_order(choices))
    ids = _list(answer.get("prompt_token_ids"))
    prompt_tokens = _count(usage.get("prompt_tokens"))
    if prompt_tokens is None:
        prompt_tokens = len(ids or ())
    return ChatResult(samples, prompt_tokens, _ids(ids, request))


def to_json(result: ChatResult) -> dict[str, Any]:
    """The result as a JSON object."""
    return {**vars(result), "samples": [vars(sample) for sample in result.samples]}


def from_json(row: Mapping[str, Any]) -> ChatResult:
    """The result that `to_json` wrote."""
    samples = tuple(
        Sample(**{**sample, "completion_token_ids": _tuple(sample["completion_token_ids"])})
        for sample in row["samples"]
    )
    return ChatResult(samples, row["prompt_tokens"], _tuple(row["prompt_token_ids"]), row["error"])


def _in_order(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The choices by their indices, or as they came where these are no distinct numbers."""
    indices = [choice.get("index") for choice in choices]
    numbers = {index for index in indices if type(index) is int and index >= 0}
    return sorted(choices, key=lambda choice: int(choice["index"])) if len(numbers) == len(choices) else choices


def _sample(choice: Mapping[str, Any], usage: Mapping[str, Any], request: ChatRequest) -> Sample:
    reason = choice.get("finish_reason")
    if reason in ("abort", "error"):  # vLLM while it shuts down; the text is half a text
        raise ValueError(f"the server broke a sample off ({reason})")
    message, ids = choice.get("message"), _list(choice.get("token_ids"))
    if not isinstance(message, dict):
        raise ValueError(f"a sample without a message came: {_short(choice)}")
    tokens = len(ids) if ids is not None else _count(usage.get("completion_tokens")) if request.n == 1 else None
    if not isinstance(reason, str):
        reason = "length" if tokens is not None and tokens >= request.max_tokens else "unknown"
    content, thinking = message.get("content"), ""
    if isinstance(content, list):
        thinking, text = _joined(content)
    elif content is None and (refusal := message.get("refusal")):
        text = str(refusal)
    elif content is None:
        text = ""
    elif isinstance(content, str):
        text = content
    else:
        raise ValueError(f"a sample whose content is no text came: {_short(content)}")
    # Servers with a reasoning parser take the thinking out of the text; one form is enough for us.
    apart = message.get("reasoning") or message.get("reasoning_content")
    thinking = apart if isinstance(apart, str) and apart else thinking
    if not text and not thinking:
        if message.get("tool_calls"):
            raise ValueError(f"a tool call came instead of text: {_short(message)}")
        if content is None and not tokens and reason in ("stop", "unknown"):
            raise ValueError(f"a sample without text came: {_short(message)}")
    whole = f"<think>{thinking}</think>\n{text}" if thinking else text
    return Sample(_encodable(whole), reason, tokens, _ids(ids, request))


def _joined(parts: list[Any]) -> tuple[str, str]:
    """The thinking and the text in a content of parts, as some reasoning APIs send it."""
    thinking, text = [], []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif not isinstance(part, dict):
            raise ValueError(f"a part of a content is no text: {_short(part)}")
        elif part.get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking") or part.get("reasoning") or part.get("text") or ""
            thinking.append(inner if isinstance(inner, str) else _joined(inner)[1])
        elif isinstance(part.get("text"), str):
            text.append(part["text"])
        elif isinstance(part.get("refusal"), str):
            text.append(part["refusal"])
        else:
            raise ValueError(f"a part of a content is no text: {_short(part)}")
    return "".join(thinking), "".join(text)


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs replaced, which no UTF-8 file can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _list(ids: Any) -> list[int] | None:
    return ids if isinstance(ids, list) else None


def _short(value: Any) -> str:
    return str(value)[:200]


def _ids(ids: list[int] | None, request: ChatRequest) -> tuple[int, ...] | None:
    return _tuple(ids) if request.token_ids else None


def _tuple(ids: list[int] | None) -> tuple[int, ...] | None:
    return None if ids is None else tuple(ids)
