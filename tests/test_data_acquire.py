"""The stages acquire and questions, run as a user runs them: from mini, from files, from a hub."""

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml

from audio_reasoning.core.errors import NoRoomError, UserError
from audio_reasoning.core.records import read_questions
from audio_reasoning.metrics.dropped import dropped_ids
from audio_reasoning.tasks.archives import extract
from audio_reasoning.tasks.audio import HOP
from audio_reasoning.tasks.files import fingerprint
from audio_reasoning.tasks.params import FilesSource, MiniSource
from audio_reasoning.tasks.pin import write_text_value
from stages import check, questions
from stages.acquire import acquire
from stages.layout import QUESTIONS
from stages.params import load_params
from stages.project import Project, load_project
from tests.fake_hub import COMMIT, serve_hub
from tests.small_disk import small_disk

ROOT = Path(__file__).parent.parent
MINI = {"loader": "mini", "seed": 1, "train": 40, "dev": 20, "test": 60, "min_share": 0.03}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_params(sources):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] = {"sources": sources}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def run(module, *args, **environment):
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def row(name, audio, **changes):
    return {
        "id": name,
        "audio_path": audio,
        "question": "What is heard?",
        "choices": ["a tone", "rain", "a dog", "speech"],
        "answer": "a tone",
        "modality": "sound",
        "category": "Perception Layer",
        "sub-category": "Temporal Analysis",
        **changes,
    }


def write_source(folder, rows, tones=(440,)):
    """An unpinned source: a questions file, and audio/0.wav, audio/1.wav, … at 44.1 kHz in stereo."""
    (folder / "audio").mkdir(parents=True)
    for index, hz in enumerate(tones):
        x = 0.3 * np.sin(2 * np.pi * hz * np.arange(44_100) / 44_100)
        sf.write(folder / f"audio/{index}.wav", np.stack([x, x], axis=1), 44_100)
    (folder / "questions.json").write_text(json.dumps(rows), encoding="utf-8")
    return {
        "loader": "files",
        "questions": str(folder / "questions.json"),
        "audio": str(folder),
        "split": "test",
        "invalid": "stop",
        "sha256": "",
    }


def pinned(source):
    return {**source, "sha256": fingerprint(FilesSource(**source))}


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_mini_is_reproduced_byte_for_byte(workspace):
    write_params({"mini": MINI})
    trees = []
    for _ in range(2):
        for module, args in (("stages.acquire", ["--source", "mini"]), ("stages.questions", [])):
            done = run(module, *args)
            assert done.returncode == 0, done.stderr
        trees.append(tree(workspace / "data"))
    assert trees[0] == trees[1]
    assert not [name for name in trees[0] if "/." in f"/{name}"]


def test_mini_becomes_three_splits_of_16_khz_flac(workspace):
    write_params({"mini": MINI})
    acquire("mini", MiniSource(**MINI))
    splits, dropped = questions.gather(dict(load_params(Project, "data.sources").data.sources))
    questions.check_disjoint(splits)
    questions.write(splits, dropped, [])
    manifest = json.loads(Path("data/questions/manifest.json").read_text())
    for split in ("train", "dev", "test"):
        read = read_questions(Path(f"data/questions/{split}.jsonl"))
        assert len(read) == MINI[split] == manifest["splits"][split]["questions"]
        assert {q.source for q in read} == {"mini"}
        for question in read:
            info = sf.info(f"data/audio/{question.audio.path}")
            assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
            assert info.frames % HOP == 0 and info.frames / 16_000 == question.audio.duration_s
    assert sum(manifest["splits"]["test"]["by_sub_category"].values()) == 60
    assert manifest["dropped"] == []
    source_row = json.loads(Path("data/sources/mini/questions.jsonl").read_text().splitlines()[0])
    assert set(source_row["evidence"]) == {"heard", "analysis", "brief"} and 0 <= source_row["difficulty"] <= 1


def gather_all():
    splits, dropped = questions.gather(dict(load_params(Project, "data.sources").data.sources))
    questions.check_disjoint(splits)
    return splits, dropped


def test_shares_divide_a_source_and_a_question_of_one_clip_follows_one_with_a_split_of_its_own(workspace):
    rows = [row(f"q{index}", f"audio/{index // 2}.wav") for index in range(40)]
    rows[0]["split"] = "dev"
    source = write_source(workspace / "mine", rows, [200 + 50 * index for index in range(20)])
    source = pinned({**source, "split": {"train": 0.5, "test": 0.5}})
    write_params({"mine": source})
    acquire("mine", FilesSource(**source))
    splits, _ = gather_all()
    assert [q.id for q in splits["dev"]] == ["q0", "q1"]
    assert len(splits["train"]) + len(splits["test"]) == 38 and abs(len(splits["train"]) - 19) <= 2
    write_params({"mine": {**source, "split": {"train": 1 / 3, "dev": 1 / 3, "test": 1 / 3}}})
    assert len(gather_all()[0]["test"]) > 10


def test_too_few_clips_for_shares_are_refused_by_the_name_of_the_source(workspace):
    source = pinned(
        {**write_source(workspace / "mine", [row("q1", "audio/0.wav")]), "split": {"train": 0.5, "test": 0.5}}
    )
    write_params({"mine": source})
    acquire("mine", FilesSource(**source))
    with pytest.raises(UserError, match=r"data.sources.mine.split: 1 group"):
        gather_all()


def test_files_of_any_rate_become_the_split_that_params_name(workspace):
    source = pinned(
        write_source(workspace / "mine", [row("q1", "./audio/0.wav"), row("q2", "audio/1.wav")], (440, 880))
    )
    write_params({"mine": {**source, "split": "dev"}})
    assert acquire("mine", FilesSource(**source)) == 2
    splits, _ = gather_all()
    assert [q.id for q in splits["dev"]] == ["q1", "q2"] and not splits["train"] and not splits["test"]
    first = splits["dev"][0]
    assert first.audio.path == "mine/audio/0.flac" and first.audio.duration_s == 1.0
    assert first.choices[first.answer] == "a tone" and first.group == "mine/audio/0.wav".replace(".wav", ".flac")
    x, rate_hz = sf.read("data/audio/mine/audio/0.flac")
    assert rate_hz == 16_000 and x.ndim == 1
    assert np.argmax(np.abs(np.fft.rfft(x))) == 440


def test_two_questions_about_one_clip_share_its_group(workspace):
    source = pinned(write_source(workspace / "mine", [row("q1", "audio/0.wav"), row("q2", "./audio/0.wav")]))
    write_params({"mine": source})
    acquire("mine", FilesSource(**source))
    splits, _ = gather_all()
    assert len({q.group for q in splits["test"]}) == 1


def test_an_invalid_question_stops_or_is_dropped_and_named(workspace):
    rows = [row("q1", "audio/0.wav"), {**row("q2", "audio/0.wav"), "answer": "nothing of the kind"}]
    source = write_source(workspace / "mine", rows)
    refuse(source, r"q2.*is not one of the choices")
    source = pinned({**source, "invalid": "drop"})
    write_params({"mine": source})
    assert acquire("mine", FilesSource(**source)) == 1
    splits, dropped = gather_all()
    assert [q.id for q in splits["test"]] == ["q1"]
    (entry,) = dropped
    assert (entry["source"], entry["id"]) == ("mine", "q2") and "is not one of the choices" in entry["why"]


def refuse(source, message):
    with pytest.raises(UserError, match=message):
        acquire("mine", FilesSource(**source))
    assert not Path("data/audio/mine").exists() and not Path("data/sources/mine").exists()
    assert not list(Path("data/audio").iterdir()), "scratch is left behind"


def test_a_missing_audio_file_is_named_and_nothing_is_written(workspace):
    refuse(write_source(workspace / "mine", [row("q1", "audio/9.wav")]), r"audio/9\.wav: no such audio file")


def test_a_missing_audio_folder_is_named(workspace):
    source = write_source(workspace / "mine", [row("q1", "audio/0.wav")])
    refuse({**source, "audio": str(workspace / "elsewhere")}, "elsewhere: no such audio folder")


def test_a_link_out_of_the_audio_folder_is_refused(workspace):
    source = write_source(workspace / "mine", [row("q1", "audio/link.wav")])
    sf.write(workspace / "secret.wav", np.zeros(1600), 16_000)
    (workspace / "mine/audio/link.wav").symlink_to(workspace / "secret.wav")
    refuse(source, r"link\.wav: is a link to outside")


def test_a_blank_choice_of_ones_own_is_refused(workspace):
    refuse(
        write_source(workspace / "mine", [row("q1", "audio/0.wav", choices=["a tone", "x", ""])]), "'q1' has a blank"
    )


def test_files_that_differ_in_their_suffix_only_are_refused(workspace):
    source = write_source(workspace / "mine", [row("q1", "audio/0.wav"), row("q2", "audio/0.mp3")])
    Path("mine/audio/0.mp3").write_bytes(b"another")
    refuse(pinned(source), r"audio/0\.wav and audio/0\.mp3 would both become audio/0\.flac")


def test_a_failed_run_keeps_what_an_earlier_one_wrote(workspace):
    source = pinned(write_source(workspace / "mine", [row("q1", "audio/0.wav")]))
    acquire("mine", FilesSource(**source))
    before = tree(workspace / "data")
    Path("mine/audio/0.wav").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be decoded"):
        acquire("mine", FilesSource(**pinned(source)))
    assert tree(workspace / "data") == before


# ── Clips that cannot be used, and their names ───────────────────────────────────────────────────


def broken_source(workspace, **changes):
    """Questions q0 to q5 about clips of which 1 is cut short (asked about twice), 2 is missing and 3 is no audio."""
    rows = [row(f"q{n}", f"audio/{min(n, 4)}.wav") for n in range(5)] + [row("q5", "audio/1.wav")]
    source = write_source(workspace / "mine", rows, (440, 500, 600, 700, 800))
    Path("mine/audio/1.wav").write_bytes(Path("mine/audio/1.wav").read_bytes()[:9999])
    Path("mine/audio/2.wav").unlink()
    Path("mine/audio/3.wav").write_text("<html>not found</html>")
    return {**source, **changes}


def test_clips_that_cannot_be_used_are_dropped_with_their_questions_and_recorded(workspace):
    source = pinned(broken_source(workspace, invalid="drop"))
    write_params({"mine": source})
    assert acquire("mine", FilesSource(**source)) == 2
    splits, dropped = gather_all()
    assert [q.id for q in splits["test"]] == ["q0", "q4"]
    why = {entry["id"]: entry["why"] for entry in dropped}
    assert sorted(why) == ["q1", "q2", "q3", "q5"] and {entry["what"] for entry in dropped} == {"the question"}
    assert why["q1"].startswith("audio/1.wav: cut short: ") and why["q5"] == why["q1"]
    assert why["q2"] == "audio/2.wav: no such audio file"
    assert why["q3"].startswith("audio/3.wav: cannot be decoded as audio")
    assert not list(Path("data/audio/mine/audio").glob("[123]*"))


def test_a_dropped_clip_that_is_mended_is_noticed(workspace):
    source = pinned(broken_source(workspace, invalid="drop"))
    sf.write(workspace / "mine/audio/2.wav", np.zeros(16_000), 16_000)
    with pytest.raises(UserError, match="has changed"):
        acquire("mine", FilesSource(**source))


def test_where_they_stop_the_run_one_message_lists_all_of_them_with_their_questions(workspace):
    source = broken_source(workspace)
    refuse(source, r"audio/2\.wav: no such audio file \(question 'q2'\); `invalid: drop`")
    sf.write(workspace / "mine/audio/2.wav", 0.1 * np.ones(16_000), 16_000)
    with pytest.raises(UserError) as caught:
        acquire("mine", FilesSource(**pinned(source)))
    head, first, second = str(caught.value).split("\n")
    assert head.startswith("2 of 5 audio files cannot be used; `invalid: drop`")
    assert "audio/1.wav: cut short" in first and first.endswith("(questions 'q1', 'q5')")
    assert "audio/3.wav: cannot be decoded" in second and second.endswith("(question 'q3')")
    assert not Path("data/sources").exists()


def test_a_source_of_which_nothing_is_left_is_refused(workspace):
    source = broken_source(workspace, invalid="drop")
    for n in (0, 4):
        Path(f"mine/audio/{n}.wav").write_bytes(b"no audio")
    with pytest.raises(UserError, match="5 of 5 audio files cannot be used"):
        acquire("mine", FilesSource(**pinned(source)))
    assert not Path("data/sources").exists()


def test_what_is_odd_about_a_clip_is_told_with_its_questions(workspace, capsys):
    source = write_source(workspace / "mine", [row("q1", "audio/0.wav"), row("q2", "audio/0.wav")])
    edit_audio(source)
    acquire("mine", FilesSource(**pinned(source)))
    told = capsys.readouterr().err
    assert f"warning: {source['audio']}/audio/0.wav: holds silence only (questions 'q1', 'q2')" in told


@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_a_name_is_found_in_any_unicode_form_in_folders_too(workspace, asked, on_disk):
    path = "tónicas/café 猫 한글.wav"
    source = write_source(workspace / "mine", [row("q1", unicodedata.normalize(asked, path))])
    file = workspace / "mine" / unicodedata.normalize(on_disk, path)
    file.parent.mkdir()
    (workspace / "mine/audio/0.wav").rename(file)
    assert acquire("mine", FilesSource(**pinned(source))) == 1
    (flac,) = Path("data/audio").rglob("*.flac")
    assert str(flac) == unicodedata.normalize("NFC", "data/audio/mine/tónicas/café 猫 한글.flac")


def test_two_files_whose_names_differ_in_their_unicode_form_alone_are_refused_and_two_names_of_one_are_not(workspace):
    nfc, nfd = (unicodedata.normalize(form, "audio/é.wav") for form in ("NFC", "NFD"))
    source = write_source(workspace / "mine", [row("q1", nfc), row("q2", nfd)], (440, 880))
    Path("mine/audio/0.wav").rename(f"mine/{nfc}")
    assert acquire("mine", FilesSource(**pinned(source))) == 2
    assert len(list(Path("data/audio").rglob("*.flac"))) == 1
    Path("mine/audio/1.wav").rename(f"mine/{nfd}")
    with pytest.raises(UserError, match="would both become"):
        acquire("mine", FilesSource(**pinned(source)))


def test_names_as_long_as_a_disk_takes_are_read_and_told_apart(workspace):
    names = ["x" * 250 + "1.wav", "x" * 250 + "2.wav", "猫" * 83 + "ab.wav", "z" * 246 + ".w", ".wav"]
    source = write_source(workspace / "mine", [row(n, f"audio/{n}") for n in names], (400, 500, 600, 700, 800))
    for index, name in enumerate(names):
        Path(f"mine/audio/{index}.wav").rename(f"mine/audio/{name}")
    write_params({"mine": pinned(source)})
    acquire("mine", FilesSource(**pinned(source)))
    splits, _ = gather_all()
    assert len({q.audio.sha256 for q in splits["test"]}) == len({q.audio.path for q in splits["test"]}) == len(names)


@pytest.mark.parametrize("path", ["y" * 300 + ".wav", "y/" * 3000 + "a.wav", ".", "audio", "0.wav/a.wav"])
def test_a_name_that_no_file_can_have_is_told(workspace, path):
    refuse(write_source(workspace / "mine", [row("q1", path)]), "(no such audio file|name too long).*'q1'")


# ── files: pinned by content ─────────────────────────────────────────────────────────────────────


def edit_question(source):
    Path(source["questions"]).write_text(json.dumps([row("q1", "audio/0.wav", answer="rain")]), encoding="utf-8")


def edit_audio(source):
    sf.write(Path(source["audio"]) / "audio/0.wav", np.zeros(44_100), 44_100)


@pytest.mark.parametrize("edit", [edit_question, edit_audio])
def test_an_edited_source_is_refused_with_its_new_hash_until_that_is_set(workspace, edit):
    source = pinned(write_source(workspace / "mine", [row("q1", "audio/0.wav")]))
    acquire("mine", FilesSource(**source))
    before = tree(workspace / "data")
    edit(source)
    edited = pinned(source)
    assert edited["sha256"] != source["sha256"]
    with pytest.raises(UserError, match=f"has changed.*set the source's sha256 to {edited['sha256']}"):
        acquire("mine", FilesSource(**source))
    assert tree(workspace / "data") == before
    assert acquire("mine", FilesSource(**edited)) == 1
    assert tree(workspace / "data") != before


def test_what_no_question_names_and_where_the_folder_lies_do_not_count(workspace):
    source = pinned(write_source(workspace / "mine", [row("q1", "audio/0.wav")], (440, 880)))
    Path("mine/audio/1.wav").unlink()
    Path("mine").rename("moved")
    moved = {**source, "questions": "moved/questions.json", "audio": "moved"}
    assert pinned(moved) == moved and acquire("mine", FilesSource(**moved)) == 1


def test_audio_that_changes_places_is_another_source(workspace):
    rows = [row("q1", "audio/0.wav"), row("q2", "audio/1.wav")]
    source = pinned(write_source(workspace / "mine", rows, (440, 880)))
    for old, new in (("0", "2"), ("1", "0"), ("2", "1")):
        Path(f"mine/audio/{old}.wav").rename(f"mine/audio/{new}.wav")
    assert pinned(source) != source


def test_a_source_that_was_never_pinned_is_refused_with_its_hash(workspace):
    source = write_source(workspace / "mine", [row("q1", "audio/0.wav")])
    refuse(source, f"never set.*set the source's sha256 to {pinned(source)['sha256']}")


def test_the_fingerprint_is_printed_and_nothing_is_written(workspace):
    source = write_source(workspace / "mine", [row("q1", "audio/0.wav")])
    write_params({"mine": source, "mini": MINI})
    done = run("stages.acquire", "--source", "mine", "--fingerprint")
    assert done.returncode == 0 and done.stdout == f"{pinned(source)['sha256']}\n"
    assert not Path("data").exists()
    done = run("stages.acquire", "--source", "mini", "--fingerprint")
    assert done.returncode == 2 and "loader mini" in done.stderr and not Path("data").exists()


PROFILE = """\
# Why there is this profile.
data:
  sources:
    mine:
      loader: files   # questions of one's own
      sha256: ''   # set by a command
      split: test
model: {kind: hub}   # as it is
"""


def test_a_fingerprint_is_written_where_the_source_is_declared_and_composed(workspace):
    source = write_source(workspace / "own", [row("a", "audio/0.wav")])
    write_params({"mine": source})
    profile = Path("conf/profile/mini.yaml")
    profile.parent.mkdir(parents=True)
    profile.write_text(PROFILE)
    done = run("stages.acquire", "--source", "mine", "--fingerprint", "--write")
    value = pinned(source)["sha256"]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{value}\n", "")
    assert profile.read_text() == PROFILE.replace("''", f'"{value}"'), "comments and all else stay"
    assert load_params(Project, "data").data.sources["mine"].sha256 == value
    assert run("stages.acquire", "--source", "mine").returncode == 0


def test_a_fingerprint_of_a_source_that_no_profile_declares_is_warned_of(workspace):
    source = write_source(workspace / "own", [row("a", "audio/0.wav")])
    write_params({"mine": source})
    done = run("stages.acquire", "--source", "mine", "--fingerprint", "--write")
    assert done.returncode == 0 and "conf/profile/mini.yaml does not declare data.sources.mine" in done.stderr
    assert load_params(Project, "data").data.sources["mine"].sha256 == pinned(source)["sha256"]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a:\n  c: 1  # one\n", 'a:\n  b: "x"\n  c: 1  # one\n'),
        ("a: {c: 1, b: old}  # in braces\n", 'a: {c: 1, b: "x"}  # in braces\n'),
        ("a:\n  'b': >-\n    long\n    text\nz: 1\n", "a:\n  'b': \"x\"z: 1\n"),
        ("z: 1\n", None),
    ],
)
def test_one_value_of_a_yaml_file_is_replaced_or_all_is_left(tmp_path, text, changed):
    path = tmp_path / "f.yaml"
    path.write_text(text)
    if changed and "z" in changed:
        with pytest.raises(UserError):
            write_text_value(path, ["a", "b"], "x")
        assert path.read_text() == text
    else:
        assert write_text_value(path, ["a", "b"], "x") is (changed is not None)
        assert path.read_text() == (changed or text)


@pytest.mark.parametrize("value", ["abc", "G" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_hash_that_is_none_is_refused(workspace, value):
    write_params({"mine": {**write_source(workspace / "mine", [row("q1", "audio/0.wav")]), "sha256": value}})
    with pytest.raises(UserError, match=r"data\.sources\.mine\.sha256"):
        load_project()


def of_sources(problems):
    return [problem for problem in problems if problem.startswith("data.sources.")]


def test_the_check_before_a_run_names_every_source_that_changed_or_vanished(workspace):
    """As far as questions go: this folder has no prompts and no dvc.yaml, which the check finds as well."""
    names = ("kept", "edited", "silent", "gone")
    sources = {name: pinned(write_source(workspace / name, [row("q1", "audio/0.wav")])) for name in names}
    write_params({**sources, "mini": MINI})
    assert of_sources(check.problems()) == []
    edit_question(sources["edited"])
    edit_audio(sources["silent"])
    Path("gone/audio/0.wav").unlink()
    edited, silent, gone = of_sources(check.problems())
    for name, problem in (("edited", edited), ("silent", silent)):
        assert problem.startswith(f"data.sources.{name}: ") and pinned(sources[name])["sha256"] in problem
    assert gone.startswith("data.sources.gone: ") and "audio/0.wav: no such audio file" in gone
    Path("gone/questions.json").unlink()
    assert "gone/questions.json: no such file" in of_sources(check.problems())[2]


@pytest.mark.parametrize(("name", "hint"), [("mimi", 'did you mean "mini"?'), ("mini.seed", "one of mini")])
def test_an_unknown_source_is_answered_with_the_valid_names(workspace, name, hint):
    write_params({"mini": MINI})
    done = run("stages.acquire", "--source", name)
    assert done.returncode == 2 and hint in done.stderr and "Traceback" not in done.stderr


# ── questions: sources together ──────────────────────────────────────────────────────────────────


def two_sources(workspace, second_rows, tones=(440, 660)):
    """Source a (train) has one question about a 440 Hz tone; source b (test) is given."""
    a = pinned({**write_source(workspace / "a", [row("vid_00-00-00_00-00-01", "audio/0.wav")]), "split": "train"})
    b = pinned(write_source(workspace / "b", second_rows, tones))
    write_params({"a": a, "b": b})
    acquire("a", FilesSource(**a))
    acquire("b", FilesSource(**b))


def test_a_video_in_two_splits_is_refused(workspace):
    two_sources(workspace, [row("vid_00-00-05_00-00-06", "audio/1.wav")])
    with pytest.raises(UserError, match=r"group vid is in two splits: .*\(train, source a\) .*\(test, source b\)"):
        gather_all()


def test_the_same_audio_in_two_splits_is_refused_whatever_its_name(workspace):
    two_sources(workspace, [row("other", "audio/0.wav")])
    with pytest.raises(UserError, match=r"audio [0-9a-f]{64} is in two splits"):
        gather_all()


def test_an_id_in_two_sources_is_refused(workspace):
    two_sources(workspace, [row("vid_00-00-00_00-00-01", "audio/1.wav")])
    with pytest.raises(UserError, match="is in the sources a and b"):
        gather_all()


def test_one_label_in_two_spellings_is_refused_across_sources(workspace):
    two_sources(workspace, [row("b", "audio/1.wav", modality="Sound")])
    with pytest.raises(UserError, match=r"the source b \(id 'b'\): the modality 'Sound' is 'sound' in the source "):
        gather_all()


def test_sources_that_share_nothing_are_joined(workspace):
    two_sources(workspace, [row("other", "audio/1.wav")])
    splits, _ = gather_all()
    assert [len(splits[split]) for split in ("train", "dev", "test")] == [1, 0, 1]


def test_only_the_sources_that_params_name_are_read(workspace):
    two_sources(workspace, [row("other", "audio/1.wav")])
    params = yaml.safe_load(Path("params.yaml").read_text())
    write_params({"b": params["data"]["sources"]["b"]})
    splits, _ = gather_all()
    assert [q.source for split in splits.values() for q in split] == ["b"]


def test_a_source_that_was_not_acquired_is_named(workspace):
    write_params({"mini": MINI})
    done = run("stages.questions")
    assert done.returncode == 2 and "data/sources/mini/questions.jsonl: no such file" in done.stderr


def test_a_clip_that_vanished_is_named(workspace):
    two_sources(workspace, [row("other", "audio/1.wav")])
    Path("data/audio/b/audio/1.flac").unlink()
    with pytest.raises(UserError, match=r"b/audio/1\.flac: no such audio file; run the stage acquire again"):
        gather_all()


# ── hub: a real HTTP server that speaks the part of the hub's protocol that downloads use ────────


@pytest.fixture
def hub():
    files: dict[str, bytes] = {}
    with serve_hub(f"/datasets/lab/set/resolve/{COMMIT}/", files) as (seen, endpoint):
        yield files, seen, endpoint


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def wav(hz=440):
    buffer = io.BytesIO()
    sf.write(buffer, 0.3 * np.sin(2 * np.pi * hz * np.arange(22_050) / 22_050), 22_050, format="WAV")
    return buffer.getvalue()


HUB = {
    "loader": "hub",
    "repo": "lab/set",
    "revision": COMMIT,
    "questions": "meta.json",
    "archive": "audio.tar.gz",
    "split": "test",
    "invalid": "stop",
}


def acquire_from(endpoint, workspace, source=HUB, **environment):
    write_params({"lab": source})
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(workspace / "hf"), "HF_TOKEN": "hf_secret"} | environment
    return run("stages.acquire", "--source", "lab", **environment)


def test_a_hub_dataset_is_downloaded_with_the_token_unpacked_and_transcoded(workspace, hub):
    files, seen, endpoint = hub
    rows = [row("v_00-00-00_00-00-01", "./audio/0.wav", choices=["a tone", "rain", ""], rubric=[{"name": "kept"}])]
    files["meta.json"] = json.dumps(rows).encode()
    files["audio.tar.gz"] = archive({"audio/0.wav": wav(), "audio/unused.wav": wav(660)})
    done = acquire_from(endpoint, workspace)
    assert done.returncode == 0, done.stderr
    assert {token for _, path, token in seen if "/resolve/" in path} == {"Bearer hf_secret"}
    assert [p.name for p in Path("data/audio/lab").rglob("*.flac")] == ["0.flac"]
    assert [p.name for p in Path("data/audio").iterdir()] == ["lab"]
    kept = json.loads(Path("data/sources/lab/questions.jsonl").read_text())
    assert kept["rubric"] == [{"name": "kept"}] and kept["choices"] == ["a tone", "rain", ""]
    splits, dropped = gather_all()
    assert splits["test"][0].group == "v" and splits["test"][0].choices == ("a tone", "rain")
    assert [(d["source"], d["id"], d["what"]) for d in dropped] == [("lab", "v_00-00-00_00-00-01", "a blank choice")]


@pytest.mark.parametrize("invalid", ["stop", "drop"])
def test_a_clip_of_a_hub_dataset_that_cannot_be_read_stops_or_is_dropped_and_recorded(workspace, hub, invalid):
    files, _, endpoint = hub
    rows = [row(f"q{n}", f"./audio/{n}.wav") for n in range(3)]
    files["meta.json"] = json.dumps(rows).encode()
    unused = "audio/" + "x" * 300 + ".wav"
    files["audio.tar.gz"] = archive({"audio/0.wav": wav(), "audio/1.wav": wav()[:999], unused: b""})
    done = acquire_from(endpoint, workspace, {**HUB, "invalid": invalid})
    if invalid == "stop":
        assert done.returncode == 2 and "error: 2 of 3 audio files cannot be used" in done.stderr
        assert "audio.tar.gz/audio/1.wav: cut short" in done.stderr and "(question 'q2')" in done.stderr
        assert not Path("data/sources").exists()
    else:
        assert (
            done.returncode == 0 and "1 questions; 2 left out, and why: data/sources/lab/dropped.jsonl" in done.stdout
        )
        dropped = [json.loads(line) for line in Path("data/sources/lab/dropped.jsonl").read_text().splitlines()]
        assert [(entry["id"], entry["why"].partition(" ")[0]) for entry in dropped] == [
            ("q1", "audio/1.wav:"),
            ("q2", "audio/2.wav:"),
        ]
        assert ".extracted" not in json.dumps(dropped)


def test_metadata_from_elsewhere_is_pinned_and_read_beside_the_hubs_audio(workspace, hub):
    files, _, endpoint = hub
    files["meta.json"] = json.dumps([row("a", "audio/0.wav", answer="none of them")]).encode()
    files["audio.tar.gz"] = archive({"audio/0.wav": wav()})
    Path("corrected.jsonl").write_text(json.dumps(row("a", "audio/0.wav")) + "\n")
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(workspace / "hf")}
    write_params({"lab": {**HUB, "questions_file": "corrected.jsonl"}})
    done = run("stages.acquire", "--source", "lab", **environment)
    assert done.returncode == 2 and "corrected.jsonl: this source's questions_sha256 was never set" in done.stderr
    assert run("stages.acquire", "--source", "lab", "--fingerprint", "--write").returncode == 0
    done = run("stages.acquire", "--source", "lab", **environment)
    assert done.returncode == 0, done.stderr
    splits, dropped = gather_all()
    assert [question.id for question in splits["test"]] == ["a"] and dropped == []


def test_a_dropped_question_is_named_as_soon_as_it_is_dropped(workspace):
    rows = [row("a", "audio/0.wav"), row("b", "audio/0.wav", answer="none of them")]
    source = pinned({**write_source(workspace / "own", rows), "invalid": "drop"})
    write_params({"mine": source})
    assert run("stages.acquire", "--source", "mine").returncode == 0
    done = run("stages.questions")
    assert done.returncode == 0 and "warning: 1 test questions are invalid, and dropped: b" in done.stderr
    assert dropped_ids(QUESTIONS) == ["b"] and dropped_ids(QUESTIONS, "train") == []


def test_a_file_that_the_hub_does_not_have_is_named(workspace, hub):
    files, _, endpoint = hub
    files["meta.json"] = json.dumps([row("q", "audio/0.wav")]).encode()
    done = acquire_from(endpoint, workspace)
    assert done.returncode == 2 and f"lab/set@{COMMIT}: audio.tar.gz: cannot be had" in done.stderr
    assert "Traceback" not in done.stderr and not Path("data/sources").exists()


def test_a_hub_that_cannot_be_reached_is_told_in_one_message(workspace):
    done = acquire_from("http://127.0.0.1:9", workspace, HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and "cannot be had from the hub" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["../evil.wav", "/tmp/evil.wav", "audio/../../evil.wav"])
def test_an_archive_member_that_climbs_out_is_refused(tmp_path, name):
    (tmp_path / "a.tar.gz").write_bytes(archive({"audio/0.wav": b"x", name: b"evil"}))
    folder = tmp_path / "in/here"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match=r"a\.tar\.gz: refused, it holds an unsafe member"):
        extract(tmp_path / "a.tar.gz", folder)
    assert not list(tmp_path.glob("**/evil.wav"))
    assert not Path("/tmp/evil.wav").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_member_that_is_a_link_or_a_device_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("audio/0.wav")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UserError, match="unsafe member"):
        extract(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../evil.wav", "/tmp/evil.wav", "audio/../../evil.wav", "a link"])
def test_a_zip_member_that_climbs_out_or_is_a_link_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = ((stat.S_IFLNK if name == "a link" else stat.S_IFREG) | 0o644) << 16
        file.writestr(info, "/etc/passwd")
    (tmp_path / "in/here").mkdir(parents=True)
    with pytest.raises(UserError, match=r"a\.zip: refused, it holds an unsafe member"):
        extract(tmp_path / "a.zip", tmp_path / "in/here")
    assert not list(tmp_path.rglob("evil.wav")) and not Path("/tmp/evil.wav").exists()
    assert not list((tmp_path / "in/here").iterdir())


@pytest.mark.parametrize("spoil", ["cut short", "a byte of a member changed"])
def test_a_zip_that_is_broken_is_named(tmp_path, spoil):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("0.wav", b"x" * 9999)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[5000] ^= 1
    (tmp_path / "a.zip").write_bytes(data[:9000] if spoil == "cut short" else data)
    with pytest.raises(UserError, match=r"a\.zip: cannot be unpacked .*; delete it"):
        extract(tmp_path / "a.zip", tmp_path / "out")


def test_an_archive_that_does_not_fit_on_the_disk_is_told_with_what_is_free(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(archive({"audio/0.wav": bytes(3 << 20)}))
    with small_disk(tmp_path / "disk", "1m") as disk, pytest.raises(NoRoomError, match=r"disk is full .* free in /"):
        extract(tmp_path / "a.tar.gz", disk)


@pytest.mark.parametrize(
    "content", [b"not an archive" * 100, archive({"audio/0.wav": b"x" * 9999})[:-40]], ids=["no archive", "cut short"]
)
def test_an_archive_that_is_broken_is_named(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.tar\.gz: cannot be unpacked"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out")
