"""Forcing answers and asking again, against a server over real HTTP that renders chat templates as vLLM does."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, read_jsonl, sha256_file, write_json, write_jsonl
from audio_reasoning.core.records import (
    NO_AUDIO,
    Audio,
    Question,
    Response,
    Rollout,
    response_from,
    rollout_from,
    to_dict,
)
from audio_reasoning.core.thinking import split_thinking
from audio_reasoning.engines import connection, vllm
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import Setup
from audio_reasoning.engines.thinking import RESEED, answer_in_budget, better, closed
from audio_reasoning.engines.vllm import CONTINUE
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.families.qwen3_omni.tokenizer import CHAT_TEMPLATE, train_tokenizer
from audio_reasoning.metrics.inputs import Sample
from audio_reasoning.metrics.results import to_json
from audio_reasoning.metrics.scoring import metrics_of
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.tasks.extract import read_answer
from stages import answer as stage
from stages.project import Project, load_project
from tests.fake_openai import FakeOpenAI, status

ROOT = Path(__file__).parent.parent
PROMPT = load_prompt("baseline", ROOT / "prompts")
CHOICES = ("a bell", "rain")
CORPUS = ["<think>Drops fall, and then more drops.</think>\nANSWER: rain", "ANSWER: a bell", "user\nassistant\nWhich"]
# Drops an assistant's thinking, and opens the next one's in the prompt.
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if message['content'] is not string %}{{ part['text'] }}{% endfor %}"
    "{% if message['content'] is string %}{% if message['role'] == 'assistant' %}"
    "{{ message['content'].split('</think>')[-1] }}{% else %}{{ message['content'] }}{% endif %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}\n"
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CORPUS, 512, 512)


def question(number: int) -> Question:
    return Question(
        f"q{number}", NO_AUDIO, f"Question {number}?", CHOICES, 1, "C", "S", "sound", None, "test", f"q{number}"
    )


Script = Callable[[dict[str, Any], int], tuple[str, str]]  # a request's body, a sample's number: text, finish reason


class Thinker(FakeOpenAI):
    """Renders the prompt with a template, the request's own before the model's, and tells its tokens."""

    def __init__(self, tokenizer: Any, script: Script) -> None:
        super().__init__()
        self.tokenizer, self.script, self.obeys = tokenizer, script, True

    def _completion(self, body: dict[str, Any], text: str, heard: int) -> dict[str, Any]:
        prompt = self.tokenizer.apply_chat_template(
            body["messages"],
            chat_template=body.get("chat_template") if self.obeys else None,
            add_generation_prompt=body.get("add_generation_prompt", True),
            tokenize=False,
        )
        choices = []
        for index in range(body["n"]):
            written, reason = self.script(body, index)
            message = {"role": "assistant", "content": written}
            ids = self.tokenizer.encode(written)
            choices.append({"index": index, "message": message, "finish_reason": reason, "token_ids": ids})
        ids = self.tokenizer.encode(prompt)
        return {"choices": choices, "usage": {"prompt_tokens": len(ids)}, "prompt_token_ids": ids}


def continues(body: dict[str, Any]) -> str | None:
    """The text that a request continues, None for one that asks afresh."""
    last = body["messages"][-1]
    return str(last["content"]) if last["role"] == "assistant" else None


def drops_then_rain(body: dict[str, Any], index: int) -> tuple[str, str]:
    """Thinks past the limit unless the question is an even one, and answers when it is made to."""
    if continues(body) is not None:
        return "ANSWER: rain", "stop"
    number = int(body["messages"][-1]["content"][-1]["text"].split("Question ")[1].split("?")[0])
    whole = "<think>Drops.</think>\nANSWER: a bell"
    return (whole, "stop") if number % 2 == 0 else ("<think>Drops, and then more", "length")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> Iterator[Callable[[Script], Thinker]]:
    """Start a server that the backend vllm takes for its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(connection, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(tokenizer, "chat_template", CHAT_TEMPLATE)
    write_json(
        Path("models/base/config.json"), {"model_type": "qwen3_omni_moe", "thinker_config": {"audio_token_id": -1}}
    )
    processor = AudioTextProcessor.__new__(AudioTextProcessor)
    processor.tokenizer = tokenizer
    monkeypatch.setattr(AudioTextProcessor, "from_checkpoint", lambda path: processor)
    started: list[Thinker] = []

    def start(script: Script) -> Thinker:
        fake, media = Thinker(tokenizer, script), tmp_path / "data/audio"
        fake.start()
        started.append(fake)
        server = Server("vllm", fake.base_url, fake.key, fake.model, {"backend": "vllm"}, "fingerprint", media)

        @contextmanager
        def ensure(*args: Any, **kwargs: Any) -> Iterator[Server]:
            yield server

        monkeypatch.setattr(vllm, "ensure", ensure)
        monkeypatch.setattr(vllm, "planned", lambda *args: server)
        return fake

    yield start
    for fake in started:
        fake.stop()


def parameters(n: int = 1, max_error_rate: float = 0.0, retries: int = 0, backend: str = "vllm", **thinking) -> Project:
    params = load_project(path=ROOT / "params.yaml")
    changes = {"n": n, "max_error_rate": max_error_rate, "backend": backend, "seed": 11, "endpoint_model": "theirs"}
    return params.model_copy(
        update={
            "infer": params.infer.model_copy(update=changes),
            "thinking": params.thinking.model_copy(update=thinking),
            "runtime": params.runtime.model_copy(update={"retries": retries}),
        }
    )


def setup_of(params: Project) -> Setup:
    infer, folder = params.infer, Path("models/base")
    media, work = Path("data/audio"), Path(".cache")
    return Setup(infer.backend, folder, None, params.serve, params.runtime, media, infer.endpoint_model, work=work)


def ask(params: Project, count: int = 4) -> tuple[list[Response], dict[str, Any]]:
    infer, questions = params.infer, [question(i) for i in range(count)]
    rollouts, _, manifest = answer_in_budget(
        questions, PROMPT, setup_of(params), infer.decoding(), params.thinking, infer.max_error_rate
    )
    return [read_answer(rollout, CHOICES) for rollout in rollouts], manifest


# ── Off ──────────────────────────────────────────────────────────────────────────────────────────


def test_off_by_default_nothing_else_is_asked_or_written(serve) -> None:
    fake = serve(drops_then_rain)
    params = parameters()
    assert not params.thinking.force_answer and params.thinking.reask_over_chars is None
    rollouts, _ = answer_questions([question(i) for i in range(4)], PROMPT, setup_of(params), params.infer.decoding())
    plain = [read_answer(rollout, CHOICES) for rollout in rollouts]
    asked = len(fake.bodies)
    responses, manifest = ask(params)
    assert (responses, manifest, asked) == (plain, {}, 4)
    assert len(fake.bodies) == asked  # all from the cache, so the keys are the same
    assert not {"forced", "reasked_chars"} & to_dict(responses[0]).keys()


# ── Forcing ──────────────────────────────────────────────────────────────────────────────────────


def test_cut_thinking_is_closed_and_answered_and_nothing_else_is_touched(serve) -> None:
    fake = serve(drops_then_rain)
    responses, manifest = ask(parameters(force_answer=True, force_answer_tokens=7))
    assert [r.status for r in responses] == ["ok"] * 4
    assert [r.answer for r in responses] == [0, 1, 0, 1]
    assert [r.forced for r in responses] == [False, True, False, True]
    assert responses[1].text == "<think>Drops, and then more</think>\nANSWER: rain"
    assert responses[1].thinking == "Drops, and then more"
    assert responses[1].finish_reason == "stop"
    forced = [body for body in fake.bodies if continues(body) is not None]
    assert [body["max_tokens"] for body in forced] == [7, 7]
    assert responses[1].completion_tokens == sum(
        len(fake.tokenizer.encode(text)) for text in ("<think>Drops, and then more", "ANSWER: rain")
    )
    assert manifest["thinking"]["forced"] == 2 and manifest["thinking"]["force_answer_tokens"] == 7
    assert all(r.prompt_token_ids is None and r.completion_token_ids is None for r in responses)


def test_an_interrupted_run_asks_nothing_twice(serve) -> None:
    fake = serve(drops_then_rain)
    first = ask(parameters(force_answer=True))
    asked = len(fake.bodies)
    assert ask(parameters(force_answer=True)) == first
    assert len(fake.bodies) == asked == 4 + 2


def test_each_sample_of_a_question_is_forced_with_a_seed_of_its_own(serve) -> None:
    fake = serve(lambda body, index: ("ANSWER: rain", "stop") if continues(body) else (f"<think>{index}", "length"))
    responses, _ = ask(parameters(n=3, force_answer=True), count=2)
    assert [(r.question_id, r.sample_index, r.thinking) for r in responses] == [
        (f"q{q}", i, str(i)) for q in range(2) for i in range(3)
    ]
    assert sorted(body["seed"] for body in fake.bodies if continues(body)) == [11, 11, 12, 12, 13, 13]
    assert {body["n"] for body in fake.bodies if continues(body)} == {1}


def test_an_answer_that_was_cut_is_continued_as_it_stands(serve) -> None:
    fake = serve(lambda body, _: ("in", "stop") if continues(body) else ("<think>Drops.</think>\nANSWER: ra", "length"))
    (response,), _ = ask(parameters(force_answer=True), count=1)
    assert (response.status, response.answer, response.forced) == ("ok", 1, True)
    assert continues(fake.bodies[-1]) == "<think>Drops.</think>\nANSWER: ra"


def test_what_is_cut_again_stays_truncated(serve) -> None:
    serve(lambda body, _: ("So I would say", "length") if continues(body) else ("<think>Drops", "length"))
    (response,), _ = ask(parameters(force_answer=True), count=1)
    assert (response.status, response.answer, response.forced) == ("truncated", None, True)


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, FORGETFUL], ids=["mini", "forgets thinking, opens it itself"])
def test_the_model_continues_its_own_text_under_any_template(serve, monkeypatch, template) -> None:
    opened = "<think>\n" in template
    first = "Drops, and then more" if opened else "<think>Drops, and then more"
    fake = serve(lambda body, _: ("ANSWER: rain", "stop") if continues(body) else (first, "length"))
    monkeypatch.setattr(fake.tokenizer, "chat_template", template)
    (response,), _ = ask(parameters(force_answer=True), count=1)
    assert response.text == f"{first}</think>\nANSWER: rain" and response.status == "ok"

    def rendered(messages: Any, chat: str, add: bool) -> str:
        return fake.tokenizer.apply_chat_template(
            messages, chat_template=chat, add_generation_prompt=add, tokenize=False
        )

    *asked, mine = fake.bodies[-1]["messages"]
    whole = rendered([*asked, mine], fake.bodies[-1]["chat_template"], False)
    assert whole == rendered(asked, template, True) + f"{first}</think>\n"
    parts = [*asked, {"role": "assistant", "content": [{"type": "text", "text": mine["content"]}]}]
    assert rendered(parts, fake.bodies[-1]["chat_template"], False) == whole  # as vLLM may hand it to a template


def test_a_server_that_shows_the_model_something_else_is_found_out(serve) -> None:
    fake = serve(drops_then_rain)
    fake.obeys = False
    with pytest.raises(UserError, match=r"q1: thinking\.force_answer.*made another prompt"):
        ask(parameters(force_answer=True))


def test_a_second_request_that_fails_is_an_error_and_counts_as_one(serve) -> None:
    fake = serve(drops_then_rain)
    cut = "<think>Drops, and then more</think>\n"
    fake.faults[cut] = [status(400), status(400)]
    with pytest.raises(UserError, match=r"2 of 4 questions failed.*asked for the answer: HTTP 400"):
        ask(parameters(force_answer=True))
    asked = len(fake.bodies)
    fake.faults[cut] = [status(400)]
    responses, _ = ask(parameters(force_answer=True, max_error_rate=0.5))
    assert sorted(r.status for r in responses) == ["error", "ok", "ok", "ok"]
    (failed,) = [r for r in responses if r.status == "error"]
    assert failed.answer is None and failed.forced and failed.thinking == "Drops, and then more"
    assert len(fake.bodies) == asked + 2  # errors are not cached, answers are
    assert [r.status for r in ask(parameters(force_answer=True))[0]] == ["ok"] * 4


def test_a_passing_fault_is_tried_again(serve) -> None:
    fake = serve(drops_then_rain)
    fake.faults["<think>Drops, and then more</think>\n"] = [status(503)]
    assert [r.status for r in ask(parameters(force_answer=True, retries=1))[0]] == ["ok"] * 4


@pytest.mark.parametrize("backend", ["openai", "transformers"])
def test_backends_that_cannot_continue_a_text_are_refused_before_anything_is_asked(
    serve, monkeypatch, backend: str
) -> None:
    monkeypatch.setenv("AUDIO_REASONING_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", "a-key")
    with pytest.raises(UserError, match=f"force_answer needs infer.backend vllm, found {backend}"):
        ask(parameters(force_answer=True, backend=backend))


@given(st.text(), st.sampled_from(["assistant\n", "assistant\n<think>\n"]))
def test_a_closed_text_has_no_open_thinking_and_begins_with_the_models_own(text: str, prompt: str) -> None:
    result = closed(text, prompt, "</think>\n")
    assert result.startswith(text.rstrip("\ufffd"))
    assert split_thinking(("<think>" if "<think>" in prompt else "") + result)[2]


# ── Asking again ─────────────────────────────────────────────────────────────────────────────────


def long_then_short(body: dict[str, Any], index: int) -> tuple[str, str]:
    thinking = "short" if body["max_tokens"] == 20 else "long " * 10
    return f"<think>{thinking}</think>\nANSWER: rain", "stop"


def test_a_long_trace_is_asked_again_with_its_length_kept(serve) -> None:
    fake = serve(long_then_short)
    responses, manifest = ask(parameters(n=2, reask_over_chars=20, reask_max_tokens=20), count=3)
    assert [(r.question_id, r.sample_index) for r in responses] == [(f"q{q}", i) for q in range(3) for i in range(2)]
    assert {(r.thinking, r.reasked_chars) for r in responses} == {("short", 49)}
    again = [body for body in fake.bodies if body["max_tokens"] == 20]
    assert sorted(body["seed"] for body in again) == [11 + RESEED] * 3 + [12 + RESEED] * 3
    assert {key: manifest["thinking"][key] for key in ("reasked", "replaced", "forced")} == {
        "reasked": 6,
        "replaced": 6,
        "forced": 0,
    }
    asked = len(fake.bodies)
    assert ask(parameters(n=2, reask_over_chars=20, reask_max_tokens=20), count=3)[0] == responses
    assert len(fake.bodies) == asked


def test_traces_within_the_limit_are_left_alone(serve) -> None:
    fake = serve(long_then_short)
    responses, manifest = ask(parameters(reask_over_chars=49))
    assert len(fake.bodies) == 4 and all(r.reasked_chars is None for r in responses)
    assert manifest["thinking"]["reasked"] == 0


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (("ok", 50), ("ok", 10), "second"),
        (("ok", 50), ("ok", 30), "first"),  # again too long
        (("ok", 50), ("truncated", 10), "first"),
        (("truncated", 50), ("ok", 30), "second"),  # what has ended is better than what was cut
        (("truncated", 50), ("truncated", 10), "first"),
        (("ok", 50), ("error", 0), "first"),  # an option that fails takes nothing away
        (("truncated", 50), ("error", 0), "first"),
    ],
)
def test_which_attempt_stays(first: tuple[str, int], second: tuple[str, int], stays: str) -> None:
    def rollout(index: int, status: str, length: int) -> Rollout:
        if status == "error":
            return Rollout("q", index, "", "error", 1, 0, error="HTTP 400")
        closing = "" if status == "truncated" else "</think>\nANSWER: rain"
        return Rollout("q", index, f"<think>{'x' * length}{closing}", "stop" if closing else "length", 1, 1)

    a, b = rollout(0, *first), rollout(1, *second)
    kept = better(a, b, 20)
    assert kept.text == (b if stays == "second" else a).text and kept.error == ""
    assert (kept.reasked_chars, kept.sample_index) == (50, 0)


def test_replaced_ones_are_counted_though_both_traces_are_equally_long(serve) -> None:
    thinking = "<think>" + "long " * 10
    serve(
        lambda body, _: (
            (f"{thinking}</think>\nANSWER: rain", "stop") if body["max_tokens"] == 20 else (thinking, "length")
        )
    )
    (response,), manifest = ask(parameters(reask_over_chars=20, reask_max_tokens=20), count=1)
    assert (response.status, len(response.thinking), response.reasked_chars) == ("ok", 49, 49)
    assert manifest["thinking"]["replaced"] == 1


def test_a_long_trace_whose_second_request_fails_keeps_its_answer_and_is_counted(serve) -> None:
    fake = serve(long_then_short)
    text = PROMPT.render("Question 1?", CHOICES)[1]
    params = parameters(reask_over_chars=20, reask_max_tokens=20)
    ask(parameters())  # the first attempts are in the cache
    fake.faults[text] = [status(400), status(400)]
    with pytest.raises(UserError, match=r"1 of 4 questions failed.*asked again: HTTP 400"):
        ask(params)
    lenient = params.model_copy(update={"infer": params.infer.model_copy(update={"max_error_rate": 0.25})})
    responses, manifest = ask(lenient)
    assert [(r.status, r.answer, len(r.thinking), r.error) for r in responses] == [
        ("ok", 1, length, "") for length in (5, 49, 5, 5)
    ]
    counts = {key: manifest["thinking"][key] for key in ("reasked", "replaced", "reask_failed")}
    assert counts == {"reasked": 4, "replaced": 3, "reask_failed": 1}


def test_what_is_still_cut_after_asking_again_is_forced(serve) -> None:
    serve(lambda body, _: ("ANSWER: rain", "stop") if continues(body) else ("<think>" + "long " * 10, "length"))
    (response,), manifest = ask(parameters(force_answer=True, reask_over_chars=20), count=1)
    assert (response.status, response.forced, response.reasked_chars) == ("ok", True, 49)
    counts = {key: manifest["thinking"][key] for key in ("reasked", "replaced", "forced")}
    assert counts == {"reasked": 1, "replaced": 0, "forced": 1}


def loops_at_first(body: dict[str, Any], index: int) -> tuple[str, str]:
    """Thinks in a loop under the first seeds, and ends under any other; question 2 loops for ever."""
    if body["seed"] < RESEED or "Question 2?" in str(body["messages"]):
        return (
            drops_then_rain(body, index) if "Question 2?" not in str(body["messages"]) else ("<think>Again", "length")
        )
    return "<think>Rain, after all.</think>\nANSWER: rain", "stop"


def test_what_was_cut_is_asked_again_once_with_another_seed_and_other_tokens(serve) -> None:
    fake = serve(loops_at_first)
    params = parameters(n=2, reask_truncated=True, reask_max_tokens=20)
    responses, manifest = ask(params)
    assert [(r.question_id, r.status, r.reasked_chars) for r in responses] == [
        *[("q0", "ok", None)] * 2,
        *[("q1", "ok", 20)] * 2,
        *[("q2", "truncated", 5)] * 2,
        *[("q3", "ok", 20)] * 2,
    ]
    assert responses[2].thinking == "Rain, after all." and responses[2].answer == 1
    again = sorted(body["seed"] for body in fake.bodies if body["max_tokens"] == 20)
    assert again == [11 + RESEED] * 3 + [12 + RESEED] * 3
    assert manifest["thinking"]["reask_truncated"] is True
    assert (manifest["thinking"]["reasked"], manifest["thinking"]["replaced"]) == (6, 4)
    asked = len(fake.bodies)
    assert ask(params)[0] == responses and len(fake.bodies) == asked


def test_what_is_cut_under_both_seeds_is_forced(serve) -> None:
    serve(lambda body, index: ("ANSWER: rain", "stop") if continues(body) else loops_at_first(body, index))
    responses, manifest = ask(parameters(reask_truncated=True, force_answer=True))
    assert [(r.status, r.forced) for r in responses] == [("ok", i == 2) for i in range(4)]
    assert (manifest["thinking"]["reasked"], manifest["thinking"]["forced"]) == (3, 1)


# ── Records and metrics ──────────────────────────────────────────────────────────────────────────


def test_both_marks_survive_a_file_and_are_counted_only_where_they_occur() -> None:
    plain = Response("q0", 0, "ok", "ANSWER: rain", "", 1, "verbatim", "stop", 1, 1)
    marked = replace(plain, forced=True, reasked_chars=12_000)
    assert response_from(to_dict(marked)) == marked
    questions = {"q0": question(0)}
    metrics = [metrics_of(questions, {"q0": [Sample(r, "rain")]}) for r in (plain, marked)]
    assert not {"forced", "reasked"} & to_json(metrics[0]).keys()
    assert (metrics[1].forced, metrics[1].reasked) == (1.0, 1.0)


def test_the_stage_asks_each_question_once_for_all_its_samples(serve, monkeypatch) -> None:
    fake = serve(lambda body, index: (f"<think>{index}</think>\nANSWER: rain", "stop"))
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["vote"]["n"] = 3
    Path("params.yaml").write_text(yaml.safe_dump(values))
    shutil.copytree(ROOT / "prompts", "prompts")
    Path("data/audio/mini").mkdir(parents=True)
    Path("data/audio/mini/a.flac").write_bytes(b"a clip that the small server does not open")
    audio = Audio("mini/a.flac", sha256_file(Path("data/audio/mini/a.flac")), 0.0)
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(replace(question(i), audio=audio)) for i in range(4)))
    monkeypatch.setattr("sys.argv", ["answer", "baseline@samples"])
    stage.main()
    rows = [rollout_from(row) for row in read_jsonl(Path("data/samples/base/baseline@samples.jsonl"))]
    assert [(r.question_id, r.sample_index) for r in rows] == [(f"q{q}", i) for q in range(4) for i in range(3)]
    manifest = read_json(Path("data/samples/base/baseline@samples.run.json"))
    assert manifest["decoding"]["n"] == 3 and manifest["decoding"]["temperature"] == values["vote"]["temperature"]
    assert "thinking" not in manifest
    assert len(fake.bodies) == 4 and {body["n"] for body in fake.bodies} == {3}
    stage.main()
    assert len(fake.bodies) == 4


def test_the_template_that_continues_keeps_braces_and_quotes_of_the_models_own() -> None:
    template = "{{ '{' }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    assert template in CONTINUE.format(template=template)
