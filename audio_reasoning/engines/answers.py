"""What a server answers: the samples of a request, or why there are none."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
    """The result in the JSON body of a chat completion.

    Raises ValueError when the body is not one, lacks samples, or holds one that the server broke off.
    """
    try:
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        samples = tuple(_sample(choice, answer["usage"], request) for choice in choices)
        prompt_tokens = int(answer["usage"]["prompt_tokens"])
    except (LookupError, TypeError, AttributeError):
        raise ValueError(f"not a chat completion: {str(answer)[:200]}") from None
    if len(samples) != request.n:
        raise ValueError(f"{len(samples)} samples came, {request.n} were asked for")
    for sample in samples:
        if sample.finish_reason in ("abort", "error"):  # vLLM while it shuts down; the text is half a text
            raise ValueError(f"the server broke a sample off ({sample.finish_reason})")
    return ChatResult(samples, prompt_tokens, _ids(answer.get("prompt_token_ids"), request))


def to_json(result: ChatResult) -> dict[str, Any]:
    """The result as a JSON object."""
    return asdict(result)


def from_json(row: Mapping[str, Any]) -> ChatResult:
    """The result that `to_json` wrote."""
    samples = tuple(
        Sample(**{**sample, "completion_token_ids": _tuple(sample["completion_token_ids"])})
        for sample in row["samples"]
    )
    return ChatResult(samples, row["prompt_tokens"], _tuple(row["prompt_token_ids"]), row["error"])


def _sample(choice: Mapping[str, Any], usage: Mapping[str, Any], request: ChatRequest) -> Sample:
    message, ids = choice["message"], choice.get("token_ids")
    text = message["content"] or ""
    # Servers with a reasoning parser take the thinking out of the text; one form is enough for us.
    if thinking := message.get("reasoning") or message.get("reasoning_content"):
        text = f"<think>{thinking}</think>\n{text}"
    tokens = len(ids) if ids is not None else int(usage["completion_tokens"]) if request.n == 1 else None
    return Sample(text, str(choice["finish_reason"]), tokens, _ids(ids, request))


def _ids(ids: list[int] | None, request: ChatRequest) -> tuple[int, ...] | None:
    return _tuple(ids) if request.token_ids else None


def _tuple(ids: list[int] | None) -> tuple[int, ...] | None:
    return None if ids is None else tuple(ids)
