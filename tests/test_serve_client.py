"""The client: each answer is asked for once, whatever the network does."""

import base64
import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Audio
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import Server, external_server
from audio_reasoning.engines.messages import ChatRequest, audio_part, body, cache_key, text_part
from audio_reasoning.engines.params import Runtime
from tests.asking import ask
from tests.fake_openai import FakeOpenAI, answer, hang, hold, reset, status
from tests.pipeline import heed_interrupts, wait_until

pytestmark = pytest.mark.usefixtures("short_waits")

RUNTIME = Runtime(
    concurrency=4, request_timeout_s=30, retries=3, server_start_s=10, server_idle_s=10, checkpoint_steps=1
)


@pytest.fixture
def server(fake: FakeOpenAI, tmp_path: Path) -> Server:
    identity = {"backend": "vllm", "model": "a hash"}
    return Server("vllm", fake.base_url, fake.key, fake.model, identity, "fingerprint", tmp_path)


def request(text: str, **changes: Any) -> ChatRequest:
    messages = [{"role": "system", "content": "Listen."}, {"role": "user", "content": [text_part(text)]}]
    return ChatRequest(text, messages, **{"temperature": 0.5, "top_p": 1.0, "max_tokens": 8, "seed": 1, **changes})


def requests(count: int, **changes: Any) -> list[ChatRequest]:
    return [request(f"question {i}", **changes) for i in range(count)]


def texts(results: list[ChatResult]) -> list[str]:
    return [result.samples[0].text.split(" #")[0] for result in results]


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_keep_the_order_of_the_requests(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.faults["question 0"] = [hold(lambda: len(fake.answered) == 11)]
    assert texts(ask(requests(12), server, cache, RUNTIME)) == [f"question {i}" for i in range(12)]
    assert fake.answered[-1] == "question 0"


def test_all_samples_of_a_request_come_with_their_own_lengths(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    [result] = ask([request("q", n=3)], server, cache, RUNTIME)
    assert len({sample.text for sample in result.samples}) == 3
    assert [sample.completion_tokens for sample in result.samples] == [8, 8, 8]
    assert result.prompt_tokens == 5
    assert result.prompt_token_ids is None and result.samples[0].completion_token_ids is None
    assert fake.asked.total() == 1


def test_token_ids_come_where_they_are_asked_for_also_from_the_cache(server: Server, cache: ResponseCache) -> None:
    first, again = (ask([request("q", token_ids=True)], server, cache, RUNTIME) for _ in range(2))
    assert first == again
    assert first[0].prompt_token_ids == (0, 1, 2, 3, 4)
    assert len(first[0].samples[0].completion_token_ids or ()) == 8


def test_the_request_says_all_that_was_asked_for(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    ask([request("q", n=2, seed=7, top_p=0.9, extra={"top_k": 20})], server, cache, RUNTIME)
    [sent] = fake.bodies
    expected = {"n": 2, "seed": 7, "top_p": 0.9, "top_k": 20, "temperature": 0.5, "max_tokens": 8, "model": "fake"}
    assert sent | expected == sent
    assert sent["messages"][0] == {"role": "system", "content": "Listen."}


def test_thinking_that_a_server_took_out_of_the_text_is_put_back(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    message = {"content": "ANSWER: a dog", "reasoning_content": "I hear barking."}
    usage = {"prompt_tokens": 3, "completion_tokens": 9}
    completion = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    fake.faults["q"] = [answer(completion)]
    [result] = ask([request("q")], server, cache, RUNTIME)
    assert result.samples[0].text == "<think>I hear barking.</think>\nANSWER: a dog"
    assert result.samples[0].completion_tokens == 9


# ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), status(408), reset()])
def test_a_passing_fault_is_tried_again(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, fault: Callable[..., Any]
) -> None:
    fake.faults["question 1"] = [fault, fault]
    results = ask(requests(3), server, cache, RUNTIME)
    assert not any(result.error for result in results)
    assert fake.asked["question 1"] == 3 and fake.asked["question 0"] == 1


def test_a_timeout_is_tried_again(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.faults["q"] = [hang(60)]
    [result] = ask([request("q")], server, cache, RUNTIME.model_copy(update={"request_timeout_s": 1.0}))
    assert not result.error and fake.asked["q"] >= 2


def test_retry_after_is_honoured(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.faults["q"] = [status(429, Retry_After="1")]
    began = time.monotonic()
    ask([request("q")], server, cache, RUNTIME)
    assert time.monotonic() - began >= 0.8, "a first wait is 0.02 s otherwise"


def test_a_broken_off_sample_is_no_answer(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    choice = {"index": 0, "message": {"content": "half a"}, "finish_reason": "abort", "token_ids": [1]}
    fake.faults["q"] = [answer({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})]
    assert texts(ask([request("q")], server, cache, RUNTIME)) == ["q"]


@pytest.mark.parametrize("payload", [{}, [], None, {"choices": [], "usage": {}}, {"choices": [{"index": 0}]}])
def test_an_answer_of_another_shape_is_an_error(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, payload: Any
) -> None:
    fake.faults["q"] = [answer(payload)] * 4
    [result] = ask([request("q")], server, cache, RUNTIME)
    assert result.error.startswith("unusable answer") and not result.samples


def test_a_refused_request_is_an_error_and_not_tried_again(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    fake.faults["question 1"] = [status(400)]
    results = ask(requests(3), server, cache, RUNTIME)
    assert [result.error for result in results] == ["", "HTTP 400: injected 400", ""]
    assert fake.asked["question 1"] == 1


def test_a_server_that_rejects_everything_from_the_start_ends_the_run_with_its_own_words(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    for i in range(60):
        fake.faults[f"question {i}"] = [status(400)]
    with pytest.raises(UserError, match=r"rejected the first 10 requests and answered none: HTTP 400: injected 400"):
        ask(requests(60), server, cache, RUNTIME)
    assert fake.asked.total() < 10 + RUNTIME.concurrency


def test_many_rejected_requests_are_errors_where_others_were_answered_now_or_earlier(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    for i in range(10, 40):
        fake.faults[f"question {i}"] = [status(422)] * 2
    for _ in range(2):  # the second time, nothing but what is rejected is left to ask
        results = ask(requests(40), server, cache, RUNTIME)
        assert [bool(result.error) for result in results] == [False] * 10 + [True] * 30


def test_errors_are_not_cached(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.faults["question 1"] = [status(400)]
    fake.faults["question 2"] = [status(500)] * 4
    errors = [bool(result.error) for result in ask(requests(4), server, cache, RUNTIME)]
    assert errors == [False, True, True, False]
    fake.asked.clear()
    assert not any(result.error for result in ask(requests(4), server, cache, RUNTIME))
    assert fake.asked == {"question 1": 1, "question 2": 1}


@pytest.mark.parametrize(("change", "message"), [({"api_key": "wrong"}, "key"), ({"model_name": "other"}, "model")])
def test_a_refused_key_or_model_ends_the_run_at_once(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, change: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        ask(requests(50), replace(server, **change), cache, RUNTIME)
    assert fake.asked.total() <= RUNTIME.concurrency


def test_an_endpoint_that_is_not_there_ends_the_run(server: Server, cache: ResponseCache) -> None:
    with pytest.raises(UserError, match=r"cannot reach http://127\.0\.0\.1:9/v1"):
        ask(requests(3), replace(server, base_url="http://127.0.0.1:9/v1"), cache, RUNTIME)


def test_too_many_failures_in_a_row_end_the_run_and_answers_are_kept(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    for i in range(10, 60):
        fake.faults[f"question {i}"] = [status(500)] * 4
    with pytest.raises(UserError, match=r"10 requests in a row failed.*HTTP 500: injected 500"):
        ask(requests(60), server, cache, RUNTIME)
    fake.asked.clear()
    ask(requests(10), server, cache, RUNTIME)
    assert fake.asked.total() == 0


# ── Concurrency ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_concurrency_is_used_and_never_exceeded(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    for i in range(RUNTIME.concurrency):
        fake.faults[f"question {i}"] = [hold(lambda: fake.peak == RUNTIME.concurrency)]
    ask(requests(40), server, cache, RUNTIME)
    assert fake.peak == RUNTIME.concurrency


def test_a_slow_request_holds_up_no_other(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    seen: list[int] = []
    fake.faults["question 0"] = [hold(lambda: len(seen) == 39)]
    ask(requests(40), server, cache, RUNTIME, lambda index, result: seen.append(index))
    assert seen[-1] == 0 and len(seen) == 40


# ── The cache ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_missing_answers_are_asked_for(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    first = ask(requests(6), server, cache, RUNTIME)
    seen: list[int] = []
    again = ask(requests(9), server, cache, RUNTIME, lambda index, result: seen.append(index))
    assert again[:6] == first and set(fake.asked.values()) == {1} and fake.asked.total() == 9
    assert sorted(seen[:6]) == list(range(6)), "cached answers come first"


def test_equal_requests_are_asked_once(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    results = ask([request("q"), request("r"), request("q")], server, cache, RUNTIME)
    assert texts(results) == ["q", "r", "q"] and fake.asked == {"q": 1, "r": 1}


@pytest.mark.parametrize(
    "change",
    [
        *({"temperature": 0.6}, {"top_p": 0.5}, {"max_tokens": 9}, {"seed": 2}, {"n": 2}, {"token_ids": True}),
        *({"extra": {"top_k": 1}}, {"messages": [{"role": "user", "content": "q"}]}),
    ],
)
def test_whatever_decides_an_answer_is_in_its_key(server: Server, change: dict[str, Any]) -> None:
    one = request("q")
    assert cache_key(one, server) != cache_key(replace(one, **change), server)
    assert cache_key(one, server) == cache_key(replace(one, id="another name"), server)


def test_the_model_is_in_the_key_but_the_address_is_not(server: Server) -> None:
    key = cache_key(request("q"), server)
    assert key != cache_key(request("q"), replace(server, identity={"backend": "vllm", "model": "another"}))
    assert key == cache_key(request("q"), replace(server, base_url="http://127.0.0.1:1/v1", media_root=Path("/other")))


def test_clips_count_by_content(server: Server) -> None:
    def about(path: str, sha256: str) -> ChatRequest:
        return replace(
            request("q"), messages=[{"role": "user", "content": [audio_part(Audio(path, sha256, 1.0)), text_part("q")]}]
        )

    assert cache_key(about("a.flac", "1"), server) == cache_key(about("b.flac", "1"), server)
    assert cache_key(about("a.flac", "1"), server) != cache_key(about("a.flac", "2"), server)


# ── Interruption ─────────────────────────────────────────────────────────────────────────────────────────────────────

RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from tests.test_serve_client import RUNTIME, requests
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import Server
from tests.asking import ask
server = Server("vllm", sys.argv[1], "key", "fake", {"backend": "vllm", "model": "a hash"}, "", Path("."))
ask(requests(int(sys.argv[3])), server, ResponseCache(Path(sys.argv[2])), RUNTIME)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_where_it_stopped(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, tmp_path: Path, kill: signal.Signals
) -> None:
    count, enough, most = 120, 40, 80
    fake.latency_s = 0.01
    for i in range(most, count):  # the run cannot end before it is interrupted
        fake.faults[f"question {i}"] = [hang(60)]
    command = [sys.executable, "-c", RUN, fake.base_url, str(tmp_path / "responses.sqlite"), str(count)]
    process = subprocess.Popen(
        [*command, str(Path(__file__).parent.parent)], stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts
    )
    keys = [cache_key(one, server) for one in requests(count)]
    wait_until(lambda: len(cache.get_many(keys)) >= enough)
    process.send_signal(kill)
    assert process.wait(60) != 0
    kept = len(cache.get_many(keys))
    assert enough <= kept <= most
    if kill == signal.SIGINT:  # which leaves time to put into the cache what has come
        assert len(fake.asked) - kept <= RUNTIME.concurrency, "only what was in flight is lost"
    with FakeOpenAI() as another:
        assert len(ask(requests(count), replace(server, base_url=another.base_url), cache, RUNTIME)) == count
        assert another.asked.total() == len(another.asked) == count - kept


def test_what_was_answered_is_kept_when_a_run_ends_with_an_error(
    fake: FakeOpenAI, server: Server, tmp_path: Path
) -> None:
    class SlowCache(ResponseCache):
        def put_many(self, rows: Any) -> None:
            time.sleep(0.2)
            super().put_many(rows)

    slow = SlowCache(tmp_path / "responses.sqlite")
    fake.faults["question 30"] = [status(401)]
    seen: list[int] = []
    with pytest.raises(UserError, match="key"):
        ask(requests(60), server, slow, RUNTIME, lambda index, result: seen.append(index))
    assert len(seen) >= 30 - RUNTIME.concurrency
    fake.asked.clear()
    ask([requests(60)[index] for index in seen], server, slow, RUNTIME)
    assert fake.asked.total() == 0


def test_a_server_that_dies_is_found_again_and_nothing_is_asked_twice(tmp_path: Path, cache: ResponseCache) -> None:
    first, second = FakeOpenAI(latency_s=0.01), FakeOpenAI("another key")
    recovered: list[Server] = []

    def there(fake: FakeOpenAI) -> Server:
        return Server("vllm", fake.base_url, fake.key, fake.model, {"model": "m"}, "", tmp_path, recover=recover)

    def recover() -> Server:
        second.start()
        recovered.append(there(second))
        return recovered[-1]

    def on_result(index: int, result: ChatResult) -> None:
        if index == 20:
            death.start()

    death = threading.Thread(target=first.stop)
    first.faults["question 99"] = [hang(60)]  # the run cannot end before the server does
    first.start()
    results = ask(requests(100), there(first), cache, RUNTIME, on_result)
    death.join()
    second.stop()
    assert texts(results) == [f"question {i}" for i in range(100)]
    assert len(recovered) == 1
    twice = set(first.answered) & set(second.answered)
    assert len(twice) <= RUNTIME.concurrency, "only what was in flight may be asked again"


def test_a_server_that_cannot_be_restarted_ends_the_run(server: Server, cache: ResponseCache) -> None:
    def recover() -> Server:
        raise UserError("vLLM ended while it was starting")

    lost = replace(server, base_url="http://127.0.0.1:9/v1", recover=recover)
    with pytest.raises(UserError, match="ended while it was starting"):
        ask(requests(5), lost, cache, RUNTIME)


# ── Audio ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clip(tmp_path: Path) -> Audio:
    name = "a clip #1 50% ü.flac"
    samples = np.arange(-800, 800, dtype=np.int16)
    soundfile.write(tmp_path / name, samples, 16_000, subtype="PCM_16")
    return Audio(name, "a hash", 0.1)


def part(clip: Audio, server: Server) -> dict[str, Any]:
    message = {"role": "user", "content": [audio_part(clip), text_part("What is it?")]}
    sent: dict[str, Any] = body(replace(request("q"), messages=[message]), server)["messages"][0]["content"][0]
    return sent


def test_a_local_server_reads_clips_from_their_folder(clip: Audio, server: Server) -> None:
    url = part(clip, server)["audio_url"]["url"]
    assert url.startswith("file:///") and url.endswith("/a%20clip%20%231%2050%25%20%C3%BC.flac")


def test_other_endpoints_get_clips_as_wav(clip: Audio, server: Server) -> None:
    sent = part(clip, replace(server, backend="openai"))["input_audio"]
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(sent["data"])), dtype="int16")
    assert sent["format"] == "wav" and rate_hz == 16_000
    assert samples.tolist() == list(range(-800, 800))


def test_only_vllm_is_asked_for_token_ids(clip: Audio, server: Server) -> None:
    assert "return_token_ids" in body(request("q"), server)
    assert "return_token_ids" not in body(request("q"), replace(server, backend="openai"))


def test_a_missing_clip_ends_the_run(server: Server, cache: ResponseCache) -> None:
    message = {"role": "user", "content": [audio_part(Audio("absent.flac", "h", 1.0))]}
    with pytest.raises(UserError, match=r"absent\.flac: no such file, but q"):
        ask([replace(request("q"), messages=[message])], server, cache, RUNTIME)


def test_an_external_endpoint_comes_from_the_environment(
    fake: FakeOpenAI, cache: ResponseCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDIO_REASONING_API_KEY", raising=False)
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", fake.base_url + "/")
    with pytest.raises(UserError, match="AUDIO_REASONING_API_KEY"):
        external_server("fake", tmp_path)
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", "key")
    server = external_server("fake", tmp_path)
    assert texts(ask(requests(2), server, cache, RUNTIME)) == ["question 0", "question 1"]
    assert "key" not in repr(server)
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", "https://me:secret@example.org:8000/v1?token=secret#secret")
    assert external_server("fake", tmp_path).identity["base_url"] == "https://example.org:8000/v1"
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", "https://[me:secret@example.org/v1")
    with pytest.raises(UserError, match="no URL"):
        external_server("fake", tmp_path)
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", fake.base_url)
    [result] = ask([request("q", n=2)], server, cache, RUNTIME)
    assert [sample.completion_tokens for sample in result.samples] == [None, None], "only their sum is known"
