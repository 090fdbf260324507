"""The extractor finds the choice that was meant, or none; it never raises and never guesses."""

import re
import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from audio_reasoning.tasks.extract import (
    _agreed,
    _read,
    answer_text,
    extract,
    match_choice,
    normalise,
    split_thinking,
    status_of,
)

ANIMALS = ("Cat", "Dog", "A small bird")
TEXTS = st.text(alphabet=st.sampled_from("abAB12 .:()[]*_-“”'\"\n\t<>/#é²Ａﬁ猫。") | st.characters(), max_size=40)
WORDS = st.sampled_from(["answer:", "<think>", "</think>", "ANSWER", ":", "**", "\n", "(b)", "Cat", "dog", " "])
OUTPUTS = st.lists(WORDS | TEXTS, max_size=12).map("".join)
CHOICES = st.lists(TEXTS, max_size=6)


def answer(text, choices=ANIMALS):
    return extract(text, choices).answer


# ── Thinking ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>b", ("a", "b", True)),
        ("a</think>b", ("a", "b", True)),
        ("b", ("", "b", True)),
        ("<think>a", ("a", "", False)),
        ("<think>a</think>b<think>c</think>d", ("a\nb\nc", "d", True)),
        ("<think>a</think>b<think>c", ("a\nc", "b", False)),
        ("<think></think>", ("", "", True)),
        ("", ("", "", True)),
    ],
)
def test_thinking_is_everything_up_to_the_last_closing_tag(text, expected):
    assert split_thinking(text) == expected


def test_an_answer_inside_the_thinking_does_not_count():
    assert extract("<think>ANSWER: Cat</think>I cannot tell.", ANIMALS).rule == "no_marker"
    assert answer("<think>ANSWER: Cat</think>ANSWER: Dog") == 1


def test_an_answer_in_a_trace_that_never_ends_does_not_count():
    assert extract("<think>a</think>ANSWER: Cat <think>ANSWER: Dog", ANIMALS).rule == "unclosed"


# ── Finding the answer ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "ANSWER: Cat",
        "answer:cat",
        "Answer : CAT.",
        "**ANSWER:** Cat",
        "**ANSWER**: Cat",
        "**ANSWER: Cat**",
        "__Answer: Cat.__",
        "## ANSWER: Cat",
        "- ANSWER: - Cat",
        "[ANSWER]: Cat",
        "[ANSWER: Cat]",
        "(Answer: “Cat”)",
        "<answer>: Cat",
        "ANSWER: <Cat>",
        "ANSWER: [Cat].",
        "ANSWER: **(“Cat.”)**",
        "ANSWER: `Cat`",
        "ANSWER： Ｃａｔ。",
        "ANSWER:\n\nCat\n",
        "ANSWER: Cat\n\nBecause it meows, not barks.",
        "HEARD: a meow. ANALYSIS: a pet. ANSWER: Cat",
        "My first answer: Dog. My last answer: Cat",
        "ANSWER: Dog\nANSWER: Cat",
        "ANSWER: (A) Cat",
        "ANSWER: **A.** Cat",
        "ANSWER: A) cat.",
        "ANSWER: [A] Cat",
        "ANSWER: Option A: Cat",
        "ANSWER: A",
        "ANSWER: (a).",
        "ANSWER: **A**",
    ],
)
def test_the_usual_ways_to_write_an_answer(text):
    assert answer(text) == 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Cat", "no_marker"),
        ("The unanswered question: Cat", "no_marker"),
        ("", "no_marker"),
        ("ANSWER:", "empty"),
        ("ANSWER: \n ", "empty"),
        ("ANSWER: Cat or Dog", "no_match"),
        ("ANSWER: not Cat", "no_match"),
        ("ANSWER: The cat", "no_match"),
        ("ANSWER: Ca", "no_match"),
        ("ANSWER: A Cat", "no_match"),  # an article, not an option letter
        ("ANSWER: D", "no_match"),  # there is no fourth choice
        ("ANSWER: 1", "no_match"),
        ("ANSWER: (B) Cat", "letter_conflict"),
        ("ANSWER: Cat\nANSWER: a horse", "no_match"),  # the last one counts, even if it is no choice
    ],
)
def test_what_is_not_exactly_one_choice_is_no_answer(text, rule):
    found = extract(text, ANIMALS)
    assert (found.answer, found.rule) == (None, rule)


def test_choices_that_only_case_tells_apart_need_the_exact_text():
    chords = ["C and Am", "c and am", "G"]
    assert answer("ANSWER: c and am", chords) == 1
    assert extract("ANSWER: C AND AM", chords).rule == "ambiguous"
    assert answer("ANSWER: (A) C AND AM", chords) == 0  # the letter settles it


def test_a_choice_listed_twice_is_never_chosen_by_its_text():
    assert extract("ANSWER: Yes", ["Yes", "No", "Yes"]).rule == "ambiguous"
    assert answer("ANSWER: C. Yes", ["Yes", "No", "Yes"]) == 2


def test_signs_sharps_and_feet_are_not_decoration():
    assert extract("ANSWER: 5", ["-5", "10"]).answer is None
    assert extract("ANSWER: C", ["C#", "D"]).answer is None
    assert extract("ANSWER: 7", ["7'", "8'"]).answer is None
    assert answer("ANSWER: −5", ["-5", "5"]) == 0


def test_trailing_spaces_of_a_choice_do_not_matter():
    assert answer("ANSWER: Andrew", ["Sarah", "Andrew "]) == 1


def test_an_empty_choice_is_never_meant():
    assert extract("ANSWER:", ["", "Entered"]).answer is None
    assert extract("ANSWER: **", ["", "Entered"]).answer is None


def test_letters_that_are_choices_are_read_as_choices():
    notes = ["C", "A", "G", "B"]
    assert answer("ANSWER: B", notes) == 3
    assert answer("ANSWER: A.", notes) == 1
    assert extract("ANSWER: D", notes).answer is None
    assert extract("ANSWER: A", ["B. Dog", "A. Cat"]).answer is None  # labels that disagree with the order
    assert answer("ANSWER: B", ["A. Dog", "B. Cat"]) == 1
    assert answer("ANSWER: (B) Mozart", ["J. S. Bach", "Mozart"]) == 1
    assert answer("ANSWER: B", ["J. S. Bach", "Mozart"]) == 1  # J is no position here


def test_a_choice_over_several_lines_is_read_whole():
    choices = ["Cat", "Cat\nDog", "Bird"]
    assert answer("ANSWER: Cat\nDog", choices) == 1
    assert answer("ANSWER: Cat\n  Dog\nSince both are heard.", choices) == 1
    assert answer("ANSWER: Cat\n\nSince it is alone.", choices) == 0
    assert answer("ANSWER: a small\nbird") == 2


def test_a_choice_that_contains_the_marker_is_read_whole():
    choices = ["cat", "Question and answer: cat"]
    assert answer("ANSWER: Question and answer: cat", choices) == 1
    assert answer("ANSWER: question and answer: cat.", choices) == 1
    assert answer("ANSWER: cat", choices) == 0


# ── Properties ───────────────────────────────────────────────────────────────────────────────────


@given(OUTPUTS, CHOICES)
@example("ANSWER: ", [])
@example("ANSWER: \ud800", ["\ud800"])
def test_any_text_and_any_choices_give_an_index_or_none(text, choices):
    found = extract(text, choices)
    assert found.answer is None or 0 <= found.answer < len(choices)
    assert (found.answer is not None) == (found.rule in {"verbatim", "normalised", "letter_text", "letter", "unpaired"})
    assert status_of(found, "stop") in {"ok", "no_answer", "truncated"}
    assert isinstance(answer_text(text), str)


@given(st.text(), CHOICES, st.data())
def test_a_choice_written_as_asked_is_always_found(thinking, choices, data):
    assume("think>" not in thinking + "".join(choices))
    stripped = [choice.strip() for choice in choices]
    unique = [i for i, choice in enumerate(stripped) if choice and stripped.count(choice) == 1]
    assume(unique)
    index = data.draw(st.sampled_from(unique))
    found = extract(f"<think>{thinking}</think>\nANSWER: {choices[index]}", choices)
    assert (found.answer, found.rule) == (index, "verbatim")


@given(OUTPUTS, st.lists(TEXTS, min_size=2, max_size=5), st.data())
def test_the_order_of_the_choices_does_not_change_which_one_is_found_by_text(text, choices, data):
    shuffled = data.draw(st.permutations(choices))
    first, second = extract(text, choices), extract(text, shuffled)
    assume("letter" not in first.rule + second.rule)
    assert first.rule == second.rule
    if first.answer is not None:
        assert choices[first.answer] == shuffled[second.answer]


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_an_answer_reads_like_its_choice_or_bears_its_letter(text, choices):
    index, rule = match_choice(text, choices)
    if rule in {"verbatim", "normalised"}:
        assert normalise(text) == normalise(choices[index])
        assert sum(choice.strip() == text.strip() for choice in choices) == (rule == "verbatim")
    elif index is not None:
        assert re.match(r"(option )?[(\[]?(.)", normalise(text))[2] == chr(ord("a") + index)


@pytest.mark.parametrize(
    "loop",
    [
        "answer: cat ",
        "answer: cat\n",
        "*",
        "(",
        "answer",
        "\n",
        "answer:",
        "</think>",
        "$a ",
        " *a",
        "</s>",
        "\\text{",
        "> ",
        "\u200b",
    ],
)
def test_a_looping_output_is_read_in_no_time(loop):
    start = time.process_time()  # a busy machine does not count
    extract("ANSWER: " + loop * (200_000 // len(loop)), ANIMALS)
    assert time.process_time() - start < 2


# ── Noise around an answer ───────────────────────────────────────────────────────────────────────

DOGS = ("Cat", "Big", "Big dog", "Dog")
SAID = ["Big dog", "big dog.", "(C) Big dog", "C. big dog", "C", "“Big dog”", "**Big dog**"]
UNSEEN = [*"\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\ufe0f\u3164\x00", "\U000e0101"]
TOKENS = ["<|im_end|>", "</s>", "<|endoftext|>", "[/INST]", "<|eot_id|>", "<end_of_turn>", "<｜end▁of▁sentence｜>"]
DRESS = st.sampled_from(
    [
        "\\boxed{%s}",
        "\\text{%s}",
        "\\textbf{%s}",
        "$%s$",
        "$$%s$$",
        "\\(%s\\)",
        "\\[%s\\]",
        "*%s*",
        "__%s__",
    ]
)


def scattered(text, marks, data, most=4):
    """`text` with some of `marks` put in anywhere."""
    for mark in data.draw(st.lists(st.sampled_from(marks), max_size=most)):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + mark + text[place:]
    return text


@given(st.sampled_from(SAID), st.data())
def test_what_nobody_sees_changes_no_answer(said, data):
    choices = [scattered(choice, UNSEEN, data) for choice in DOGS]
    text = scattered(f"It barks.\nANSWER: Cat\nNo.\nANSWER: {said}", UNSEEN, data)
    assert answer(text, choices) == 2


@given(st.sampled_from(SAID), st.lists(DRESS, max_size=3), st.lists(DRESS, max_size=1), st.data())
def test_an_answer_in_any_dress_is_the_same_answer(said, inner, outer, data):
    for dress in inner:
        assume("*" not in said + dress or not ("*" in said and ("*" in dress or "_" in dress)))
        assume(not ("$" in said and "$" in dress) and "_" not in said)
        said = dress % said
    text = f"ANSWER: {said}"
    for dress in outer:
        assume(not set("$*_") & set(dress))
        text = dress % text
    text = (
        data.draw(st.sampled_from(["", "\u00a0", "<|im_start|>assistant\n", "<s>", "> ", "Since it barks:\n> "])) + text
    )
    text += "".join(data.draw(st.lists(st.sampled_from([*TOKENS, "\n", "\u202f"]), max_size=3)))
    assert answer(text, DOGS) == 2, text


@given(st.sampled_from(SAID), st.data())
def test_one_token_within_an_answer_never_makes_it_another(said, data):
    assert answer("ANSWER: " + scattered(said, TOKENS, data, most=1), DOGS) in (2, None)


@given(
    st.lists(st.sampled_from([*UNSEEN, *TOKENS, "\\boxed{}", "$$", "**", "> ", "\n", "\u00a0", '"', ")"])).map("".join)
)
def test_noise_alone_is_no_answer(noise):
    assert answer(f"ANSWER: {noise}", DOGS) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ANSWER: Cat\nANSWER\u200b: a horse", "no_match"),  # the last one counts, even if noise hides its marker
        ("ANSWER: Cat<|im_end|>\n<|im_start|>user\nANSWER: Dog", "ambiguous"),  # the second turn is invented
        ("ANSWER: <s>Cat</s> Dog", "no_match"),  # struck out
        ("ANSWER: ~~Cat~~ Dog", "no_match"),
        (r"ANSWER: \boxed{Cat} \text{ or } \boxed{Dog}", "no_match"),
        (r"ANSWER: \boxed{Cat", "no_match"),
        (r"ANSWER: \cancel{Cat}", "no_match"),
    ],
)
def test_noise_never_makes_a_choice_out_of_what_is_none(text, rule):
    found = extract(text, DOGS)
    assert (found.answer, found.rule) == (None, rule)


def test_choices_that_only_noise_tells_apart_need_the_exact_text():
    hearts = ["\u2764", "\u2764\ufe0f", "Cat"]
    assert answer("ANSWER: \u2764\ufe0f", hearts) == 1
    assert answer("ANSWER: \u2764", hearts) == 0
    assert extract("ANSWER: \u2764\u200b", hearts).rule == "ambiguous"


def test_marks_that_a_choice_has_are_no_noise():
    assert answer("ANSWER: </s>", ["<s>", "</s>"]) == 1
    assert answer("ANSWER: $5", ["$5", "$10"]) == 0
    assert extract("ANSWER: $5$", ["$5", "5 $"]).answer is None
    assert extract("ANSWER:\n> 5 Hz", ["5 Hz", "> 10 Hz"]).answer is None
    assert extract("ANSWER: 2*3*4", ["234", "24"]).answer is None


@pytest.mark.parametrize("text", ['Big dog"', "“Big dog", "Big dog’.", "Big dog)", "[Big dog", 'C. Big dog"'])
def test_a_quote_or_bracket_without_its_pair_is_no_part_of_an_answer(text):
    assert answer(f"ANSWER: {text}", DOGS) == 2


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("7", ["7'", "8'"]),  # feet
        ("cis'", ["cis''", "dis''"]),  # octaves
        ("[1, 2)", ["[1, 2]", "[3, 4]"]),  # intervals
        ('the dogs"', ["the dogs'", "the dogs"]),
        ('B"', ["A", "C"]),
        ('(A) Dog"', ["Cat", "Dog"]),
        ("smile :", ["smile :)", "smile :("]),
    ],
)
def test_a_mark_that_may_mean_something_is_never_left_out(text, choices):
    assert answer(f"ANSWER: {text}", choices) is None


def test_a_choice_that_lost_its_last_quote_is_read():
    choices = ['He said "I am not drunk."', 'He said "I am drunk."']
    assert answer('ANSWER: He said "I am not drunk.', choices) == 0


@given(
    st.text(alphabet="abAB12 .:()[]\n", max_size=60), st.lists(st.text(alphabet="abAB12 .()", max_size=8), max_size=4)
)
def test_a_text_without_noise_is_read_once(text, choices):
    assert _agreed(text, choices) == _read(text, choices)


# ── Status ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "finish_reason", "status"),
    [
        ("<think>a</think>ANSWER: Cat", "stop", "ok"),
        ("ANSWER: Cat", "stop", "ok"),
        ("ANSWER: Cat", "length", "truncated"),
        ("<think>a", "stop", "truncated"),
        ("<think>a", "length", "truncated"),
        ("<think>a</think>A cat.", "stop", "no_answer"),
        ("", "stop", "no_answer"),
    ],
)
def test_status(text, finish_reason, status):
    assert status_of(extract(text, ANIMALS), finish_reason) == status
