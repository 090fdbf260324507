"""Any engine behind the response cache: what was answered once is not asked for again.

Answers are written as they come, by a thread of its own, so that a process that is killed loses what arrived in the
last few milliseconds. Errors are never kept.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from audio_reasoning.engines.answers import ChatResult, from_json, to_json
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.engine import Decoding, Engine, OnAnswer, Request

Asked = TypeVar("Asked")
Generate = Callable[[Sequence[Asked], int, OnAnswer], object]


def cached(
    requests: Sequence[Asked],
    keys: Sequence[str],
    cache: ResponseCache,
    generate: Generate[Asked],
    on_answer: OnAnswer = lambda index, result: None,
) -> list[ChatResult]:
    """The results of all `requests`, which go by `keys`; what the cache lacks `generate(missing, known, answer)` gives.

    `missing` has one request of each key that is not in the cache, `known` is how many keys are. It is not called where
    nothing is missing. `on_answer` is called once for each index.
    """
    places: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    results: dict[str, ChatResult] = {}

    def take(key: str, result: ChatResult) -> None:
        results[key] = result
        for index in places[key]:
            on_answer(index, result)

    for key, row in cache.get_many(list(places)).items():
        take(key, from_json(row))
    missing = [key for key in places if key not in results]
    if missing:
        with _writer(cache) as write:

            def answer(index: int, result: ChatResult) -> None:
                if not result.error:
                    write(missing[index], result)
                take(missing[index], result)

            generate([requests[places[key][0]] for key in missing], len(results), answer)
    return [results[key] for key in keys]


class Cached:
    """An engine whose answers come from the cache where it has them."""

    def __init__(self, engine: Engine, cache: ResponseCache) -> None:
        self.engine, self.cache = engine, cache

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, on_answer: OnAnswer = lambda index, result: None
    ) -> list[ChatResult]:
        """The result of each request, in their order; raises as the engine does."""
        return cached(
            requests,
            self.engine.keys(requests, decoding),
            self.cache,
            lambda missing, known, answer: self.engine.generate(missing, decoding, known, answer),
            on_answer,
        )


@contextmanager
def _writer(cache: ResponseCache) -> Iterator[Callable[[str, ChatResult], None]]:
    """A thread that puts answers into the cache; those that come during a commit make the next batch."""
    waiting: queue.SimpleQueue[tuple[str, ChatResult] | None] = queue.SimpleQueue()
    failures: list[BaseException] = []

    def work() -> None:
        batch: list[tuple[str, ChatResult] | None] = []
        while None not in batch:
            batch = [waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get())
            try:
                cache.put_many((item[0], to_json(item[1])) for item in batch if item is not None)
            except BaseException as error:
                failures.append(error)
                return

    def write(key: str, result: ChatResult) -> None:
        if failures:
            raise failures[0]
        waiting.put((key, result))

    thread = threading.Thread(target=work, name="response cache")
    thread.start()
    try:
        yield write
    finally:
        waiting.put(None)
        thread.join()
    if failures:
        raise failures[0]
