"""Questions made from annotations: one right choice, places balanced, deterministic, and no answer in the text."""

import random
from collections import Counter
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_reasoning.core.records import Audio, Question
from audio_reasoning.metrics.leaks import AT_CHANCE, judged, probe
from audio_reasoning.tasks.events import Event, drafts_of, presence_drafts
from audio_reasoning.tasks.mcq import Draft, arranged, block, drawn, evened, rng_of
from audio_reasoning.tasks.musicbench import KEYS, NOTES, TEMPOS, near_keys
from audio_reasoning.tasks.musicbench import drafts_of as drafts_of_music
from audio_reasoning.tasks.probe_params import Probe

PARAMS = Probe(folds=5, least=100, resamples=500, seed=0)
NAMES = st.integers(0, 10_000).map(str)
DRAFTS = st.lists(
    st.builds(
        lambda name, kind, right, size: Draft(
            f"q{name}", kind, "?", f"choice {right}", tuple(f"choice {right + n}" for n in range(1, size))
        ),
        NAMES,
        st.sampled_from("ab"),
        st.integers(0, 5),
        st.integers(2, 5),
    ),
    unique_by=lambda draft: draft.id,
    max_size=40,
)


@given(DRAFTS, st.integers(0, 3))
def test_choices_hold_the_right_one_once_and_places_are_balanced(drafts: list[Draft], seed: int) -> None:
    choices = arranged(drafts, seed)
    places: dict[tuple[str, int], Counter[int]] = {}
    for draft in drafts:
        made = choices[draft.id]
        assert sorted(made) == sorted({draft.right, *draft.wrong}) and made.count(draft.right) == 1
        places.setdefault((draft.kind, len(made)), Counter())[made.index(draft.right)] += 1
    for (_, size), counts in places.items():
        assert max(counts.values()) - min(counts[place] for place in range(size)) <= 1
    assert choices == arranged(drafts[::-1], seed), "the order in the source decides nothing"


@given(DRAFTS, st.integers(0, 3))
def test_evened_drafts_have_each_choice_of_a_set_right_as_often(drafts: list[Draft], seed: int) -> None:
    kept, left = evened(drafts, seed)
    assert sorted(draft.id for draft in (*kept, *left)) == sorted(draft.id for draft in drafts)
    counts: dict[Any, Counter[str]] = {}
    for draft in kept:
        counts.setdefault((draft.kind, frozenset({draft.right, *draft.wrong})), Counter())[draft.right] += 1
    for (_, choices), right in counts.items():
        assert len({right[choice] for choice in choices}) == 1


@given(st.lists(st.text("ab ", min_size=0, max_size=3), min_size=1, max_size=4))
def test_choices_that_are_not_all_different_are_refused(choices: list[str]) -> None:
    told_apart = {choice.strip().casefold() for choice in choices}
    if len(told_apart) == len(choices) > 1 and all(told_apart):
        Draft("q", "k", "?", choices[0], tuple(choices[1:]))
    else:
        with pytest.raises(ValueError, match="all different"):
            Draft("q", "k", "?", choices[0], tuple(choices[1:]))


@given(st.sampled_from(KEYS), st.integers(0, 99))
def test_keys_of_a_question_are_far_from_each_other(key: str, seed: int) -> None:
    wrong = drawn(key, KEYS, 3, rng_of(seed, "q"), near_keys)
    assert wrong and not any(near_keys(a, b) for a, b in combinations((key, *wrong), 2))
    assert wrong == drawn(key, KEYS, 3, rng_of(seed, "q"), near_keys)


def test_near_keys_are_near_both_ways() -> None:
    for a, b in combinations(KEYS, 2):
        assert near_keys(a, b) == near_keys(b, a)


def test_tempos_do_not_overlap_and_none_is_half_of_another() -> None:
    ranges = sorted(TEMPOS.values())
    assert all(low * 1.05 < high for (_, low), (high, _) in pairwise(ranges))
    assert ranges[-1][1] < 2 * ranges[0][0]


@given(st.integers(1, 40))
def test_a_count_is_asked_among_the_same_numbers_as_its_neighbours_in_the_block(count: int) -> None:
    assert str(count) in block(count) and all(block(int(other)) == block(count) for other in block(count))


SPANS = st.lists(
    st.builds(
        lambda text, onset, length: Event(text, onset, onset + length),
        st.sampled_from(["Dog barks.", "Car passes.", "Bell rings.", "Rain falls.", "Door slams.", "Man coughs."]),
        st.floats(0, 20).map(lambda x: round(x, 2)),
        st.floats(0.1, 4).map(lambda x: round(x, 2)),
    ),
    max_size=8,
)


@settings(max_examples=300)
@given(SPANS)
def test_order_and_number_are_as_the_spans_say(events: list[Event]) -> None:
    long = [event for event in events if event.offset_s - event.onset_s >= 0.5]
    for draft in drafts_of("clip", events):
        mine = [event for event in events if event.text == draft.right]
        if draft.kind == "count":
            assert sum(f'"{event.text}"' in draft.question for event in events) == int(draft.right)
            continue
        (right,) = (event for event in long if event.text == draft.right)
        assert len([event for event in mine if event in long]) == 1
        wrong = [event for event in long if event.text in draft.wrong]
        if draft.kind == "first":
            assert all(right.onset_s < event.onset_s for event in wrong)
        if draft.kind == "last":
            assert all(right.onset_s > event.onset_s for event in wrong)
        if draft.kind in ("next", "previous"):
            (base,) = (event for event in long if f'"{event.text}"' in draft.question)
            before, after = (base, right) if draft.kind == "next" else (right, base)
            assert after.onset_s >= before.offset_s
            assert not [event for event in long if before.onset_s < event.onset_s < after.onset_s]


def asked(drafts: list[Draft], group: Any) -> list[Question]:
    choices = arranged(drafts, 0)
    return [
        Question(
            draft.id,
            Audio(f"{group(draft)}.flac", group(draft), 1.0),
            draft.question,
            tuple(choices[draft.id]),
            choices[draft.id].index(draft.right),
            "Perception Layer",
            draft.kind,
            "sound",
            None,
            "made",
            group(draft),
        )
        for draft in drafts
    ]


def test_a_probe_that_hears_nothing_answers_made_questions_by_chance() -> None:
    """Although tempos, keys and counts are as uneven as they are in the world, and captions tell of their clip."""
    rng = random.Random(3)
    music = {}
    for n in range(2500):
        key = [rng.choice(NOTES[:9] + NOTES[:4]), rng.choice(["major", "major", "minor"])]
        beats = [[0.0], [rng.choice([2, 3, 4, 4, 4])]]
        annotated = {"bpm": rng.gauss(112, 18), "key": key, "keyprob": [0.9], "beats": beats}
        music[f"data/{n}.wav"] = {"location": f"data/{n}.wav", **annotated}
    made, _ = drafts_of_music(music, 0)
    drafts = {kind: [draft for draft in made if draft.kind == kind][:500] for kind in ("tempo", "mode", "metre", "key")}
    words = [
        "".join(rng.choice(letters) for letters in ("bdgklm", "aeiou", "nprst", "aeiou", "vwz")) for _ in range(900)
    ]
    clips: dict[str, list[Event]] = {}
    for n in range(400):
        at, clips[f"{n}.mp3"] = 0.0, []
        for word in rng.sample(sorted(set(words)), 5):
            for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
                clips[f"{n}.mp3"].append(Event(word, at, at + 0.6))
                at += 1.0
    events = [draft for clip, of_clip in clips.items() for draft in drafts_of(f"tacos_{clip}", of_clip)]
    drafts["count"] = evened([draft for draft in events if draft.kind == "count"], 0)[0][:400]
    for kind in ("next", "previous", "first", "last"):
        drafts[kind] = [draft for draft in events if draft.kind == kind][:400]
    drafts["heard"] = [draft for of_clip in presence_drafts(clips, 0).values() for draft in of_clip]
    rows = judged([probe("made", kind, asked(of_kind, lambda d: d.id), PARAMS) for kind, of_kind in drafts.items()])
    assert {row.split: (row.n, row.verdict_text) for row in rows if row.verdict != AT_CHANCE} == {}
