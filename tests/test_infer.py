"""Reading a backend's results: every question is answered for, whatever came back."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.records import Audio, Response, question_from, response_from, to_dict
from audio_reasoning.engines.answer import answer_questions, check_clips, rollouts_of
from audio_reasoning.engines.answers import ChatResult, Sample, failed
from audio_reasoning.engines.engine import Setup
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.tasks.extract import read_answer
from stages.project import load_project
from tests.fake_openai import FakeOpenAI, status
from tests.questions import QUESTION

ROOT = Path(__file__).parent.parent


def read(text: str, finish_reason: str = "stop", keep_ids: bool = False):
    result = ChatResult((Sample(text, finish_reason, 3, (1, 2, 3)),), prompt_tokens=9, prompt_token_ids=(7,) * 9)
    (rollout,) = rollouts_of(QUESTION.id, result, 1, keep_ids)
    return read_answer(rollout, QUESTION.choices)


@pytest.mark.parametrize(
    ("text", "finish_reason", "status", "answer"),
    [
        ("<think>drops</think>\nANSWER: rain", "stop", "ok", 1),
        ("<think>drops</think>\nANSWER: rain", "length", "truncated", None),
        ("<think>drops and drops", "stop", "truncated", None),
        ("<think>drops</think>\nANSWER: snow", "stop", "no_answer", None),
        ("", "stop", "no_answer", None),
    ],
)
def test_what_a_model_wrote_becomes_a_status(text: str, finish_reason: str, status: str, answer: int | None) -> None:
    response = read(text, finish_reason)
    assert (response.status, response.answer, response.text) == (status, answer, text)


@given(st.text(), st.sampled_from(["stop", "length", "content_filter"]))
def test_an_answer_is_a_choice_exactly_when_the_status_is_ok(text: str, finish_reason: str) -> None:
    response = read(text, finish_reason)
    assert (response.status == "ok") == (response.answer in (0, 1))


def test_a_failed_request_is_a_response_for_each_sample() -> None:
    rollouts = rollouts_of(QUESTION.id, failed("HTTP 400: too long"), 3, False)
    responses = [read_answer(rollout, QUESTION.choices) for rollout in rollouts]
    assert [(r.sample_index, r.status, r.error) for r in responses] == [
        (i, "error", "HTTP 400: too long") for i in range(3)
    ]


def test_token_ids_are_kept_only_where_asked_for() -> None:
    assert read("ANSWER: rain").completion_token_ids is None
    kept = read("ANSWER: rain", keep_ids=True)
    assert (kept.prompt_token_ids, kept.completion_token_ids) == ((7,) * 9, (1, 2, 3))
    assert "prompt_token_ids" not in to_dict(read("ANSWER: rain"))


@given(st.text(), st.booleans())
def test_records_survive_json(text: str, keep_ids: bool) -> None:
    response = read(text, keep_ids=keep_ids)
    assert response_from(json.loads(json.dumps(to_dict(response)))) == response
    assert question_from(json.loads(json.dumps(to_dict(QUESTION)))) == QUESTION


def test_a_clip_that_is_missing_or_changed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.flac: the clip of q1 is missing"):
        check_clips([QUESTION], tmp_path)
    path = tmp_path / "mini/a.flac"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one sound")
    good = replace(QUESTION, audio=Audio("mini/a.flac", sha256_file(path), 2.0))
    check_clips([good], tmp_path)
    path.write_bytes(b"another sound")
    with pytest.raises(UserError, match=r"a\.flac: the clip of q1 has changed"):
        check_clips([good], tmp_path)


# ── the `openai` backend, against a server over real HTTP ────────────────────────────────────────


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with FakeOpenAI() as fake:
        monkeypatch.setenv("AUDIO_REASONING_BASE_URL", f"http://127.0.0.1:{fake.port}/v1")
        monkeypatch.setenv("AUDIO_REASONING_API_KEY", fake.key)
        yield fake


def ask_endpoint(tmp_path: Path, count: int = 4, repeats: int = 1, **runtime: int) -> list[Response]:
    samples = np.zeros(32_000, dtype=np.int16)
    path = tmp_path / "data/audio/mini/a.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)
    audio = Audio("mini/a.flac", sha256_file(path), 2.0)
    numbers = [*range(count)] * repeats
    questions = [
        replace(QUESTION, id=f"q{i}", question=f"Question {number}?", audio=audio) for i, number in enumerate(numbers)
    ]
    params = load_project(path=ROOT / "params.yaml")
    how = params.runtime.model_copy(update={"retries": 0, **runtime})
    media_root, work = tmp_path / "data/audio", tmp_path / ".cache"
    setup = Setup("openai", tmp_path / "no-model-here", None, params.serve, how, media_root, "fake", work=work)
    prompt = load_prompt("baseline", ROOT / "prompts")
    rollouts, _ = answer_questions(questions, prompt, setup, params.infer.decoding(), params.infer.max_error_rate)
    return [read_answer(rollout, QUESTION.choices) for rollout in rollouts]


def test_an_endpoint_gets_the_clip_inside_the_request_and_its_answers_are_cached(
    endpoint: FakeOpenAI, tmp_path: Path
) -> None:
    first = ask_endpoint(tmp_path)
    assert [response.question_id for response in first] == ["q0", "q1", "q2", "q3"]
    asked = len(endpoint.bodies)
    assert asked == 4 + 2  # two ask whether it hears
    assert any(part["type"] == "input_audio" for part in endpoint.bodies[-1]["messages"][-1]["content"])
    assert ask_endpoint(tmp_path) == first
    assert len(endpoint.bodies) == asked


def test_a_deaf_endpoint_is_refused_before_it_answers_anything(endpoint: FakeOpenAI, tmp_path: Path) -> None:
    endpoint.deaf = True
    with pytest.raises(UserError, match="does not hear"):
        ask_endpoint(tmp_path)
    assert len(endpoint.bodies) == 2


def test_a_run_in_which_too_many_questions_fail_is_no_result_and_only_they_are_asked_again(
    endpoint: FakeOpenAI, tmp_path: Path
) -> None:
    prompt = load_prompt("baseline", ROOT / "prompts")
    refused = prompt.render("Question 2?", QUESTION.choices)[1]
    endpoint.faults[refused] = [status(400)]
    with pytest.raises(UserError, match=r"1 of 4 questions failed.*injected 400"):
        ask_endpoint(tmp_path)
    before = len(endpoint.bodies)
    assert [response.question_id for response in ask_endpoint(tmp_path)] == ["q0", "q1", "q2", "q3"]
    assert len(endpoint.bodies) == before + 1 + 2


@pytest.mark.parametrize("repeats", [1, 2])
def test_an_endpoint_that_rejects_everything_is_given_up_after_ten_also_where_questions_are_repeated(
    endpoint: FakeOpenAI, tmp_path: Path, repeats: int
) -> None:
    prompt = load_prompt("baseline", ROOT / "prompts")
    for i in range(12):
        endpoint.faults[prompt.render(f"Question {i}?", QUESTION.choices)[1]] = [status(400)]
    with pytest.raises(UserError, match=r"rejected the first 10 requests and answered none: HTTP 400: injected 400"):
        ask_endpoint(tmp_path, count=12, repeats=repeats, concurrency=1)
    assert len(endpoint.bodies) == 2 + 10  # two ask whether it hears


def test_a_question_that_is_repeated_is_asked_once(endpoint: FakeOpenAI, tmp_path: Path) -> None:
    responses = ask_endpoint(tmp_path, count=3, repeats=2)
    assert [response.text for response in responses[3:]] == [response.text for response in responses[:3]]
    assert len(endpoint.bodies) == 2 + 3
