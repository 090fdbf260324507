"""Asking a server as the engines do: through the response cache, and for what it lacks over the network."""

from collections.abc import Callable, Collection, Sequence

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

    def generate(done: Collection[int], on_answer: OnAnswer) -> None:
        wanted = [index for index in range(len(requests)) if index not in done]
        client.ask(
            [requests[index] for index in wanted],
            server,
            runtime,
            lambda place, result: on_answer(wanted[place], result),
            folder=cache.folder,
            on_send=on_send,
            on_load=on_load,
            label=label,
            answered=len(done),
        )

    return cached([cache_key(request, server) for request in requests], cache, generate, on_answer)
