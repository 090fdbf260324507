"""How many requests are in flight: as many as allowed, or fewer where a local server says that it is full.

Requests beyond what the server's cache of keys and values holds gain nothing. They wait there while their time runs
out, and where sequences grow into each other the server throws one out and computes it anew (a preemption). So the
number falls by a quarter where the server preempts, or is full while others wait, and grows by an eighth where nothing
waits and there is room: additive steps would take hours with answers of minutes, halving would leave the server idle.

A change shows only once requests have come and gone. So the number falls again only when no more are in flight than it
allows, and grows only when as many are. It decides when a request goes out, and nothing of what is asked.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from audio_reasoning.engines.load import Load

_FULL, _ROOM = 0.95, 0.8  # shares of the cache in use


class Flow:
    """Places for requests in flight: from 1 to `most` of them, `most` until a server's load says otherwise.

    To be used within one event loop.
    """

    def __init__(self, most: int) -> None:
        self.most = self.limit = self.least = most
        self._in_flight = 0
        self._preemptions: int | None = None
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for one request; waits until there is one."""
        async with self._freed:
            while self._in_flight >= self.limit:
                await self._freed.wait()
            self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            async with self._freed:
                self._freed.notify()

    async def heed(self, load: Load | None) -> None:
        """Follow what the server said last; None, as it says nothing: all places, as for a server that never did."""
        if load is None:
            self.limit, self._preemptions = self.most, None
        else:
            self.limit = self._following(load)
        self.least = min(self.least, self.limit)
        async with self._freed:
            self._freed.notify_all()

    def _following(self, load: Load) -> int:
        preempted = self._preemptions is not None and load.preemptions > self._preemptions
        self._preemptions = load.preemptions
        if self._in_flight > self.limit:
            return self.limit  # the last fall has not come to act yet
        if preempted or (load.waiting and load.cache >= _FULL):
            return max(1, self.limit - max(1, self.limit // 4))
        if not load.waiting and load.cache < _ROOM and self._in_flight == self.limit:
            return min(self.most, self.limit + max(1, self.limit // 8))
        return self.limit
