"""Endpoints as they are: what replies lack, what comes instead of one, and how people write their addresses."""

import gzip
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import soundfile

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Audio
from audio_reasoning.engines.answers import parse
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import Server, external_server
from audio_reasoning.engines.load import Load, parse_load
from audio_reasoning.engines.messages import ChatRequest, audio_part, body, cache_key, text_part
from audio_reasoning.engines.server.canaries import check_hearing
from tests.asking import ask
from tests.fake_openai import FakeOpenAI, Fault, answer, raw, status
from tests.pipeline import wait_until
from tests.test_serve_client import RUNTIME, request, requests, texts

pytestmark = pytest.mark.usefixtures("short_waits")

ROOT = Path(__file__).parent.parent
ONCE = RUNTIME.model_copy(update={"retries": 1})


@pytest.fixture
def server(fake: FakeOpenAI, tmp_path: Path) -> Server:
    identity = {"backend": "openai", "base_url": "x", "model": "fake"}
    return Server("openai", fake.base_url, fake.key, fake.model, identity, "", tmp_path)


def completion(*messages: Any, finish: Any = "stop", **changes: Any) -> dict[str, Any]:
    choices = [{"index": i, "message": message, "finish_reason": finish} for i, message in enumerate(messages)]
    usage = {"prompt_tokens": 50, "completion_tokens": 5}
    row = {"choices": choices, "usage": usage} | changes
    return {key: value for key, value in row.items() if value is not ...}


def said(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


# ── Replies that are read ────────────────────────────────────────────────────────────────────────────────────────────

PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "It barks."}]}, {"type": "text", "text": "A dog"}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (said(PARTS), "<think>It barks.</think>\nA dog"),
        (said([{"type": "text", "text": "A "}, {"type": "output_text", "text": "dog"}, "!"]), "A dog!"),
        (
            said([{"type": "reasoning", "text": "It barks."}, {"type": "text", "text": "A dog"}]),
            "<think>It barks.</think>\nA dog",
        ),
        (said(None, refusal="I cannot tell."), "I cannot tell."),
        (said("A \ud800dog"), "A \ufffddog"),
        (said(""), ""),
    ],
)
def test_a_content_of_any_usual_form_is_read(message: dict[str, Any], text: str) -> None:
    assert parse(completion(message), request("q")).samples[0].text == text


@pytest.mark.parametrize("usage", [..., None, {}, {"prompt_tokens": None}, {"completion_tokens": -1}, "none"])
def test_an_answer_needs_no_usage(usage: Any) -> None:
    result = parse(completion(said("A dog"), usage=usage), request("q"))
    assert (result.prompt_tokens, result.samples[0].completion_tokens) == (0, None)


@pytest.mark.parametrize(
    ("finish", "used", "reason"),
    [(None, 8, "length"), (None, 3, "unknown"), ("stop", 8, "stop"), ("length", 0, "length")],
)
def test_a_missing_finish_reason_is_inferred_from_the_tokens(finish: Any, used: int, reason: str) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": used}
    assert parse(completion(said("A dog"), finish=finish, usage=usage), request("q")).samples[0].finish_reason == reason


@pytest.mark.parametrize(
    ("indices", "expected"), [((1, 0), "ba"), ((0, 0), "ab"), ((None, None), "ab"), ((-1, 0), "ab"), (("1", "0"), "ab")]
)
def test_samples_come_by_index_or_as_they_came(indices: tuple[Any, Any], expected: str) -> None:
    row = completion(said("a"), said("b"))
    for choice, index in zip(row["choices"], indices, strict=True):
        choice["index"] = index
    assert "".join(sample.text for sample in parse(row, request("q", n=2)).samples) == expected


def test_thinking_without_a_text_is_an_answer_that_was_cut() -> None:
    row = completion(said(None, reasoning="Hm"), finish="length")
    assert parse(row, request("q")).samples[0].text == "<think>Hm</think>\n"


# ── Replies that are none: tried again, told, and never cached ───────────────────────────────────────────────────────

SHORT = json.dumps(completion(said("A dog"))).encode()
UNUSABLE: dict[str, tuple[Fault, str]] = {
    "empty": (raw(b""), "an empty reply"),
    "null": (raw(b"null"), "not a chat completion: None"),
    "cut": (raw(SHORT[:-9]), "no JSON, or not all of it"),
    "bytes": (raw(b"\xff\xfe\x00"), "no JSON"),
    "error in 200": (answer({"error": {"message": "overloaded"}}), "tells of an error.*overloaded"),
    "no samples": (answer(completion()), "0 samples came"),
    "too many": (answer(completion(said("a"), said("b"))), "2 samples came, 1 were asked for"),
    "choices of text": (answer({"choices": ["A dog"]}), "not a chat completion"),
    "no message": (answer({"choices": [{"index": 0, "text": "A dog"}]}), "without a message"),
    "no text": (answer(completion(said(None), usage=...)), "without text"),
    "tool call": (answer(completion(said(None, tool_calls=[{"id": "1"}]), finish="tool_calls")), "a tool call"),
    "number": (answer(completion(said(7))), "no text came: 7"),
    "picture": (answer(completion(said([{"type": "image_url", "image_url": {}}]))), "no text: .*image_url"),
    "broken off": (answer(completion(said("A d"), finish="error")), "broke a sample off"),
    "no gzip": (raw(SHORT, Content_Encoding="gzip"), "cut short or cannot be decompressed"),
}


@pytest.mark.parametrize(("fault", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_reply_is_an_error_once_and_no_answer_ever(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, fault: Fault, words: str
) -> None:
    fake.faults["question 1"] = [fault, fault]
    good, bad = ask(requests(2), server, cache, ONCE)
    assert not good.error and not bad.samples
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(bad.error)
    assert texts(ask(requests(2), server, cache, ONCE)) == ["question 0", "question 1"], "the server was mended"
    assert fake.asked == {"question 0": 1, "question 1": 3}


def test_a_compressed_reply_is_read(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.faults["q"] = [raw(gzip.compress(SHORT), Content_Encoding="gzip")]
    assert ask([request("q")], server, cache, ONCE)[0].samples[0].text == "A dog"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (raw(b"<!doctype html><title>Chat</title>", "text/html"), r"no OpenAI-compatible API: a web page.*for q\. "),
        (raw(b'data: {"choices": []}\n\n', "text/event-stream"), r"a stream of events.*for q\. "),
        (
            raw(b"", code=308, Location="https://me:secret@example.org/v1"),
            r"redirects \(308\) to https://example.org/v1",
        ),
        (status(429, Retry_After="86400"), r"asks to wait 24 h \(HTTP 429: injected 429\); it was asked about q\."),
        (status(503, Retry_After="inf"), "asks to wait for ever"),
    ],
)
def test_what_no_further_try_can_mend_ends_the_run_at_once(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, fault: Fault, words: str
) -> None:
    fake.faults["q"] = [fault] * 9
    with pytest.raises(UserError, match=words):
        ask([request("q")], server, cache, RUNTIME)
    assert fake.asked["q"] == 1


def test_a_web_page_in_the_midst_of_answers_is_a_passing_fault(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    fake.faults["question 5"] = [raw(b"<html>Bad gateway</html>", "text/html")]
    runtime = RUNTIME.model_copy(update={"concurrency": 1})
    assert len(texts(ask(requests(6), server, cache, runtime))) == 6


@pytest.mark.parametrize(("most", "asked"), [(1, 5), (2, 3)])
def test_a_server_that_gives_fewer_samples_is_asked_for_the_rest(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, most: int, asked: int
) -> None:
    [whole] = ask([request("q", n=5)], server, ResponseCache(cache.folder / "other" / "c.sqlite"), RUNTIME)
    fake.asked.clear()
    fake.most_samples = most
    [pieced] = ask([request("q", n=5)], server, cache, RUNTIME)
    assert [sample.text for sample in pieced.samples] == [sample.text for sample in whole.samples], "seeds count up"
    assert fake.asked["q"] == asked


# ── Addresses and keys ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["“sk-SECRET”", "sk–SECRET", "sk-SEC\nRET", '"sk-SECRET"', "sk-SEC RET", "\n"])
def test_a_key_that_no_header_can_carry_is_explained_without_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", "https://example.org/v1")
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", key)
    with pytest.raises(UserError, match="AUDIO_REASONING_API_KEY") as caught:
        external_server("m", Path())
    assert "SEC" not in str(caught.value)


@pytest.mark.parametrize("form", ["{}", "{}/", " {}\n", "{}/chat/completions", "{}?version=2"])
def test_an_address_works_as_people_write_it(
    fake: FakeOpenAI, cache: ResponseCache, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", form.format(fake.base_url))
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", "key\r\n")
    assert texts(ask(requests(1), external_server("fake", Path()), cache, RUNTIME)) == ["question 0"]


@pytest.mark.parametrize(
    "address",
    [
        *("http://me:hunter2@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=hunter2", "me:hunter2@127.0.0.1/v1"),
        *("http://me:hunter2/v1", "http://127.0.0.1:hunter2/v1", "http://[me:hunter2@x/v1", "http://", "http://:9/v1"),
    ],
)
def test_no_message_holds_the_password_of_an_address(
    cache: ResponseCache, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", address)
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", "key")
    with pytest.raises(UserError) as caught:
        ask(requests(1), external_server("fake", Path()), cache, ONCE)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_secrets_that_a_server_repeats_are_masked(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    asked = replace(server, base_url=f"{fake.base_url}?key=hunter2", api_key="sk-SECRET")
    fake.key = asked.api_key
    fake.faults["q"] = [raw(b'{"error": "sk-SECRET may not ask /v1?key=hunter2"}', code=400)]
    assert ask([request("q")], asked, cache, ONCE)[0].error == "HTTP 400: *** may not ask /v1?key=***"


def test_the_password_of_an_address_is_sent_instead_of_the_key(
    fake: FakeOpenAI, server: Server, cache: ResponseCache
) -> None:
    with pytest.raises(UserError, match="the key is wrong"):  # the fake takes a key only
        ask([request("q")], replace(server, base_url=fake.base_url.replace("//", "//me:hunter2@")), cache, ONCE)


# ── What is sent, and what is kept ───────────────────────────────────────────────────────────────────────────────────


def test_a_body_is_what_the_openai_library_would_send(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    one = request("q", n=2, extra={"stop": ["\n"]})
    ask([one], server, cache, RUNTIME)
    with openai.OpenAI(base_url=fake.base_url, api_key=fake.key) as client:
        reply = client.chat.completions.create(**body(one, server))
    ours, theirs = fake.bodies
    assert ours == theirs and len(reply.choices) == 2


def clips(folder: Path, count: int, seconds: float = 1.0) -> list[ChatRequest]:
    """Requests, each about a FLAC clip of its own."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        name = f"{i}.flac"
        noise = rng.integers(-9_000, 9_000, round(16_000 * seconds), dtype=np.int16)
        soundfile.write(folder / name, noise, 16_000, subtype="PCM_16")
        parts = [audio_part(Audio(name, f"hash {i}", seconds)), text_part(f"question {i}")]
        made.append(replace(request(f"question {i}"), messages=[{"role": "user", "content": parts}]))
    return made


def test_a_clip_is_converted_once_whatever_is_asked_about_it(
    fake: FakeOpenAI, server: Server, cache: ResponseCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = clips(tmp_path, 1)
    ask([replace(one, seed=seed) for seed in range(20)], server, cache, RUNTIME)
    converted = list((tmp_path / "wav").iterdir())
    monkeypatch.setattr(soundfile, "read", None)
    ask([replace(one, temperature=0.7)], server, cache, RUNTIME)
    assert [file.name for file in converted] == ["hash 0.wav"]
    assert len({b["messages"][0]["content"][0]["input_audio"]["data"] for b in fake.bodies}) == 1


def test_a_run_leaves_its_latencies_and_tokens(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.latency_s = 0.05
    for _ in range(2):  # the second run asks nothing, and leaves nothing
        ask(requests(6), server, cache, RUNTIME, label="baseline")
    [line] = (cache.folder / "runs.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["run"], row["answers"], row["cached"], row["completion_tokens"]) == ("baseline", 6, 0, 48)
    assert 0.05 <= row["latency_p50_s"] <= row["latency_p95_s"] <= row["seconds"]


def test_a_local_servers_load_is_told_while_it_is_asked(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    fake.latency_s = 1.5
    fake.metrics = [
        f'# HELP\nvllm:num_requests_running{{engine="0"}} 3.0\nvllm:num_requests_waiting{{engine="0"}} 2.0\n'
        f'vllm:generation_tokens_total{{engine="0"}} {tokens}.0\n'
        for tokens in (100, 100_000)
    ]
    seen: list[str] = []
    ask(requests(1), replace(server, backend="vllm"), cache, RUNTIME, on_load=seen.append)
    assert seen[0] == "3 running, 2 waiting" and seen[1].endswith("tokens/s")
    ask(requests(2), server, cache, RUNTIME, on_load=pytest.fail)


def test_a_server_without_metrics_is_asked_all_the_same(fake: FakeOpenAI, server: Server, cache: ResponseCache) -> None:
    assert len(ask(requests(3), replace(server, backend="vllm"), cache, RUNTIME, on_load=pytest.fail)) == 3
    assert parse_load("# nothing") is None
    two = 'vllm:num_requests_running{engine="0"} 1\nvllm:num_requests_running{engine="1"} 2'
    assert parse_load(two) == Load(3, 0, 0)


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.test_serve_client import RUNTIME
from tests.test_serve_faults import clips
from audio_reasoning.engines.cache import ResponseCache
from tests.asking import ask
from audio_reasoning.engines.endpoint import Server
folder = Path(sys.argv[2])
server = Server("openai", sys.argv[1], "key", "fake", {"model": "m"}, "", folder)
runtime = RUNTIME.model_copy(update={"concurrency": 32})
ask(clips(folder, 240, 5.0), server, ResponseCache(folder / "responses.sqlite"), runtime)
"""


def test_an_answer_is_safe_fifty_milliseconds_after_it_came(tmp_path: Path) -> None:
    """Killed in mid-run, with clips still being encoded; a busy machine is given three tries."""
    lost = []
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with FakeOpenAI(latency_s=0.02) as fake:
            command = [sys.executable, "-c", RUN, fake.base_url, str(folder), str(ROOT)]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            wait_until(lambda fake=fake: len(fake.answered_at) >= 80)
            killed = time.monotonic()
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            safe = [text for text, at in fake.answered_at.items() if at < killed - 0.05]
            server = Server("openai", "", "", "fake", {"model": "m"}, "", folder)
            keys = {one.id: cache_key(one, server) for one in clips(folder, 240, 5.0)}
            cache = ResponseCache(folder / "responses.sqlite")
            kept = cache.get_many(list(keys.values()))
            cache.close()
        lost.append([text for text in safe if keys[text] not in kept])
        if len(safe) >= 20 and not lost[-1]:
            return
    raise AssertionError(f"answered more than 50 ms before the end, and lost: {lost}")


def test_a_change_of_the_code_asks_no_old_answer_again(server: Server) -> None:
    one = request("q", n=2, token_ids=True, extra={"top_k": 3})
    assert cache_key(one, server)[:16] == "3c5d956aa6a00968", "every answer in every cache would be asked again"


def test_a_probe_survives_a_passing_fault_and_finds_a_deaf_model(fake: FakeOpenAI, server: Server) -> None:
    fake.faults["Hi"] = [status(503)]
    check_hearing(server, RUNTIME)
    fake.deaf = True
    with pytest.raises(UserError, match="does not hear"):
        check_hearing(server, RUNTIME)
