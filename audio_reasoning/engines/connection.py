"""One request at a time to a server: tried again where that can help, and the server found again if it died.

HTTP is spoken directly, over aiohttp: a client library costs more CPU time for a request than all else together,
which a server on the same machine needs itself, and a second and a half to import.
"""

import asyncio
import random
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aiohttp
import certifi
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.answers import ChatResult, failed, parse
from audio_reasoning.engines.clips import InlineClips
from audio_reasoning.engines.endpoint import Server, authorization, chat_url, proxy, public_url, secrets
from audio_reasoning.engines.messages import ChatRequest, body
from audio_reasoning.engines.params import Runtime
from audio_reasoning.engines.replies import NoApiError, PassingError, decode, duration, encode, reason, retry_after_s
from audio_reasoning.engines.timings import Timings

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_LONGEST_ASKED_WAIT_S = 300.0  # by Retry-After; a daily quota is waited for by a person, not by a process
_CONNECT_S = 30.0
_KEPT_OPEN_S = 4.0  # uvicorn closes a connection that is idle for 5 s; a request sent into that moment is lost
_FAILURES_IN_A_ROW = 10  # requests without an answer, on all their tries, until the run is given up
_REJECTED_FROM_THE_START = 10  # requests that a server which has answered none finds wrong, until it is given up
_REFUSED = {
    401: "the key is wrong",
    403: "the key has no access",
    404: "no such address or model there (most addresses end in /v1)",
}
_AGAIN = {408, 425, 429}


class Connection:
    """A server, shared by all requests of a run; `on_send` is called before each try, and ends the run by raising.

    To be made and used within a running event loop. `has_answered` tells whether the server is known to have answered
    others of these requests, in an earlier run. `timings` counts what is answered.
    """

    def __init__(
        self,
        server: Server,
        runtime: Runtime,
        on_send: Callable[[], object] = lambda: None,
        *,
        has_answered: bool = False,
        clips: InlineClips | None = None,
        timings: Timings | None = None,
    ) -> None:
        self._runtime = runtime
        self._server = server
        self._on_send = on_send
        self._clips = clips or InlineClips(None)
        self._timings = timings or Timings()
        self._session = self._open()
        self._recovering = asyncio.Lock()
        self._failures = self._rejected = 0
        self._has_answered = has_answered
        self._notes: set[str] = set()

    async def ask(self, request: ChatRequest) -> ChatResult:
        """The answer to `request`, or why there is none.

        A server that gives fewer samples than were asked for is asked for the rest, under the seeds that they would
        have had.

        Raises UserError when the server refuses the key or the model, cannot be reached on all tries, failed on
        many requests in a row, rejected the first many (other 4xx) without one answer, asks to be left alone for more
        than five minutes, redirects, or has never answered and is no API of this kind.
        """
        inline = self._server.backend == "openai"  # clips are read and encoded, which takes a while
        fields = (
            await asyncio.to_thread(body, request, self._server, self._clips)
            if inline
            else body(request, self._server, self._clips)
        )
        answer = await self._ask(request, encode(fields))
        while not answer.error and (got := len(answer.samples)) < request.n:
            self._note(f"{got} of {request.n} samples came at once; the others are asked for by further requests")
            rest = replace(request, n=request.n - got, seed=request.seed + got)
            more = await self._ask(rest, encode({**fields, "n": rest.n, "seed": rest.seed}))
            answer = more if more.error else replace(answer, samples=answer.samples + more.samples)
        return answer

    @property
    def is_local(self) -> bool:
        """Whether the server is one of ours, on this machine."""
        return self._server.backend == "vllm"

    async def server_text(self, path: str) -> str:
        """What a local server says at `path`, beside its API. Raises aiohttp.ClientError or TimeoutError."""
        url = self._server.base_url.removesuffix("/v1") + path
        async with self._session.get(url, raise_for_status=True) as reply:
            return await reply.text()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        secure = self._server.base_url.startswith("https:")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEPT_OPEN_S, ssl=_trusted() if secure else True, ttl_dns_cache=300
            ),
            timeout=aiohttp.ClientTimeout(total=self._runtime.request_timeout_s, sock_connect=_CONNECT_S),
            headers={"Authorization": authorization(self._server), "Content-Type": "application/json"},
            proxy=proxy(self._server),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _ask(self, request: ChatRequest, content: bytes) -> ChatResult:
        """The answer to a request whose body is `content`, tried as often as runtime.retries says."""
        retrying = AsyncRetrying(  # a new one each time: its state is not to be shared by tasks
            stop=stop_after_attempt(self._runtime.retries + 1),
            retry=retry_if_exception_type(PassingError),
            wait=_wait_s,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        try:
            result: ChatResult = await retrying(self._try, request, content)
        except PassingError as fault:
            if not fault.reached:
                tries = self._runtime.retries + 1
                raise UserError(f"{fault}; it was tried {tries} times, lastly for {request.id}") from None
            return self._give_up(request, str(fault))
        if not result.error:
            self._failures = 0
            self._has_answered = True
        return result

    async def _try(self, request: ChatRequest, content: bytes) -> ChatResult:
        self._on_send()
        server, began = self._server, time.monotonic()
        try:
            async with self._session.post(chat_url(server.base_url), data=content, allow_redirects=False) as reply:
                received = await reply.read()
        except aiohttp.InvalidURL:
            raise UserError(f"{public_url(server.base_url)}: the endpoint's address is no URL") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            await self._recover(server)
            raise _lost(error, server, self._runtime.request_timeout_s) from None
        if reply.status != 200:
            return await self._without_answer(request, server, reply, received)
        try:
            result = parse(decode(received), request)
        except NoApiError as error:
            if not self._has_answered:
                raise UserError(
                    f"{public_url(server.base_url)} is no OpenAI-compatible API: {error} for {request.id}. See to the "
                    "address; most end in /v1"
                ) from None
            raise PassingError(f"unusable answer: {error}") from None
        except ValueError as error:
            raise PassingError(f"unusable answer: {error}") from None
        self._timings.add(time.monotonic() - began, result)
        return result

    async def _without_answer(
        self, request: ChatRequest, server: Server, reply: aiohttp.ClientResponse, content: bytes
    ) -> ChatResult:
        """What follows from another status than 200: the end of the run, another try, or no answer."""
        address, status = public_url(server.base_url), reply.status
        failure = f"HTTP {status}: {reason(content, secrets(server))}"
        if status in _REFUSED:
            await self._recover(server)  # another server may have its port by now
            if self._server == server:
                raise UserError(f"{address}: {_REFUSED[status]} ({failure}); it was asked about {request.id}")
            raise PassingError(failure)
        if 300 <= status < 400:
            target = public_url(reply.headers.get("Location", ""))
            raise UserError(f"{address} redirects ({status}) to {target or 'nowhere'}: set the address to that place")
        if status < 500 and status not in _AGAIN:
            return self._reject(request, failure)
        wait_s = retry_after_s(reply.headers)
        if wait_s > _LONGEST_ASKED_WAIT_S:
            raise UserError(
                f"{address} asks to wait {duration(wait_s)} ({failure}); it was asked about {request.id}. What was "
                "answered is kept; run the same command then"
            )
        raise PassingError(failure, wait_s)

    async def _recover(self, lost: Server) -> None:
        """Find or start the server again, once for all requests that lost it."""
        async with self._recovering:
            if lost.recover is None or self._server is not lost:
                return
            old, self._server = self._session, await asyncio.to_thread(lost.recover)
            if self._server != lost:
                self._session = self._open()
                await old.close()

    def _reject(self, request: ChatRequest, failure: str) -> ChatResult:
        """A request that the server finds wrong; where it has answered none, all may be wrong in the same way."""
        self._rejected += 1
        if self._rejected >= _REJECTED_FROM_THE_START and not self._has_answered:
            raise UserError(
                f"{public_url(self._server.base_url)} rejected the first {self._rejected} requests and answered none: "
                f"{failure} (lastly for {request.id})"
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

    def _tell_wait(self, state: RetryCallState) -> None:
        fault = _fault(state)
        if fault.wait_s >= 10:
            self._note(f"waiting {duration(fault.wait_s)}, as the server asks ({fault})")

    def _note(self, text: str) -> None:
        """Say something once."""
        if text not in self._notes:
            self._notes.add(text)
            print(f"\n{public_url(self._server.base_url)}: {text}", file=sys.stderr, flush=True)


def _wait_s(state: RetryCallState) -> float:
    """The pause before the next try: twice the last one, or as long as the server asks; never the same for all."""
    wait_s: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (state.attempt_number - 1)) * random.uniform(0.8, 1.2)
    return max(wait_s, _fault(state).wait_s * random.uniform(1.0, 1.2))


def _fault(state: RetryCallState) -> PassingError:
    fault: Any = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, PassingError)
    return fault


def _lost(error: Exception, server: Server, timeout_s: float) -> PassingError:
    """What went wrong without an answer, and whether the server was reached at all."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return PassingError(f"no answer within runtime.request_timeout_s = {timeout_s:g} s")
    if isinstance(error, aiohttp.ClientPayloadError):
        return PassingError(f"an answer came that was cut short or cannot be decompressed ({error})")
    address, cause = public_url(server.base_url), str(getattr(error, "os_error", error))
    return PassingError(f"cannot reach {address}: {cause or type(error).__name__}", reached=False)


def _trusted() -> ssl.SSLContext:
    """The certificates that this machine trusts, and Mozilla's, since a small container may have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
