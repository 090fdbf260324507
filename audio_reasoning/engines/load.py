"""What a local vLLM does while it is asked: requests that run and wait, how full its memory is, tokens a second.

It tells at /metrics, in Prometheus' text format; the names are those of vllm/v1/metrics/loggers.py in vLLM 0.32.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_RUNNING, _WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
_CACHE = "vllm:kv_cache_usage_perc"  # from 0 to 1, whatever it is called
_PREEMPTIONS, _TOKENS = "vllm:num_preemptions_total", "vllm:generation_tokens_total"


@dataclass(frozen=True)
class Load:
    """What the server does, for all its clients.

    Samples that it computes and that wait for their turn (a request for n samples counts n times), tokens sampled so
    far, the share of its fullest engine's cache of keys and values in use, and how often it took a sample's place in
    there away again, to compute it anew later.
    """

    running: int
    waiting: int
    tokens: int = 0
    cache: float = 0.0
    preemptions: int = 0


def parse_load(metrics: str) -> Load | None:
    r"""The load in the text of vLLM's /metrics, over all of its engines; None where it tells none.

    >>> parse_load('vllm:num_requests_running{engine="0"} 3.0\nvllm:num_requests_waiting{engine="0"} 1.0\n')
    Load(running=3, waiting=1, tokens=0, cache=0.0, preemptions=0)
    """
    from prometheus_client.parser import text_string_to_metric_families

    values: dict[str, list[float]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families(_only_ours(metrics)):
            for sample in family.samples:
                values[sample.name].append(sample.value)
        if _RUNNING not in values:
            return None
        return Load(
            running=int(sum(values[_RUNNING])),
            waiting=int(sum(values[_WAITING])),
            tokens=int(sum(values[_TOKENS])),
            cache=max(values[_CACHE], default=0.0),
            preemptions=int(sum(values[_PREEMPTIONS])),
        )
    except (ValueError, OverflowError):  # it is broken, or a number is none
        return None


def _only_ours(metrics: str) -> str:
    """The lines that are read: a server has a thousand others, histograms above all."""
    names = (_RUNNING, _WAITING, _CACHE, _PREEMPTIONS, _TOKENS)
    return "".join(f"{line}\n" for line in metrics.splitlines() if line.partition("{")[0].partition(" ")[0] in names)


async def watch(
    read: Callable[[], Awaitable[str]], on_load: Callable[[Load | None], Awaitable[None]], every_s: float
) -> None:
    """Await `on_load` with the server's load every `every_s` seconds, until cancelled.

    `read` gives the text of /metrics. Where that fails, or tells nothing, `on_load` gets None: the requests themselves
    will tell what is wrong. A server that never told anything is not asked again, and one that did may be back soon.
    """
    told = False
    while True:
        try:
            load = parse_load(await read())
        except Exception:  # whatever it is, it is nothing that a run should end for
            load = None
        await on_load(load)
        if load is None and not told:
            return
        told = True
        await asyncio.sleep(every_s)


class Line:
    """The load as a line for people, with the tokens a second since the last one."""

    def __init__(self) -> None:
        self._last: Load | None = None
        self._last_s = 0.0

    def of(self, load: Load) -> str:
        """A line such as "3 running, 2 waiting, 120 tokens/s"."""
        now_s, last = time.monotonic(), self._last
        rate = f", {(load.tokens - last.tokens) / (now_s - self._last_s):,.0f} tokens/s" if last else ""
        self._last, self._last_s = load, now_s
        return f"{load.running} running, {load.waiting} waiting{rate}"
