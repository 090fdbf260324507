"""Asking a server many questions, so that no answer is lost and none is asked for twice.

Answers that the cache holds come first and cost no request. The others are asked for with a fixed number
in flight: each place is filled again as soon as it is free. They go to the cache as they come.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from audio_reasoning.engines.answers import ChatResult, from_json, to_json
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.connection import Connection
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.messages import ChatRequest, cache_key
from audio_reasoning.engines.params import Runtime

OnResult = Callable[[int, ChatResult], object]
OnSend = Callable[[], object]
Answered = asyncio.Queue[tuple[str, ChatResult] | None]


def uncached(requests: Sequence[ChatRequest], server: Server, cache: ResponseCache) -> int:
    """How many answers would have to be asked for; requests that are alike share one."""
    keys = {cache_key(request, server) for request in requests}
    return len(keys) - len(cache.get_many(list(keys)))


def all_cached(requests: Sequence[ChatRequest], server: Server, cache: ResponseCache) -> list[ChatResult] | None:
    """The results of all `requests` if the cache holds every one; a server need not run for that."""
    keys = [cache_key(request, server) for request in requests]
    rows = cache.get_many(list(dict.fromkeys(keys)))
    return [from_json(rows[key]) for key in keys] if all(key in rows for key in keys) else None


def ask(
    requests: Sequence[ChatRequest],
    server: Server,
    cache: ResponseCache,
    runtime: Runtime,
    on_result: OnResult = lambda index, result: None,
    on_send: OnSend = lambda: None,
) -> list[ChatResult]:
    """Run `ask_all` to its end."""
    return asyncio.run(ask_all(requests, server, cache, runtime, on_result, on_send))


async def ask_all(
    requests: Sequence[ChatRequest],
    server: Server,
    cache: ResponseCache,
    runtime: Runtime,
    on_result: OnResult = lambda index, result: None,
    on_send: OnSend = lambda: None,
) -> list[ChatResult]:
    """The results of all `requests`, in their order; `on_result(index, result)` is called as each is known.

    `on_send()` is called before each request that goes out, further tries included; what it raises ends the run.

    Connection errors, timeouts, 429 and 5xx are tried again, runtime.retries times. A request that the
    server refuses (other 4xx), or fails on all its tries, has an error for a result. Errors are never
    cached. A local server that died is started again.

    Raises UserError when the server refuses the key, the model or the first requests one and all, or is gone for
    good. What was answered until then is cached, so the same call goes on from there.
    """
    places: dict[str, list[int]] = {}  # requests of one key share one answer
    for index, request in enumerate(requests):
        places.setdefault(cache_key(request, server), []).append(index)
    results: dict[int, ChatResult] = {}

    def report(key: str, result: ChatResult) -> None:
        for index in places[key]:
            results[index] = result
            on_result(index, result)

    for key, row in cache.get_many(list(places)).items():
        report(key, from_json(row))
    missing = [key for key, indices in places.items() if indices[0] not in results]
    if missing:
        first = [(key, requests[places[key][0]]) for key in missing]
        connection = Connection(server, runtime, on_send, has_answered=bool(results))
        await _ask_missing(first, connection, runtime.concurrency, cache, report)
    return [results[index] for index in range(len(requests))]


async def _ask_missing(
    missing: Sequence[tuple[str, ChatRequest]],
    connection: Connection,
    concurrency: int,
    cache: ResponseCache,
    report: Callable[[str, ChatResult], None],
) -> None:
    answered: Answered = asyncio.Queue()
    queue = iter(missing)  # shared by all workers
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(answered, cache))
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(concurrency, len(missing))):
                    workers.create_task(_work(queue, connection, answered, report))
            answered.put_nowait(None)
    except BaseExceptionGroup as group_error:
        raise _first(group_error) from None
    finally:
        await connection.close()


async def _work(
    queue: Iterator[tuple[str, ChatRequest]],
    connection: Connection,
    answered: Answered,
    report: Callable[[str, ChatResult], None],
) -> None:
    for key, request in queue:
        result = await connection.ask(request)
        if not result.error:
            answered.put_nowait((key, result))
        report(key, result)


async def _write(answered: Answered, cache: ResponseCache) -> None:
    """Put answers into the cache until None comes; those that come during a commit make the next batch."""
    batch: list[tuple[str, ChatResult] | None] = []
    try:
        while None not in batch:
            batch = [await answered.get(), *_waiting(answered)]
            await asyncio.to_thread(_put, cache, batch)
    finally:  # also on Ctrl-C, when the last commit may not have begun; answers can be put twice
        _put(cache, [*batch, *_waiting(answered)])


def _put(cache: ResponseCache, batch: Sequence[tuple[str, ChatResult] | None]) -> None:
    cache.put_many((item[0], to_json(item[1])) for item in batch if item is not None)


def _waiting(answered: Answered) -> list[tuple[str, ChatResult] | None]:
    return [answered.get_nowait() for _ in range(answered.qsize())]


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
