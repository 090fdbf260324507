"""The parts of a search for a prompt: its questions, its instructions, its proposers, its parameters."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import NO_AUDIO, Response
from audio_reasoning.engines.answer import request_for
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.messages import body, cache_key, chat_request
from audio_reasoning.optimizers.budget import mipro_answers, mipro_trials
from audio_reasoning.optimizers.instructions import canonical, refusal, shown
from audio_reasoning.optimizers.metric import feedback, grade
from audio_reasoning.optimizers.program import AudioMCQ, Rendering, example_of
from audio_reasoning.optimizers.proposers.bank import Bank, Fragment, read_bank
from audio_reasoning.optimizers.proposers.language_model import KEY, URL, endpoint
from audio_reasoning.optimizers.proposers.proposer import Wanted
from audio_reasoning.optimizers.sets import check_unseen, sets_of, two_parts
from audio_reasoning.optimizers.wire import from_lm, to_lm
from audio_reasoning.prompts.prompt import Demonstration
from audio_reasoning.prompts.registry import load_prompt, write_prompt
from audio_reasoning.tasks.mini.fragments import FRAGMENTS
from tests.fake_openai import FakeOpenAI
from tests.simulated_engine import question
from tests.test_optimizers import DECODING, DEV, SEARCH, TEST, TRAIN, params_of, setup_at

ROOT = Path(__file__).parent.parent
PROMPTS = ("baseline", "structured_reasoning", "category_aware")


# ── Requests ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backend", ["vllm", "openai"])
@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("instruction", ["", "Listen twice.\n\n- Count: one by one."])
def test_a_search_sends_the_very_bytes_that_the_resulting_prompt_sends(
    tmp_path: Path, backend: str, name: str, instruction: str
) -> None:
    start, asked = load_prompt(name, ROOT / "prompts"), question(5)
    (tmp_path / "mini").mkdir()
    (tmp_path / asked.audio.path).write_bytes(b"a clip")
    rendering = Rendering(start)
    of_program = rendering.request(instruction or rendering.shown, [], example_of(asked).inputs())
    through_dspy = from_lm(to_lm(of_program, "model"))
    write_prompt(
        tmp_path / "found.yaml", replace(rendering.prompt(instruction or rendering.shown, []), name="found", aliases=())
    )
    of_prompt = request_for(asked, load_prompt("found", tmp_path))
    assert of_program == through_dspy == of_prompt
    if backend == "openai":
        (tmp_path / asked.audio.path).rename(tmp_path / "mini/a.wav")
        of_prompt, through_dspy = (
            replace(one, audio=replace(one.audio, path="mini/a.wav")) for one in (of_prompt, through_dspy)
        )
    server = Server(backend, "http://localhost:1/v1", "key", "model", {"model": "m"}, "", tmp_path)
    sent, wanted = (chat_request(one, DECODING) for one in (through_dspy, of_prompt))
    assert json.dumps(body(sent, server)) == json.dumps(body(wanted, server))
    assert cache_key(sent, server) == cache_key(wanted, server)


@pytest.mark.parametrize("audio", [True, False])
def test_demonstrations_are_sent_as_the_resulting_prompt_sends_them(audio: bool) -> None:
    rendering = Rendering(load_prompt("baseline", ROOT / "prompts"), audio)
    demo = {**example_of(TRAIN[0]).inputs(), "answer": "<think>Two.</think>\nANSWER: rain"}
    asked = rendering.request("Listen.", [demo], example_of(DEV[0]).inputs())
    prompt = rendering.prompt("Listen.", [demo])
    assert from_lm(to_lm(asked, "model")) == asked == request_for(DEV[0], prompt)
    clip = TRAIN[0].audio if audio else None
    assert prompt.demonstrations == (
        Demonstration(TRAIN[0].question, TRAIN[0].choices, "<think>Two.</think>\nANSWER: rain", clip),
    )


def test_a_question_without_a_clip_is_asked_in_text_alone() -> None:
    prompt = load_prompt("baseline", ROOT / "prompts")
    asked = replace(DEV[0], audio=NO_AUDIO)
    rendering = Rendering(prompt)
    request = rendering.request(rendering.shown, [], example_of(asked).inputs())
    assert from_lm(to_lm(request, "model")) == request_for(asked, prompt)


# ── Instructions ───────────────────────────────────────────────────────────────────────────────────


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from(" \n\t{}%[]#|")))
def test_an_accepted_instruction_is_kept_by_dspy_and_by_a_file_as_it_is(text: str) -> None:
    one = canonical(text)
    assert canonical(one) == one
    if not refusal(one, []):
        assert AudioMCQ.with_instructions(one).instructions == one
        assert "{{" not in one and "{%" not in one and "[[ ##" not in one
        prompt = replace(load_prompt("baseline", ROOT / "prompts"), system=one)
        assert prompt.render("Q", ("a", "b"))[0] == one


@given(st.lists(st.sampled_from(["Listen.", "Count.", "{x}", "", "Think."]), max_size=6))
def test_nothing_is_accepted_twice(texts: list[str]) -> None:
    known: list[str] = []
    for text in texts:
        if not refusal(canonical(text), known):
            known.append(canonical(text))
    assert len({*known}) == len(known) and "{x}" not in known


def test_an_empty_system_text_has_a_stand_in_that_is_never_sent() -> None:
    baseline = load_prompt("baseline", ROOT / "prompts")
    assert shown(baseline) and Rendering(baseline).prompt(shown(baseline), []).system == ""


# ── Questions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "trait"),
    [({"id": "test3"}, "id"), ({"group": "test3"}, "group"), ({"audio": question(3, "test").audio}, "clip")],
)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_test_question_is_refused_and_named(changes: dict, trait: str, split: str) -> None:
    foreign = replace(question(3, split), **changes)
    train, dev = ([*TRAIN, foreign], DEV) if split == "train" else (TRAIN, [*DEV, foreign])
    with pytest.raises(
        UserError, match=f"{foreign.id}: this {split} question has the {trait} of the test question test3"
    ):
        sets_of(train, dev, TEST, params_of())


def test_questions_without_a_clip_share_none() -> None:
    check_unseen([replace(DEV[0], audio=NO_AUDIO)], [replace(TEST[0], audio=NO_AUDIO)], "dev")


@given(st.integers(0, 5), st.integers(1, 40), st.integers(1, 40))
def test_the_parts_share_no_group_and_have_their_sizes(seed: int, first: int, second: int) -> None:
    kinds = ("Counting", "Counting", "Mood")
    dev = [replace(question(i, "dev", kinds[i % 3]), group=f"g{i // 2}") for i in range(90)]
    a, b = two_parts(dev, first, second, seed)
    assert (len(a), len(b)) == (first, second)
    assert {q.group for q in a}.isdisjoint(q.group for q in b)
    assert abs(sum(q.sub_category == "Mood" for q in a) - first / 3) <= 3


def test_too_few_questions_say_how_many_there_are() -> None:
    with pytest.raises(UserError, match="of 120 dev questions 100 and then 20 can be had"):
        two_parts(DEV, 100, 30, 0)
    with pytest.raises(UserError, match="there are 30 train questions"):
        sets_of(TRAIN, DEV, TEST, params_of(train=31, budget=900))


# ── Parameters ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0}, "a budget of 0 answers does not suffice for the start and one minibatch; it takes 110"),
        ({"budget": 109}, "it takes 110"),
        ({"optimizer": "gepa", "budget": 0}, "it takes 110"),
        ({"silence_feedback": True, "budget": 129}, "it takes 130"),
        ({"minibatch": 41}, "validation 40 is smaller than one minibatch of 41"),
        ({"optimizer": "gepa", "minibatch": 21}, "train 20 is smaller than one minibatch of 21"),
        ({"optimizer": "gepa", "demonstrations": {"count": 1, "audio": False}}, "gepa writes instructions alone"),
        ({"proposer": {**SEARCH["proposer"], "kind": "endpoint"}}, "kind endpoint needs model"),
        ({"optimizer": "copro"}, "Input should be 'mipro' or 'gepa'"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        params_of(**changes)


@given(st.integers(0, 3000), st.integers(1, 200), st.integers(1, 200))
def test_trials_fit_the_budget_and_one_more_would_not(budget: int, validation: int, minibatch: int) -> None:
    trials = mipro_trials(budget, validation, minibatch)
    assert mipro_answers(trials + 1, validation, minibatch) > budget
    assert trials == 0 or mipro_answers(trials, validation, minibatch) <= budget


# ── Feedback ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "answer", "mark", "words"),
    [
        ("ok", 1, 1.0, "Right: 2 bells"),
        ("ok", 2, 0.1, "Wrong: rain. Right is: 2 bells"),
        ("truncated", None, 0.0, "cut off before it came to one. Right is: 2 bells"),
        ("no_answer", None, 0.0, "No answer could be read (no_marker)"),
    ],
)
def test_feedback_says_what_was_taken_and_what_is_right(status: str, answer: int, mark: float, words: str) -> None:
    asked = question(1)
    response = Response(asked.id, 0, status, "", "", answer, "no_marker", "stop", 1, 1)
    assert grade(asked, response) == mark
    assert words in feedback(asked, response, {})
    assert ("silence" in feedback(asked, response, {asked.id: 1})) == (answer == 1)


# ── Proposers ──────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=5))
def test_the_bank_writes_usable_instructions_that_the_seed_decides(seed: int, further: list[int]) -> None:
    bank = Bank(read_bank(FRAGMENTS), "You hear all.")
    text = bank.propose(Wanted("", "", "You hear all."), seed)
    assert text == bank.propose(Wanted("", "", "You hear all."), seed)
    for step in further:
        before, text = text, bank.propose(Wanted("", "", text), step)
        assert refusal(canonical(text), []) == "" and canonical(text) == text
        names = [{*bank.label_of(one).split(", ")} for one in (before, text)]
        assert len(names[0] ^ names[1]) <= 2


def test_a_bank_with_a_fragment_that_no_instruction_could_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bank.yaml"
    path.write_text("- {name: a, text: Listen.}\n- {name: b, text: 'Hear {question}.'}\n")
    with pytest.raises(UserError, match="the fragment 'b' cannot be used: template"):
        read_bank(path)
    path.write_text("- {name: a, text: Listen.}\n")
    with pytest.raises(UserError, match="a bank needs 2 or more"):
        read_bank(path)
    path.write_text("- {nam: a, text: Listen.}\n")
    with pytest.raises(UserError, match="a bank is a list of name and text"):
        read_bank(path)


ENDPOINT = params_of(proposer={**SEARCH["proposer"], "kind": "endpoint", "model": "fake"}).proposer


def test_an_endpoint_without_a_key_is_refused_and_nothing_is_shown(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(URL, "http://me:secret@localhost:1/v1")
    monkeypatch.delenv(KEY, raising=False)
    with response_cache(tmp_path) as cache, pytest.raises(UserError) as caught:
        endpoint("found", cache, ENDPOINT, setup_at(tmp_path).runtime)
    assert KEY in str(caught.value) and "secret" not in str(caught.value)


def test_an_endpoint_is_asked_once_for_the_same_proposal(tmp_path: Path, monkeypatch) -> None:
    with FakeOpenAI() as fake, response_cache(tmp_path) as cache:
        monkeypatch.setenv(URL, fake.base_url)
        monkeypatch.setenv(KEY, fake.key)
        proposer = endpoint("found", cache, ENDPOINT, setup_at(tmp_path).runtime)
        first, again = (proposer.propose(Wanted("You write.", "Better, please.", ""), 7) for _ in range(2))
        other = proposer.propose(Wanted("You write.", "Better, please.", ""), 8)
    assert first == again != other
    assert [sent["seed"] for sent in fake.bodies] == [7, 8]
    assert fake.bodies[0]["messages"][0] == {"role": "system", "content": "You write."}


def test_the_fragments_of_an_instruction_are_named_those_in_the_starts_text_are_not() -> None:
    bank = Bank([Fragment(name="count", text="Count."), Fragment(name="listen", text="Listen.")], "You hear.\nCount.")
    assert bank.label_of("You hear.\nCount.\nListen.") == "the start's text, listen"
    assert bank.label_of("Listen.\nCount.") == "listen, count"
