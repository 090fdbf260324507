"""Requests in flight by what the server reports; answers are the same whatever it says."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from audio_reasoning.core.files import read_jsonl
from audio_reasoning.engines import client
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.flow import Flow
from audio_reasoning.engines.load import Load, parse_load
from tests.asking import ask
from tests.fake_openai import FakeOpenAI
from tests.test_serve_client import RUNTIME, requests, texts

pytestmark = pytest.mark.usefixtures("short_waits")

# As vLLM 0.32 answers, cut down to two engines and to one line of what is not read.
METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} %(waiting)d.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 77.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} %(cache).2f
vllm:num_preemptions_total{engine="0",model_name="m"} %(preemptions)d.0
vllm:num_preemptions_created{engine="0",model_name="m"} 1.7e+09
vllm:generation_tokens_total{engine="0",model_name="m"} 1.2e+03
"""
CALM = {"waiting": 0, "cache": 0.3, "preemptions": 0}
FULL = {"waiting": 9, "cache": 0.99, "preemptions": 0}


@pytest.fixture
def local(fake: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(client, "_LOAD_EVERY_S", 0.02)
    return Server("vllm", fake.base_url, fake.key, fake.model, {"model": "m"}, "fingerprint", tmp_path)


def after(loads: list[Load | None], in_flight: Callable[[Flow], int], most: int = 16) -> list[int]:
    """The limit after each report, with so many requests in flight at each."""

    async def run() -> list[int]:
        flow, limits = Flow(most), []
        for load in loads:
            async with AsyncExitStack() as places:
                for _ in range(in_flight(flow)):
                    await places.enter_async_context(flow.place())
                await flow.heed(load)
            limits.append(flow.limit)
        return limits

    return asyncio.run(run())


def as_many_as_allowed(flow: Flow) -> int:
    return flow.limit


def test_what_vllm_reports_is_read() -> None:
    load = parse_load(METRICS % {"waiting": 2, "cache": 0.75, "preemptions": 5})
    assert load == Load(running=7, waiting=2, tokens=1200, cache=0.75, preemptions=5)


def test_what_the_library_that_vllm_reports_by_writes_is_read() -> None:
    registry = CollectorRegistry()
    for name, value in {"num_requests_running": 3, "num_requests_waiting": 2, "kv_cache_usage_perc": 0.5}.items():
        Gauge(f"vllm:{name}", "As in vLLM.", ["engine"], registry=registry).labels("0").set(value)
    for name, value in {"num_preemptions": 4, "generation_tokens": 5_000_000}.items():
        Counter(f"vllm:{name}", "As in vLLM.", ["engine"], registry=registry).labels("0").inc(value)
    load = parse_load(generate_latest(registry).decode())
    assert load == Load(running=3, waiting=2, tokens=5_000_000, cache=0.5, preemptions=4)


@pytest.mark.parametrize("text", ["", "<html>", 'vllm:num_requests_running{engine="0', "vllm:num_requests_running NaN"])
def test_what_is_no_report_is_none(text: str) -> None:
    assert parse_load(text) is None


def test_a_full_server_with_others_waiting_is_sent_less_down_to_one() -> None:
    limits = after([Load(4, 9, cache=0.97)] * 12, as_many_as_allowed)
    assert limits[:4] == [12, 9, 7, 6] and limits[-2:] == [1, 1]


def test_a_queue_alone_is_no_reason_while_there_is_room() -> None:
    assert after([Load(256, 900, cache=0.4)] * 3, as_many_as_allowed) == [16, 16, 16]


def test_new_preemptions_are_a_reason_and_old_ones_or_a_new_server_are_not() -> None:
    counts = [70, 70, 71, 71, 0, 0, 1]
    limits = after([Load(9, 0, cache=0.9, preemptions=count) for count in counts], as_many_as_allowed)
    assert limits == [16, 16, 12, 12, 12, 12, 9]


def test_it_grows_again_where_there_is_room_and_never_over_what_is_allowed() -> None:
    limits = after([Load(9, 9, cache=1.0)] * 3 + [Load(9, 0, cache=0.5)] * 12, as_many_as_allowed)
    assert limits[2] == 7 and limits[3:7] == [8, 9, 10, 11] and limits[-1] == 16


def test_it_does_not_grow_beyond_what_is_used() -> None:
    limits = after([Load(9, 9, cache=1.0)] + [Load(1, 0, cache=0.1)] * 3, lambda flow: min(flow.limit, 2))
    assert limits == [12, 12, 12, 12]


def test_a_fall_acts_before_the_next_one() -> None:
    async def run() -> list[int]:
        flow, limits = Flow(8), []
        async with AsyncExitStack() as places:
            for _ in range(8):
                await places.enter_async_context(flow.place())
            for preemptions in (0, 3, 6):  # all eight are still there
                await flow.heed(Load(8, 5, cache=1.0, preemptions=preemptions))
                limits.append(flow.limit)
        return limits

    assert asyncio.run(run()) == [6, 6, 6]


def test_without_a_report_all_places_are_there_again() -> None:
    assert after([Load(9, 9, cache=1.0), None], as_many_as_allowed) == [12, 16]


def peak_of_the_second_half(fake: FakeOpenAI, server: Server, folder: Path, reports: list[dict[str, float]]) -> int:
    """How many of 60 requests are in flight at once when the first thirty are answered; 8 are allowed."""
    fake.metrics, fake.latency_s = [METRICS % report for report in reports], 0.05
    answered = 0

    def count(index: int, result: object) -> None:
        nonlocal answered
        answered += 1
        if answered == 30:
            fake.peak = 0

    with closing(ResponseCache(folder / "responses.sqlite")) as cache:
        results = ask(requests(60), server, cache, RUNTIME.model_copy(update={"concurrency": 8}), count)
    assert texts(results) == [f"question {i}" for i in range(60)]
    return fake.peak


def test_a_full_server_gets_one_request_at_a_time_in_the_end(fake: FakeOpenAI, local: Server, tmp_path: Path) -> None:
    assert peak_of_the_second_half(fake, local, tmp_path, [FULL]) <= 2
    [run] = read_jsonl(tmp_path / "runs.jsonl")
    assert (run["in_flight"], run["in_flight_least"]) == (8, 1)


def test_a_server_with_room_gets_all_that_is_allowed(fake: FakeOpenAI, local: Server, tmp_path: Path) -> None:
    assert peak_of_the_second_half(fake, local, tmp_path, [CALM]) == 8


def test_the_endpoint_of_others_is_not_asked_how_it_fares(fake: FakeOpenAI, local: Server, tmp_path: Path) -> None:
    assert peak_of_the_second_half(fake, replace(local, backend="openai"), tmp_path, [FULL]) == 8


def test_answers_are_the_same_whatever_the_server_says(fake: FakeOpenAI, local: Server, tmp_path: Path) -> None:
    answers = []
    for name, reports in {"free": [], "full": [FULL], "mixed": [FULL, CALM, FULL, CALM]}.items():
        fake.metrics, fake.latency_s = [METRICS % report for report in reports], 0.01
        with closing(ResponseCache(tmp_path / name / "responses.sqlite")) as cache:
            answers.append(ask(requests(30, n=2), local, cache, RUNTIME))
    assert answers[0] == answers[1] == answers[2]
