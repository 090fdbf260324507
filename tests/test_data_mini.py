"""MMAR-mini: its taxonomy, its reproducibility, and that only the audio tells the answer."""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from audio_reasoning.tasks.mini.generate import HOP, KINDS, LAYERS, MMAR_COUNTS, STREAMS, generate, quotas
from tests.mmar import METADATA, SAMPLE, needs_metadata

PROFILE = Path(__file__).parents[1] / "conf/profile/mini.yaml"


@pytest.fixture(scope="module")
def even():
    """Questions of which every sub-category has about as many, so that each is tested as sharply."""
    return list(generate(3, "train", 4000, 1 / 16))


@pytest.fixture(scope="module")
def usual():
    """The shares of the default parameters."""
    return list(generate(7, "test", 800, 0.03))


def fingerprint(item):
    return hashlib.sha256(item.samples.tobytes()).hexdigest(), repr(astuple(replace(item, samples=None)))


def test_two_runs_give_the_same_bytes():
    first, second = ([fingerprint(x) for x in generate(11, "dev", 60, 0.03)] for _ in range(2))
    assert first == second


def test_no_clip_is_shared_between_streams_or_seeds():
    """Neither its samples nor what it was made from: the same scene in other noise would be the same clip."""
    owners = defaultdict(set)
    for seed in (1, 2):
        for stream in STREAMS:
            for item in generate(seed, stream, 80, 0.03):
                made_from = (item.question, item.choices, item.evidence, item.difficulty)
                for key in (fingerprint(item)[0], made_from):
                    owners[key].add((seed, stream, item.group))
    assert len(owners) > 2 * 80 * len(STREAMS) and all(len(owner) == 1 for owner in owners.values())
    ids = [{item.id for item in generate(1, stream, 80, 0.03)} for stream in STREAMS]
    assert len(set.union(*ids)) == 80 * len(STREAMS)


def test_an_unknown_stream_is_refused():
    with pytest.raises(ValueError, match="stream must be one of"):
        next(generate(1, "trian", 10, 0.03))


@pytest.mark.parametrize("count", [1, 7, 300, 800, 3000])
@pytest.mark.parametrize("min_share", [0.0, 0.03, 1 / 16])
def test_shares_are_mmars_raised_to_the_least_share_and_add_up(count, min_share):
    shares = quotas(count, min_share)
    assert sum(shares.values()) == count
    raised = {name: max(n / 1000, min_share) for name, n in MMAR_COUNTS.items()}
    for name, n in shares.items():
        assert abs(n - count * raised[name] / sum(raised.values())) < 1


@pytest.mark.parametrize("count", [37, 300])
def test_counts_are_exact(count):
    items = list(generate(5, "pretrain", count, 0.03))
    assert Counter(item.sub_category for item in items) == Counter({k: v for k, v in quotas(count, 0.03).items() if v})


def test_every_sub_category_has_two_question_types_or_more():
    kinds = defaultdict(set)
    for kind in KINDS.values():
        kinds[kind.sub_category].add(kind.question)
    assert set(kinds) == set(MMAR_COUNTS) and len(KINDS) >= 32
    assert min(len(questions) for questions in kinds.values()) >= 2


def test_the_sample_of_metadata_has_mmars_taxonomy():
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    assert {row["sub-category"]: row["category"] for row in rows} == LAYERS


@needs_metadata
def test_the_taxonomy_is_mmars_own(usual):
    rows = [json.loads(line) for line in METADATA.read_text(encoding="utf-8").splitlines()]
    assert Counter(row["sub-category"] for row in rows) == Counter(MMAR_COUNTS)
    assert {row["sub-category"]: row["category"] for row in rows} == LAYERS
    assert {row["modality"] for row in rows} == {item.modality for item in usual}


def test_clips_are_whole_frames_of_16_bit_audio(usual):
    for item in usual:
        assert item.samples.dtype == np.float32 and item.samples.ndim == 1
        assert len(item.samples) % HOP == 0 and 1.5 <= len(item.samples) / 16_000 <= 4.0
        on_grid = item.samples * 32768
        assert np.array_equal(on_grid, np.round(on_grid)) and 0.01 < np.abs(item.samples).max() < 1


def test_choices_are_few_short_and_different(usual):
    sizes = Counter(len(item.choices) for item in usual)
    assert set(sizes) == {2, 3, 4, 5} and sizes[4] > 0.75 * len(usual) and 0.1 < sizes[2] / len(usual) < 0.22
    assert 0.26 < np.mean([1 / len(item.choices) for item in usual]) < 0.33
    for item in usual:
        assert len(set(item.choices)) == len(item.choices)
        assert all(1 <= len(choice.split()) <= 3 for choice in item.choices)
        assert "{" not in item.question + "".join(astuple(item.evidence))


def test_some_clips_carry_two_different_questions(usual):
    clips = defaultdict(list)
    for item in usual:
        clips[item.group].append(item)
    pairs = [items for items in clips.values() if len(items) > 1]
    assert 0.08 < len(pairs) / len(clips) < 0.2 and max(map(len, clips.values())) == 2
    for first, second in pairs:
        assert np.array_equal(first.samples, second.samples) and first.question != second.question


def test_difficulty_is_spread_over_its_range(usual):
    difficulty = np.array([item.difficulty for item in usual])
    assert 0 <= difficulty.min() < 0.05 and 0.95 < difficulty.max() <= 1 and abs(difficulty.mean() - 0.5) < 0.05


def test_evidence_determines_the_answer(even):
    """Who reads the question and what is heard can tell the answer: no two answers share one evidence."""
    answers = defaultdict(set)
    for item in even:
        answers[item.kind, item.question, item.evidence.heard].add(item.choices[item.answer])
    assert [key for key, found in answers.items() if len(found) > 1] == []
    assert {item.kind for item in even} == set(KINDS)
    assert all(2 <= len(item.evidence.brief.split()) <= 6 for item in even)


# ── Only the audio tells the answer ──────────────────────────────────────────────────────────────


def text_only_z(items):
    """By sub-category: how far a text-only classifier is above chance, in standard deviations of chance.

    A logistic regression scores each choice from its words, position, length, and its pairing with the
    question and with every other choice; the best-scored choice is its answer. Folds keep clips together. Unlike the
    stage `probe`, it knows which other choices a question of this kind could have had.
    """
    features, labels, owners = [], [], []
    for index, item in enumerate(items):
        lengths = sorted(map(len, item.choices))
        for position, choice in enumerate(item.choices):
            others = [other for other in item.choices if other != choice]
            features.append(
                [
                    f"choice={choice}",
                    f"position={position}/{len(item.choices)}",
                    f"question={item.question}|{choice}",
                    f"question={item.question}|{position}",
                    f"length={lengths.index(len(choice))}/{len(item.choices)}",
                    *(f"with={choice}|{other}" for other in others),
                    *(f"missing={choice}|{o}" for o in KINDS[item.kind].options if o not in item.choices),
                ]
            )
            labels.append(position == item.answer)
            owners.append(index)
    hashed = FeatureHasher(2**14, input_type="string").transform(features)
    labels, owners = np.array(labels), np.array(owners)
    groups = [items[owner].group for owner in owners]
    scores = np.zeros(len(labels))
    for train, test in GroupKFold(4).split(hashed, labels, groups):
        model = LogisticRegression(C=0.3, max_iter=300).fit(hashed[train], labels[train])
        scores[test] = model.decision_function(hashed[test])
    correct, chance = defaultdict(list), defaultdict(list)
    for index, item in enumerate(items):
        mine = owners == index
        correct[item.sub_category].append(labels[mine][np.argmax(scores[mine])])
        chance[item.sub_category].append(1 / len(item.choices))
    z = {}
    for name in correct:
        p = np.array(chance[name])
        z[name] = (np.sum(correct[name]) - p.sum()) / np.sqrt(np.sum(p * (1 - p)))
    return z


# One-sided, 16 tests: by chance alone 1 run in 300 would exceed it.
LIMIT = 3.5


@pytest.fixture(scope="module")
def shipped():
    """What a model trains on and is scored on under the mini profile."""
    mini = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))["data"]["sources"]["mini"]
    return [
        item for split in ("train", "test") for item in generate(mini["seed"], split, mini[split], mini["min_share"])
    ]


def test_a_text_only_classifier_stays_at_chance_in_every_sub_category(even):
    assert_at_chance(text_only_z(even))


@pytest.mark.slow
def test_a_text_only_classifier_stays_at_chance_on_the_shipped_questions(shipped):
    assert_at_chance(text_only_z(shipped))


def assert_at_chance(z):
    assert len(z) == 16
    assert {name: round(value, 1) for name, value in z.items() if value > LIMIT} == {}


def planted(item, rng, leak):
    """The item with a common leak planted into 4 of 10: the answer comes first, or is the favourite choice."""
    if rng.random() > 0.4:
        return item
    if leak == "position":
        order = [item.answer, *(i for i in range(len(item.choices)) if i != item.answer)]
        return replace(item, choices=tuple(item.choices[i] for i in order), answer=0)
    return replace(item, answer=item.choices.index(min(item.choices)))


@pytest.mark.parametrize("leak", ["position", "favourite"])
@pytest.mark.parametrize("questions", ["even", "shipped"])
def test_a_planted_leak_is_found_in_every_sub_category(request, questions, leak):
    rng = np.random.default_rng(0)
    z = text_only_z([planted(item, rng, leak) for item in request.getfixturevalue(questions)])
    assert {name: round(value, 1) for name, value in z.items() if value <= LIMIT} == {}


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_position_is_right_equally_often(even, size):
    counts = Counter(item.answer for item in even if len(item.choices) == size)
    assert counts.total() >= 10 * size, "too few for the test below"
    assert len(counts) == size and chisquare(list(counts.values())).pvalue > 0.001


@pytest.mark.parametrize("kind", ["count_beeps", "count_words"])
def test_numbers_are_right_equally_often_at_every_rank(even, kind):
    ranks = Counter(
        sorted(item.choices, key=["one", "two", "three", "four", "five"].index).index(item.choices[item.answer])
        for item in even
        if item.kind == kind
    )
    assert len(ranks) == 4 and chisquare(list(ranks.values())).pvalue > 0.001


# ── The audio does tell it ───────────────────────────────────────────────────────────────────────


def easy(items, kind):
    chosen = [item for item in items if item.kind == kind and item.difficulty < 0.5]
    assert len(chosen) >= 10
    return chosen


def loudness(item, frame=320):
    return np.sqrt(np.mean(item.samples[: len(item.samples) // frame * frame].reshape(-1, frame) ** 2, axis=1))


def answer(item):
    return item.choices[item.answer]


@pytest.mark.parametrize("kind", ["count_beeps", "count_knocks", "count_chirps"])
def test_as_many_bursts_of_energy_are_heard_as_the_answer_says(even, kind):
    for item in easy(even, kind):
        loud = loudness(item) > 0.2 * loudness(item).max()
        bursts = int(loud[0]) + np.sum(~loud[:-1] & loud[1:])
        assert ["one", "two", "three", "four", "five"][bursts - 1] == answer(item)


def test_the_source_gets_louder_quieter_or_neither_as_the_answer_says(even):
    for item in easy(even, "movement"):
        first, middle, last = (part.mean() for part in np.array_split(loudness(item), 3))
        if first > 3 * last or last > 3 * first:
            heard = "leaving" if first > last else "approaching"
        else:
            heard = "passing by" if middle > 1.6 * max(first, last) else "standing still"
        assert heard == answer(item)


def test_a_muffled_recording_has_no_highs_and_a_noisy_one_has_hiss_in_its_pauses(even):
    for item in easy(even, "recording_of_music"):
        power = np.abs(np.fft.rfft(item.samples)) ** 2
        hz = np.fft.rfftfreq(len(item.samples), 1 / 16_000)
        assert (power[hz > 1500].sum() / power.sum() < 0.01) == (answer(item) == "muffled")
        pauses = np.sort(loudness(item))[:5].mean()
        assert (pauses > 0.1 * loudness(item).max()) == (answer(item) == "noisy")


def test_the_pitch_of_the_second_note_is_as_the_answer_says(even):
    for item in easy(even, "second_note"):
        halves = np.array_split(item.samples[800:], 2)
        pitches = [np.argmax(np.abs(np.fft.rfft(half, 32_000))) for half in halves]
        moved = 12 * np.log2(pitches[1] / pitches[0])
        heard = "higher" if moved > 2 else "lower" if moved < -2 else None
        first, second = (np.sqrt(np.mean(half**2)) for half in halves)
        assert (heard or ("louder" if second > first else "quieter")) == answer(item)
