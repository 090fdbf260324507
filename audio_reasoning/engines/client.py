"""Asking a server many questions, with a fixed number in flight: each place is filled again as soon as it is free."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.connection import Connection
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.messages import ChatRequest
from audio_reasoning.engines.params import Runtime

OnResult = Callable[[int, ChatResult], object]
OnSend = Callable[[], object]


def ask(
    requests: Sequence[ChatRequest],
    server: Server,
    runtime: Runtime,
    on_result: OnResult,
    on_send: OnSend = lambda: None,
    *,
    has_answered: bool = False,
) -> None:
    """Ask all `requests`; `on_result(index, result)` is called as each answer comes.

    `on_send()` is called before each request that goes out, further tries included; what it raises ends the run.
    `has_answered` tells whether the server is known to have answered requests like these.

    Connection errors, timeouts, 429 and 5xx are tried again, runtime.retries times. A request that the
    server refuses (other 4xx), or fails on all its tries, has an error for a result. A local server that died is
    started again.

    Raises UserError when the server refuses the key, the model or the first requests one and all, or is gone for good.
    """
    asyncio.run(_ask_all(requests, server, runtime, on_result, on_send, has_answered))


async def _ask_all(
    requests: Sequence[ChatRequest],
    server: Server,
    runtime: Runtime,
    on_result: OnResult,
    on_send: OnSend,
    has_answered: bool,
) -> None:
    connection = Connection(server, runtime, on_send, has_answered=has_answered)
    waiting = iter(enumerate(requests))  # shared by all workers
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(runtime.concurrency, len(requests))):
                workers.create_task(_work(waiting, connection, on_result))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    finally:
        await connection.close()


async def _work(waiting: Iterator[tuple[int, ChatRequest]], connection: Connection, on_result: OnResult) -> None:
    for index, request in waiting:
        on_result(index, await connection.ask(request))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
