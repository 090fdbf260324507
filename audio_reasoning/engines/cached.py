"""Any engine behind the response cache: what was answered once is not asked for again.

Answers are written as they come, by a thread of its own, so that a process that is killed loses what arrived in the
last few milliseconds. Errors are never kept.
"""

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from audio_reasoning.engines.answers import ChatResult, from_json, to_json
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.engine import Decoding, Engine, OnAnswer, Request

Generate = Callable[[Collection[int], OnAnswer], object]


def cached(
    keys: Sequence[str], cache: ResponseCache, generate: Generate, on_answer: OnAnswer = lambda index, result: None
) -> list[ChatResult]:
    """The results of all `keys`; those that the cache lacks come from `generate(done, on_answer)`.

    It is not called where nothing is missing, and of equal keys one is asked for. `on_answer` is called once for each
    index.
    """
    first: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, []).append(index)
    results: dict[str, ChatResult] = {}

    def take(key: str, result: ChatResult) -> None:
        if key not in results or results[key].error:  # what is in the cache stays
            results[key] = result
            for index in first[key]:
                on_answer(index, result)

    for key, row in cache.get_many(list(first)).items():
        take(key, from_json(row))
    done = {index for key, indices in first.items() for index in (indices if key in results else indices[1:])}
    if len(results) < len(first):
        with _writer(cache) as write:

            def answer(index: int, result: ChatResult) -> None:
                if not result.error:
                    write(keys[index], result)
                take(keys[index], result)

            generate(done, answer)
    return [results[key] for key in keys]


class Cached:
    """An engine whose answers come from the cache where it has them."""

    def __init__(self, engine: Engine, cache: ResponseCache) -> None:
        self.engine, self.cache = engine, cache

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, on_answer: OnAnswer = lambda index, result: None
    ) -> list[ChatResult]:
        """The result of each request, in their order; raises as the engine does."""
        keys = self.engine.keys(requests, decoding)
        return cached(keys, self.cache, partial(self.engine.generate, requests, decoding), on_answer)


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
