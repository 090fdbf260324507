"""The engine `openai`: any OpenAI-compatible endpoint that takes audio."""

from collections.abc import Sequence
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.client import ask
from audio_reasoning.engines.endpoint import external_server
from audio_reasoning.engines.engine import Decoding, OnAnswer, Request, Setup
from audio_reasoning.engines.messages import cache_key, chat_request
from audio_reasoning.engines.server.canaries import check_hearing


class OpenAi:
    """See `audio_reasoning.engines.engine.Engine`."""

    gives_token_ids = False
    can_continue = False

    def __init__(self, setup: Setup) -> None:
        if setup.adapter is not None:
            raise UserError(f"{setup.adapter}: an endpoint cannot serve our adapters; set infer.backend to vllm")
        if setup.serve.quantization != "none":
            raise UserError(
                f"serve.quantization is {setup.serve.quantization}, but an endpoint chooses its own weights: set it to "
                "none, or infer.backend to transformers"
            )
        self._setup = setup
        self._server = external_server(setup.endpoint_model, setup.media_root)
        self.identity: dict[str, Any] = self._server.identity

    def keys(self, requests: Sequence[Request], decoding: Decoding) -> list[str]:
        """A key for each request, whatever is asked beside it."""
        return [cache_key(chat_request(request, decoding), self._server) for request in requests]

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """See that the endpoint hears, and ask."""
        check_hearing(self._server, self._setup.runtime)
        ask(
            [chat_request(request, decoding) for request in requests],
            self._server,
            self._setup.runtime,
            on_answer,
            folder=self._setup.work,
            label=self._setup.label,
            known=known,
        )


def open_engine(setup: Setup) -> OpenAi:
    """The engine; raises UserError unless address and key are in the environment."""
    return OpenAi(setup)
