"""What a local vLLM does while it is asked: requests that run and wait, tokens a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_RUNNING, _WAITING, _TOKENS = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:generation_tokens_total",
)


@dataclass(frozen=True)
class Load:
    """Requests that the server computes and that wait for their turn, and tokens sampled so far, of all its clients."""

    running: int
    waiting: int
    tokens: int


def parse_load(metrics: str) -> Load | None:
    r"""The load in the text of vLLM's /metrics, summed over its engines; None where it tells none.

    >>> parse_load('vllm:num_requests_running{engine="0"} 3.0\nvllm:num_requests_waiting{engine="0"} 1.0')
    Load(running=3, waiting=1, tokens=0)
    """
    sums: dict[str, float] = {}
    for line in metrics.splitlines():
        name = line.partition("{")[0]
        if name in (_RUNNING, _WAITING, _TOKENS):
            try:
                sums[name] = sums.get(name, 0.0) + float(line.rpartition(" ")[2])
            except ValueError:
                continue
    if _RUNNING not in sums:
        return None
    return Load(int(sums[_RUNNING]), int(sums.get(_WAITING, 0)), int(sums.get(_TOKENS, 0)))


async def watch(read: Callable[[], Awaitable[str]], on_load: Callable[[str], object], every_s: float) -> None:
    """Call `on_load` with a line on the server every `every_s` seconds, until cancelled.

    `read` gives the text of /metrics. It ends in silence where that fails: the requests themselves will tell.
    """
    last, last_s = None, time.monotonic()
    while True:
        try:
            load, now_s = parse_load(await read()), time.monotonic()
        except Exception:  # whatever it is, it is nothing that a run should end for
            return
        if load is None:
            return
        rate = f", {(load.tokens - last.tokens) / (now_s - last_s):,.0f} tokens/s" if last else ""
        on_load(f"{load.running} running, {load.waiting} waiting{rate}")
        last, last_s = load, now_s
        await asyncio.sleep(every_s)
