"""Judging by an endpoint, with its faults: each rating is asked for once, within the budget, and none is lost."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines import connection
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.judging.endpoint import ATTEMPTS, KEY, URL, Failure, judge_server, rate
from audio_reasoning.judging.params import Judge
from audio_reasoning.judging.ratings import Rating, Reply
from tests.fake_judge import FakeJudge, reply
from tests.fake_openai import hang, reset, status
from tests.pipeline import cached_answers, wait_until
from tests.test_serve_client import RUNTIME

ROOT = Path(__file__).parent.parent
GOOD = reply(1, 1, 1, 1, 0)
JUDGE = Judge(
    kind="endpoint",
    runs=[],
    rubrics="-",
    model="judge",
    ratings=5,
    temperature=0.0,
    seed=42,
    max_tokens=100,
    max_calls=100,
    max_error_rate=0.0,
)


def always_good(prompt: str, seed: int) -> str:
    return GOOD


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJudge]:
    monkeypatch.setattr(connection, "_FIRST_WAIT_S", 0.02)
    with FakeJudge(always_good) as fake:
        monkeypatch.setenv(URL, fake.base_url)
        monkeypatch.setenv(KEY, fake.key)
        yield fake


def prompts(count: int) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(f"run: {i}", [{"role": "user", "content": f"prompt {i}"}]) for i in range(count)]


def ratings(count: int, cache: ResponseCache, **changes: Any) -> list[list[Rating | Failure]]:
    runtime = {key: changes.pop(key) for key in ("request_timeout_s", "concurrency") if key in changes}
    judge = JUDGE.model_copy(update=changes)
    replies = rate(prompts(count), judge_server(judge.model), judge, cache, RUNTIME.model_copy(update=runtime))
    return [[reply.rating if isinstance(reply, Reply) else reply for reply in row] for row in replies]


# ── Ratings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_rating_is_one_request_with_a_seed_of_its_own(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.decide = lambda prompt, seed: reply(*(int(seed - 42 >= n) for n in range(5)))
    [row] = ratings(1, cache)
    assert row == [(1, 0, 0, 0, 0), (1, 1, 0, 0, 0), (1, 1, 1, 0, 0), (1, 1, 1, 1, 0), (1, 1, 1, 1, 1)]
    assert fake.seeds == [42, 43, 44, 45, 46]
    assert all(body["temperature"] == 0.0 and body["max_tokens"] == 100 for body in fake.bodies)


def test_what_is_cached_is_never_asked_again(fake: FakeJudge, cache: ResponseCache) -> None:
    first = ratings(3, cache)
    fake.bodies.clear()
    assert ratings(3, cache, max_calls=1) == first
    assert not fake.bodies


@pytest.mark.parametrize("change", [{"seed": 7}, {"temperature": 0.5}, {"max_tokens": 50}])
def test_whatever_decides_a_rating_is_in_its_key(fake: FakeJudge, cache: ResponseCache, change: dict[str, Any]) -> None:
    ratings(1, cache)
    fake.bodies.clear()
    ratings(1, cache, **change)
    assert len(fake.bodies) == 5


def test_more_ratings_ask_only_for_those_that_lack(fake: FakeJudge, cache: ResponseCache) -> None:
    ratings(2, cache, ratings=3)
    fake.bodies.clear()
    ratings(2, cache, ratings=5)
    assert fake.seeds == [45, 45, 46, 46]


# ── Nonsense ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reply_that_is_no_rating_is_asked_for_again_with_another_seed(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.decide = lambda prompt, seed: "Five of five!" if seed == 43 else GOOD
    assert ratings(1, cache) == [[(1, 1, 1, 1, 0)] * 5]
    assert fake.seeds == [42, 43, 44, 45, 46, 1043]


@pytest.mark.parametrize("nonsense", ["", "All met.", reply(1, 1, 1, 1), reply(1, 1, 1, 1, 2), reply(1, 1, 1, 1, True)])
def test_a_judge_that_talks_nonsense_fails_after_a_few_attempts(
    fake: FakeJudge, cache: ResponseCache, nonsense: str
) -> None:
    fake.decide = lambda prompt, seed: nonsense if prompt == "prompt 1" else GOOD
    first, second = ratings(2, cache, ratings=2)
    assert first == [(1, 1, 1, 1, 0)] * 2
    assert all(isinstance(rating, Failure) and "no rating" in rating.reason for rating in second)
    assert fake.asked == {"prompt 0": 2, "prompt 1": 2 * ATTEMPTS}
    fake.bodies.clear()
    assert ratings(2, cache, ratings=2) == [first, second]  # nonsense is cached too
    assert not fake.bodies


# ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", [status(500), status(503), status(429, Retry_After="0"), reset()])
def test_a_passing_fault_is_tried_again(fake: FakeJudge, cache: ResponseCache, fault: Callable[..., Any]) -> None:
    fake.faults["prompt 1"] = [fault, fault]
    assert ratings(3, cache, ratings=1) == [[(1, 1, 1, 1, 0)]] * 3
    assert fake.asked == {"prompt 0": 1, "prompt 1": 3, "prompt 2": 1}


def test_a_judge_that_hangs_is_asked_again(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.faults["prompt 1"] = [hang(60)]
    assert ratings(3, cache, ratings=1, request_timeout_s=1.0) == [[(1, 1, 1, 1, 0)]] * 3
    assert fake.asked["prompt 1"] >= 2


def test_a_fault_that_stays_is_a_failure_and_is_asked_again_next_time(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.faults["prompt 1"] = [status(500)] * (RUNTIME.retries + 1)
    [_, [failure], _] = ratings(3, cache, ratings=1)
    assert failure == Failure("HTTP 500: injected 500")
    fake.asked.clear()
    assert ratings(3, cache, ratings=1) == [[(1, 1, 1, 1, 0)]] * 3
    assert fake.asked == {"prompt 1": 1}


def test_a_judge_that_rejects_every_request_is_given_up_and_says_why(fake: FakeJudge, cache: ResponseCache) -> None:
    for i in range(50):
        fake.faults[f"prompt {i}"] = [status(400)]
    with pytest.raises(UserError, match=r"HTTP 400: injected 400"):
        ratings(50, cache, ratings=1)
    assert len(fake.bodies) < 20


def test_a_wrong_key_ends_the_run_at_once(
    fake: FakeJudge, cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "wrong")
    with pytest.raises(UserError, match="key is wrong"):
        ratings(3, cache)


@pytest.mark.parametrize("name", [URL, KEY])
def test_without_address_or_key_nothing_is_asked(
    fake: FakeJudge, cache: ResponseCache, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(UserError, match=f"set {name} in the environment"):
        ratings(1, cache)


def test_an_address_must_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, "judge.example.org/v1")
    monkeypatch.setenv(KEY, "secret")
    with pytest.raises(UserError, match="does not start with http") as raised:
        judge_server("judge")
    assert "secret" not in str(raised.value)


def test_the_key_shows_nowhere(fake: FakeJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, "https://me:secret@example.org/v1?token=secret")
    server: Server = judge_server("judge")
    assert fake.key not in repr(server) and fake.key not in str(server.identity)
    assert server.identity["base_url"] == "https://example.org/v1"


# ── The budget ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_over_the_budget_is_refused_before_anything_is_sent(fake: FakeJudge, cache: ResponseCache) -> None:
    with pytest.raises(UserError, match=r"needs 15 more requests, and judge.max_calls = 14 leaves 14"):
        ratings(3, cache, max_calls=14)
    assert not fake.bodies
    ratings(2, cache, max_calls=10)
    fake.bodies.clear()
    ratings(3, cache, max_calls=5)  # ten of fifteen are cached
    assert len(fake.bodies) == 5


def test_further_tries_count_against_the_budget(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.faults["prompt 0"] = [status(500)] * 3
    with pytest.raises(UserError, match=r"judge.max_calls = 10 requests were sent"):
        ratings(10, cache, ratings=1, max_calls=10, concurrency=1)
    assert fake.asked == {"prompt 0": 4} | {f"prompt {i}": 1 for i in range(1, 7)}
    fake.bodies.clear()
    assert ratings(10, cache, ratings=1, max_calls=3) == [[(1, 1, 1, 1, 0)]] * 10
    assert len(fake.bodies) == 3


def test_requests_at_once_never_exceed_the_budget(fake: FakeJudge, cache: ResponseCache) -> None:
    for i in range(10):
        fake.faults[f"prompt {i}"] = [status(500)]
    with pytest.raises(UserError, match=r"judge.max_calls = 15 requests were sent"):
        ratings(10, cache, ratings=1, max_calls=15)
    assert len(fake.bodies) <= 15


def test_new_attempts_at_nonsense_stay_within_the_budget(fake: FakeJudge, cache: ResponseCache) -> None:
    fake.decide = lambda prompt, seed: "nonsense"
    with pytest.raises(UserError, match=r"needs 10 more requests, and judge.max_calls = 19 leaves 9"):
        ratings(2, cache, max_calls=19)
    assert len(fake.bodies) == 10


# ── Killed, and resumed ──────────────────────────────────────────────────────────────────────────────────────────────

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from audio_reasoning.engines.cache import ResponseCache
from tests.test_judge_endpoint import ratings
ratings(12, ResponseCache(Path(sys.argv[1])))
"""


def test_a_killed_run_asks_only_for_what_it_lacks(fake: FakeJudge, tmp_path: Path) -> None:
    fake.latency_s = 0.02
    fake.faults["prompt 11"] = [hang(60)] * 5  # the last of 12, so the run cannot end before it is killed
    path = tmp_path / "responses.sqlite"
    running = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stderr=subprocess.DEVNULL)
    wait_until(lambda: cached_answers(path) >= 20)
    running.send_signal(signal.SIGKILL)
    running.wait()
    left = 60 - cached_answers(path)
    assert 5 <= left <= 40
    fake.faults.clear()
    cache = ResponseCache(path)
    with pytest.raises(UserError, match=f"needs {left} more requests"):
        ratings(12, cache, max_calls=left - 1)
    assert ratings(12, cache, max_calls=left) == [[(1, 1, 1, 1, 0)] * 5] * 12


def test_two_runs_of_one_plan_share_the_cache(fake: FakeJudge, tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"

    def run() -> None:
        ratings(4, ResponseCache(path))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fake.bodies.clear()
    run()
    assert not fake.bodies
