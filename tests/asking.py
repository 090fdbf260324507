"""Asking a server as the engines do: through the response cache, and for what it lacks over the network."""

from collections.abc import Callable, Sequence

from audio_reasoning.engines import client
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.cached import cached
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import OnAnswer
from audio_reasoning.engines.messages import ChatRequest, cache_key
from audio_reasoning.engines.params import Runtime


def ask(
    requests: Sequence[ChatRequest],
    server: Server,
    cache: ResponseCache,
    runtime: Runtime,
    on_answer: OnAnswer = lambda index, result: None,
    on_send: Callable[[], object] = lambda: None,
    on_load: Callable[[str], object] | None = None,
    label: str = "",
) -> list[ChatResult]:
    """The results of all `requests`, in their order."""

    def generate(missing: Sequence[ChatRequest], known: int, on_answer: OnAnswer) -> None:
        client.ask(
            missing,
            server,
            runtime,
            on_answer,
            folder=cache.folder,
            on_send=on_send,
            on_load=on_load,
            label=label,
            known=known,
        )

    keys = [cache_key(request, server) for request in requests]
    return cached(requests, keys, cache, generate, on_answer)
