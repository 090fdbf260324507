"""One request at a time to a server: tried again where that can help, and the server found again if it died."""

import asyncio
import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx
import openai

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.answers import ChatResult, failed, parse
from audio_reasoning.engines.endpoint import Server, public_url
from audio_reasoning.engines.messages import ChatRequest, body
from audio_reasoning.engines.params import Runtime

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_CONNECT_S = 30.0
_FAILURES_IN_A_ROW = 10  # requests without an answer, on all their tries, until the run is given up
_REJECTED_FROM_THE_START = 10  # requests that a server which has answered none finds wrong, until it is given up
# Over aiohttp a request costs a sixth of the CPU time (0.65 ms instead of 4), which a CPU server needs itself.
_HttpClient = openai.DefaultAioHttpClient
_REFUSED = {401: "the key is wrong", 403: "the key has no access", 404: "no such address or model there"}


class Connection:
    """A server, shared by all requests of a run; `on_send` is called before each try, and ends the run by raising.

    `has_answered` tells whether the server is known to have answered others of these requests, in an earlier run.
    """

    def __init__(
        self,
        server: Server,
        runtime: Runtime,
        on_send: Callable[[], object] = lambda: None,
        *,
        has_answered: bool = False,
    ) -> None:
        self._runtime = runtime
        self._server = server
        self._on_send = on_send
        self._client = self._open()
        self._recovering = asyncio.Lock()
        self._failures = self._rejected = 0
        self._has_answered = has_answered

    async def ask(self, request: ChatRequest) -> ChatResult:
        """The answer to `request`, or why there is none.

        Raises UserError when the server refuses the key or the model, cannot be reached on all tries, failed on
        many requests in a row, or rejected the first many (other 4xx) without one answer.
        """
        inline = self._server.backend == "openai"  # clips are read and encoded, which takes a while
        payload = await asyncio.to_thread(body, request, self._server) if inline else body(request, self._server)
        for attempt in range(self._runtime.retries + 1):
            server, wait_s = self._server, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt)
            self._on_send()
            try:
                answer = await self._client.post("/chat/completions", cast_to=httpx.Response, body=payload)
                result = parse(answer.json(), request)
            except openai.APIConnectionError as error:
                failure, reached = _lost(error, server, self._runtime.request_timeout_s)
                await self._recover(server)
                if not reached and attempt == self._runtime.retries:
                    raise UserError(f"{failure}; it was tried {attempt + 1} times, lastly for {request.id}") from None
            except openai.APIStatusError as error:
                failure = f"HTTP {error.status_code}: {_message(error)}"
                if error.status_code in _REFUSED:
                    await self._recover(server)  # another server may have its port by now
                    if self._server == server:
                        raise UserError(
                            f"{public_url(server.base_url)}: {_REFUSED[error.status_code]} ({failure})"
                        ) from None
                elif error.status_code < 500 and error.status_code not in (408, 429):
                    return self._reject(failure)
                wait_s = max(wait_s, _retry_after_s(error.response))
            except ValueError as error:
                failure = f"unusable answer: {error}"
            else:
                self._failures = 0
                self._has_answered = True
                return result
            if attempt < self._runtime.retries:
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
        return self._give_up(request, failure)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def _open(self) -> openai.AsyncOpenAI:
        concurrency = self._runtime.concurrency
        return openai.AsyncOpenAI(
            base_url=self._server.base_url,
            api_key=self._server.api_key,
            max_retries=0,
            http_client=_HttpClient(
                limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
                timeout=httpx.Timeout(self._runtime.request_timeout_s, connect=_CONNECT_S),
                trust_env=self._server.backend != "vllm",  # no proxy between us and this machine
            ),
        )

    async def _recover(self, lost: Server) -> None:
        """Find or start the server again, once for all requests that lost it."""
        async with self._recovering:
            if lost.recover is None or self._server is not lost:
                return
            old, self._server = self._client, await asyncio.to_thread(lost.recover)
            if self._server != lost:
                self._client = self._open()
                await old.close()

    def _reject(self, failure: str) -> ChatResult:
        """A request that the server finds wrong; where it has answered none, all may be wrong in the same way."""
        self._rejected += 1
        if self._rejected >= _REJECTED_FROM_THE_START and not self._has_answered:
            raise UserError(
                f"{public_url(self._server.base_url)} rejected the first {self._rejected} requests and answered none: "
                f"{failure}"
            )
        return failed(failure)

    def _give_up(self, request: ChatRequest, failure: str) -> ChatResult:
        self._failures += 1
        if self._failures == _FAILURES_IN_A_ROW:
            raise UserError(
                f"{self._failures} requests in a row failed on all their tries, lastly {request.id}: {failure}. "
                "What was answered is kept; run the same command to go on"
            )
        return failed(failure)


def _lost(error: openai.APIConnectionError, server: Server, timeout_s: float) -> tuple[str, bool]:
    """What went wrong without an answer, and whether the server was reached at all."""
    cause = error.__cause__
    if isinstance(error, openai.APITimeoutError) and not isinstance(cause, httpx.ConnectTimeout):
        return f"no answer within runtime.request_timeout_s = {timeout_s:g} s", True
    return f"cannot reach {public_url(server.base_url)}: {cause or error}", False


def _message(error: openai.APIStatusError) -> str:
    """The server's own words."""
    detail: Any = error.body
    if isinstance(detail, dict):
        detail = detail.get("message") or detail
    return str(detail or error.response.text)[:500]


def _retry_after_s(response: httpx.Response) -> float:
    """The wait that a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3); 0 without one."""
    value = response.headers.get("retry-after", "")
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, TypeError):
        return 0.0
