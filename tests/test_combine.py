"""Combining sources: labels in one taxonomy, shares and limits, and what a test set holds goes from train and dev."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_reasoning.core.clips import video_of
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, write_jsonl
from audio_reasoning.core.records import Audio, Question, read_questions
from audio_reasoning.core.taxonomy import LAYER_OF
from audio_reasoning.tasks.audio import write_flac
from audio_reasoning.tasks.combine import apportioned, taken
from audio_reasoning.tasks.combine_params import Decontaminate, Part
from audio_reasoning.tasks.decontaminate import removals
from audio_reasoning.tasks.mini.generate import LAYERS, generate
from audio_reasoning.tasks.near_text import Text, likeness, near_duplicates
from audio_reasoning.tasks.params import Data
from benchmarks.decontaminate import kinds
from stages import questions
from stages.params import parse_params

MUSIC, COUNTING = "Music Theory", "Counting and Statistics"


def question(name, source="a", sub_category=MUSIC, group=None, path=None, text="What is heard?", choices=("x", "y")):
    audio = Audio(path or f"{source}/{name}.flac", path or f"{source}/{name}", 1.0)
    return Question(
        name, audio, text, choices, 0, LAYER_OF[sub_category], sub_category, "sound", None, source, group or name
    )


# ── What is taken ────────────────────────────────────────────────────────────────────────────────


def test_the_taxonomy_is_that_of_mini():
    assert dict(LAYERS) == dict(LAYER_OF)


def of_two_kinds():
    return [question(f"q{n}", sub_category=MUSIC if n % 4 else COUNTING, group=f"clip {n // 2}") for n in range(400)]


def test_a_share_and_one_of_a_sub_category_are_met_in_order_and_the_same_each_time():
    there = of_two_kinds()
    part = Part(share=0.1, sub_categories={COUNTING: 0.5})
    kept = taken(there, part, 0)
    assert Counter(q.sub_category for q in kept) == {MUSIC: 30, COUNTING: 50}
    assert kept == [q for q in there if q in kept] == taken(there[::-1], part, 0)[::-1]
    assert kept != taken(there, part, 1)


def test_a_limit_keeps_the_sub_categories_in_proportion_and_clips_whole_where_it_can():
    kept = taken(of_two_kinds(), Part(limit=100), 0)
    assert Counter(q.sub_category for q in kept) == {MUSIC: 75, COUNTING: 25}
    assert taken(of_two_kinds(), Part(limit=1000), 0) == of_two_kinds()
    one_kind = [question(f"q{n}", group=f"clip {n // 2}") for n in range(40)]
    assert len({q.group for q in taken(one_kind, Part(limit=20), 0)}) == 10


def test_a_question_more_moves_no_others():
    there = of_two_kinds()
    kept = {q.id for q in taken(there, Part(share=0.5), 0)}
    more = {q.id for q in taken([*there, question("new")], Part(share=0.5), 0)}
    assert len(kept ^ more) <= 2


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1000), max_size=8), st.integers(0, 500))
def test_what_is_apportioned_adds_up(wanted, total):
    total = min(total, round(sum(wanted.values())))
    counts = apportioned(wanted, total)
    assert sum(counts.values()) == (total if wanted else 0)
    assert all(counts[name] <= value + 1 for name, value in wanted.items())


# ── Near-duplicate texts ─────────────────────────────────────────────────────────────────────────

words = st.lists(st.from_regex(r"[a-zé猫]{3,9}", fullmatch=True), min_size=12, max_size=20)


@settings(max_examples=40)
@given(words, st.permutations(range(4)), st.sampled_from([str.upper, str.title, lambda t: t.replace(" ", ", ") + "?"]))
def test_case_punctuation_and_the_order_of_choices_change_no_text(said, order, restyled):
    choices = tuple(" ".join(said[start : start + 2]) for start in range(0, 8, 2))
    one = Text(" ".join(said), choices, "a")
    other = Text(restyled(one.question), tuple(restyled(choices[place]) for place in order), "b")
    assert likeness(one, other) == 1
    assert list(near_duplicates([one], [other], 0.8, 10)) == [(0, 0, 1.0)]


@settings(max_examples=40)
@given(words, words)
def test_likeness_is_symmetric_and_one_only_for_the_same_words(one, other):
    a, b = Text(" ".join(one), (), ""), Text(" ".join(other), (), "")
    assert likeness(a, b) == likeness(b, a) and 0 <= likeness(a, b) <= 1
    assert list(near_duplicates([a], [b], 1.0, 10)) == ([(0, 0, 1.0)] if likeness(a, b) == 1 else [])


LONG = "Which of the four instruments enters last in the passage that the street musicians play twice"


def test_a_word_more_is_found_and_another_question_is_not():
    known = [Text(LONG, ("violin", "tuba"), "t"), Text("How many dogs bark while the train passes", ("2", "3"), "u")]
    texts = [Text(LONG + " today", ("tuba", "violin"), "a"), Text("How many cats are there", ("2", "3"), "b")]
    assert [(index, other) for index, other, _ in near_duplicates(texts, known, 0.8, 10)] == [(0, 0)]


def test_what_many_clips_are_asked_is_a_form():
    known = [Text(LONG, ("violin", "tuba"), "t")]
    asked = [Text(LONG, ("violin", "tuba"), f"clip {n}") for n in range(11)]
    assert not list(near_duplicates(asked, known, 0.8, 10))
    assert len(list(near_duplicates(asked[:10], known, 0.8, 10))) == 10


def test_a_source_may_ask_all_of_its_clips_in_the_same_words():
    known, same = Text(LONG, ("violin", "tuba"), "t", "mine"), Text(LONG, ("violin", "tuba"), "a", "mine")
    assert not list(near_duplicates([same], [known], 0.8, 10))
    assert list(near_duplicates([replace(same, source="other")], [known], 0.8, 10)) == [(0, 0, 1.0)]


# ── Decontamination ──────────────────────────────────────────────────────────────────────────────


def removed(train, test, audio=Path(), videos=None, **params):
    return removals({"train": train, "dev": [], "test": test}, audio, videos or {}, Decontaminate(**params))


def test_an_id_a_video_and_a_file_that_a_test_set_has_go_each_for_its_reason():
    test = [question("t1", "mmar", group="qx8hrhBZJ98"), question("t2", "mmar", path="same")]
    train = [question("t1"), question("c", group="x"), question("d", group="qx8hrhBZJ98"), question("e", path="same")]
    train += [question("f", text="Something else?")]
    found = removed(train, test, videos={"a/c": "qx8hrhBZJ98"}, sound=None)
    assert [(one.id, one.why, one.test_id, one.test_source) for one in found] == [
        ("t1", "id", "t1", "mmar"),
        ("c", "video", "t1", "mmar"),
        ("d", "video", "t1", "mmar"),
        ("e", "audio file", "t2", "mmar"),
    ]
    assert removed(train, test, enabled=False) == []


@pytest.mark.parametrize(
    ("url", "video"),
    [
        ("https://www.youtube.com/watch?v=qx8hrhBZJ98&t=3", "qx8hrhBZJ98"),
        ("https://youtube.com/shorts/qx8hrhBZJ98", "qx8hrhBZJ98"),
        ("https://www.bilibili.com/video/BV1xx411c7mD/?p=1", "BV1xx411c7mD"),
        ("https://freesound.org/s/1/", "https://freesound.org/s/1/"),
        (" ", None),
    ],
)
def test_the_video_of_an_address(url, video):
    assert video_of(url) == video


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder of ten test clips, copies of the first in all ways, and ten clips of another stream."""
    folder = tmp_path_factory.mktemp("audio")
    made = {stream: {item.group: item.samples for item in generate(3, stream, 12, 0.0)} for stream in ("test", "train")}
    others = list(made["train"].values())
    for stream, by_group in made.items():
        for number, samples in enumerate(by_group.values()):
            write_flac(folder / f"{stream}_{number}.flac", samples)
    original = next(iter(made["test"].values()))
    ways = kinds(np.random.default_rng(0), others)
    for name, way in ways.items():
        write_flac(folder / f"copy, {name.replace('/', ' a ')}.flac", way(original))
    return folder


def of_files(folder, pattern, source, **changes):
    return [
        question(path.stem, source, path=path.name, text=f"What of {path.stem}?", **changes)
        for path in sorted(folder.glob(pattern))
    ]


def test_copies_are_found_however_they_were_made_and_nothing_else(clips):
    test = of_files(clips, "test_*", "mmar")
    train = of_files(clips, "copy*", "a") + of_files(clips, "train_*", "a")
    found = removed(train, test, clips, text=None)
    assert {one.id for one in found} == {path.stem for path in clips.glob("copy*")}
    assert {(one.why, one.test_id) for one in found} == {("sound", "test_0")}
    assert "s in common" in found[0].detail


def test_fingerprints_that_are_kept_find_the_same_and_need_no_clip_that_is_like_none(clips, tmp_path):
    audio, kept = tmp_path / "audio", tmp_path / "kept"
    shutil.copytree(clips, audio)
    splits = {"train": [], "dev": [], "test": []}
    for split, pattern in (("test", "test_*"), ("train", "copy*"), ("train", "train_*")):
        for made in of_files(audio, pattern, "a" if split == "train" else "mmar"):
            sha256 = sha256_file(audio / made.audio.path)
            splits[split].append(replace(made, audio=replace(made.audio, sha256=sha256)))
    params = Decontaminate(text=None)
    first = removals(splits, audio, {}, params, kept)
    assert first == removals(splits, audio, {}, params) and len(first) == len(list(clips.glob("copy*")))
    for unlike in audio.glob("train_*"):
        unlike.unlink()
    spoilt = sorted(kept.glob("*/*.npy"))
    for number, file in enumerate(spoilt):
        if file.name[:64] in {question.audio.sha256 for question in splits["test"]}:
            file.write_bytes(file.read_bytes()[: 50 * number])
    assert removals(splits, audio, {}, params, kept) == first


def test_sounds_of_a_synthetic_source_are_not_compared_within_it(clips):
    test, train = of_files(clips, "test_*", "a"), of_files(clips, "copy*", "a")
    assert removed(train, test, clips, text=None, synthetic=["a"]) == []
    assert len(removed(train, of_files(clips, "test_*", "b"), clips, text=None, synthetic=["a", "b"])) == len(train)


def test_silence_and_what_is_too_short_to_tell_are_no_copies(tmp_path):
    made = {"a": np.zeros(16_000), "b": np.zeros(32_000), "c": np.ones(160), "d": 0.5 * np.ones(320)}
    for name, samples in made.items():
        write_flac(tmp_path / f"{name}.flac", samples.astype(np.float32))
    test = [question("b", path="b.flac"), question("d", path="d.flac")]
    assert removed([question("a", path="a.flac"), question("c", path="c.flac")], test, tmp_path, text=None) == []


# ── The stage ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(name, split, ids, **changes):
    """A source as the stage acquire leaves it, with a clip of noise for each question; and its parameters."""
    rows = []
    for number, row_id in enumerate(ids):
        rng = np.random.default_rng([*map(ord, name), number])
        write_flac(Path(f"data/audio/{name}/{number}.flac"), 0.1 * rng.standard_normal(16_000, dtype=np.float32))
        labels = {"category": "Any", "sub-category": "existential", "modality": "sound"}
        asked = {"question": f"What of {name} {row_id}?", "choices": ["yes", "no"], "answer": "no", "url": None}
        rows.append({"id": row_id, "audio_path": f"{name}/{number}.flac", **asked, **labels, **changes})
    write_jsonl(Path(f"data/sources/{name}/questions.jsonl"), rows)
    write_jsonl(Path(f"data/sources/{name}/dropped.jsonl"), [])
    return {"loader": "files", "questions": "", "audio": "", "split": split, "invalid": "stop", "sha256": ""}


def run(sources, capsys, **data):
    write_params({"sources": sources, **data})
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["questions"])
            questions.main()
    except SystemExit as stopped:
        assert stopped.code == 2 and not Path("data/questions").exists()
    told = capsys.readouterr()
    return told.out + told.err


def write_params(data):
    Path("params.yaml").write_text(yaml.safe_dump({"data": data}))


def test_what_a_test_set_holds_goes_and_the_manifest_and_a_table_say_so(workspace, capsys):
    sources = {"a": source("a", "train", ["1", "2", "3"]), "b": source("b", "test", ["3", "4"])}
    shutil.copy("data/audio/b/1.flac", "data/audio/a/0.flac")
    told = run(sources, capsys)
    assert [q.id for q in read_questions(Path("data/questions/train.jsonl"))] == ["2"]
    removed = json.loads(Path("data/questions/manifest.json").read_text())["removed"]
    assert [(one["id"], one["why"], one["test_id"]) for one in removed] == [("1", "audio file", "4"), ("3", "id", "3")]
    assert re.search(r"^a +train +b +1 +– +1 +– +–$", told, re.MULTILINE), told


def test_switched_off_what_is_in_two_splits_is_refused(workspace, capsys):
    sources = {"a": source("a", "train", ["1"]), "b": source("b", "test", ["1"])}
    assert "the id '1' is in the sources a and b" in run(sources, capsys, decontaminate={"enabled": False})


def test_two_sources_of_one_split_with_the_same_ids_are_refused(workspace, capsys):
    sources = {"a": source("a", "train", ["1"]), "b": source("b", "train", ["1"])}
    assert "the id '1' is in the sources a and b; give one of them ids of its own" in run(sources, capsys)


def test_labels_become_the_taxonomys_and_the_category_follows(workspace, capsys):
    parts = {"a": {"labels": {"existential": "Content Analysis"}, "limit": 1}}
    run({"a": source("a", "test", ["1", "2"]), "b": source("b", "test", ["3"])}, capsys, combine={"parts": parts})
    first, other = read_questions(Path("data/questions/test.jsonl"))
    assert (first.category, first.sub_category) == ("Semantic Layer", "Content Analysis")
    assert (other.category, other.sub_category) == ("Any", "existential")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"labels": {"other": "Content Analysis"}}, r"data.combine.parts.a.*'existential' \(2 questions\): map them"),
        ({"sub_categories": {"existencial": 0.5}}, r"data.combine.parts.a.*did you mean \"existential\"\?"),
        ({"labels": {"existential": "Content Analyses"}}, r"did you mean \"Content Analysis\"\?"),
        ({"limit": 0}, r"data.combine.parts.a.limit"),
    ],
)
def test_unknown_categories_and_limits_of_nothing_are_refused(workspace, capsys, part, message):
    told = run({"a": source("a", "test", ["1", "2"])}, capsys, combine={"parts": {"a": part}})
    assert re.search(message, told), told


def test_a_part_of_a_source_that_there_is_not_is_refused():
    files = {"loader": "files", "questions": "", "audio": "", "split": "test", "invalid": "stop", "sha256": ""}
    with pytest.raises(UserError, match=r'combine.parts: no source is called .mien.; did you mean "mine"'):
        parse_params(Data, {"sources": {"mine": files}, "combine": {"parts": {"mien": {}}}}, "params.yaml")
