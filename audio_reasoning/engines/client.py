"""Asking a server many questions, several in flight: each place is filled again as soon as it is free.

A local server says how full it is, and there are fewer places where it is too full (`audio_reasoning.engines.flow`).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.clips import InlineClips
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.flow import Flow
from audio_reasoning.engines.load import Line, Load, watch
from audio_reasoning.engines.messages import ChatRequest
from audio_reasoning.engines.params import Runtime
from audio_reasoning.engines.timings import Timings, record

if TYPE_CHECKING:
    from audio_reasoning.engines.connection import Connection

OnResult = Callable[[int, ChatResult], object]
OnSend = Callable[[], object]
OnLoad = Callable[[str], object]
_LOAD_EVERY_S = 1.0


def ask(
    requests: Sequence[ChatRequest],
    server: Server,
    runtime: Runtime,
    on_result: OnResult,
    *,
    folder: Path,
    on_send: OnSend = lambda: None,
    on_load: OnLoad | None = None,
    label: str = "",
    known: int = 0,
) -> None:
    """Ask all `requests`; `on_result(index, result)` is called as each answer comes.

    Up to runtime.concurrency of them are in flight, fewer where a local server reports that it is full.

    `on_send()` is called before each request that goes out, further tries included; what it raises ends the run.
    `on_load(text)` is called every second with a line on what a local server does. `known` is how many requests like
    these the server is known to have answered before.

    Connection errors, timeouts, 429 and 5xx are tried again, runtime.retries times. A request that the
    server refuses (other 4xx), or fails on all its tries, has an error for a result. A local server that died is
    started again.

    In `folder`, runs.jsonl gets a line with the run's latencies and tokens under `label`, and wav/ has the clips that
    were converted for an endpoint.

    Raises UserError when the server refuses the key, the model or the first requests one and all, or is gone for
    good (`Connection.ask` has the whole list).
    """
    asyncio.run(_ask_all(requests, server, runtime, on_result, folder, on_send, on_load, label, known))


async def _ask_all(
    requests: Sequence[ChatRequest],
    server: Server,
    runtime: Runtime,
    on_result: OnResult,
    folder: Path,
    on_send: OnSend,
    on_load: OnLoad | None,
    label: str,
    known: int,
) -> None:
    from audio_reasoning.engines.connection import Connection  # imports aiohttp, which cached answers do not need

    clips, timings = InlineClips(folder / "wav"), Timings()
    connection = Connection(server, runtime, on_send, has_answered=known > 0, clips=clips, timings=timings)
    waiting = iter(enumerate(requests))  # shared by all workers
    flow, line = Flow(runtime.concurrency), Line()

    async def heed(load: Load | None) -> None:
        await flow.heed(load)
        if load is not None and on_load is not None:
            on_load(line.of(load))

    watching = None
    if connection.is_local:
        watching = asyncio.create_task(watch(lambda: connection.server_text("/metrics"), heed, _LOAD_EVERY_S))
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(runtime.concurrency, len(requests))):
                workers.create_task(_work(waiting, flow, connection, on_result))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    finally:
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await connection.close()
        clips.prune()
        in_flight = {"in_flight": flow.most, "in_flight_least": flow.least}
        record(folder, run=label, model=server.model_name, cached=known, **in_flight, **timings.summary())


async def _work(
    waiting: Iterator[tuple[int, ChatRequest]], flow: Flow, connection: "Connection", on_result: OnResult
) -> None:
    while True:
        async with flow.place():
            index, request = next(waiting, (-1, None))
            if request is None:
                return
            on_result(index, await connection.ask(request))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
