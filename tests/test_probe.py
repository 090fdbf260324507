"""The text-only probe: what it finds in questions, and what the stage says of them."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.files import write_jsonl
from audio_reasoning.core.records import Audio, Question, to_dict
from audio_reasoning.metrics.leaks import judged, probe
from audio_reasoning.tasks.probe_params import Probe
from stages.probe import run

ROOT = Path(__file__).parent.parent
PARAMS = Probe(folds=5, least=100, resamples=500, seed=0)
SOUNDS = ["rain", "wind", "a dog", "a door", "a kettle", "two people talking", "a car", "footsteps on gravel"]


def questions(n, leak=None, source="mine", clips=None):
    """Questions with a random answer; `leak` puts it where no ear is needed in every other one."""
    rng = random.Random(f"{n} {leak} {source}")
    made = []
    for index in range(n):
        choices = rng.sample(SOUNDS, 4)
        answer = rng.randrange(4)
        if index % 2 and leak == "place":
            answer = 2
        if index % 2 and leak == "longest":
            choices[answer] = f"{choices[answer]} that is heard twice, once near and once far away {index}"
        clip = f"{source} {index % (clips or n)}"
        audio = Audio(f"{clip}.flac", clip, 1.0)
        made.append(
            Question(f"{source}{index}", audio, f"What is heard in scene {index}?", tuple(choices), answer,
                     "Perception Layer", f"kind {index % 3}", "sound", None, source, clip)
        )  # fmt: skip
    return made


@pytest.mark.parametrize("leak", ["place", "longest"])
def test_a_leak_is_found_and_its_size_lies_in_the_interval(leak):
    [row] = judged([probe("mine", "test", questions(400, leak), PARAMS)])
    assert row.verdict == "leaks" and "gives the answer away by" in row.verdict_text
    assert row.chance == 0.25 and row.low <= row.excess <= row.high
    assert row.low < 0.375 < row.high + 0.1, "half of the questions give away three quarters"


def test_questions_without_a_leak_are_at_chance():
    rows = judged([probe("mine", str(n), questions(n), PARAMS) for n in (200, 400, 600)])
    assert [row.verdict for row in rows] == ["at chance"] * 3


def test_answers_of_a_clip_are_not_learnt_from_the_same_clip():
    """Each clip's answer is a word of its own: known from the clip's other questions alone, which a fold keeps away."""
    made = []
    for question in questions(400, clips=100):
        choices = list(question.choices)
        choices[question.answer] = f"sound-{question.group.split()[1]}"
        others = [f"sound-{other}" for other in random.Random(question.id).sample(range(100), 3)]
        if choices[question.answer] in others:
            continue
        filled = [choices[i] if i == question.answer else others.pop() for i in range(4)]
        made.append(Question(**{**question.__dict__, "choices": tuple(filled)}))
    [row] = judged([probe("mine", "test", made, PARAMS)])
    assert row.verdict == "at chance"


def test_few_questions_or_clips_tell_nothing():
    rows = judged([probe("a", "test", questions(99), PARAMS), probe("b", "test", questions(120, clips=4), PARAMS)])
    assert [row.verdict for row in rows] == ["too few", "too few"]
    assert rows[0].accuracy is None and "99 questions" in rows[0].verdict_text and "4 clips" in rows[1].verdict_text


def write_questions(folder, splits):
    for split in ("train", "dev", "test"):
        write_jsonl(folder / f"{split}.jsonl", (to_dict(question) for question in splits.get(split, [])))


def test_every_source_and_split_has_a_row_and_all_together_the_last(tmp_path):
    sound, leaky = questions(260, source="sound"), questions(200, "place", source="leaky")
    write_questions(tmp_path, {"train": sound[:130], "test": [*sound[130:], *leaky]})
    run(PARAMS, tmp_path, tmp_path / "probe.json")
    written = json.loads((tmp_path / "probe.json").read_text())
    parts = {(row["source"], row["split"]): row["verdict"] for row in written["rows"]}
    assert list(parts) == [("leaky", "test"), ("sound", "train"), ("sound", "test"), ("sound", "all"), ("all", "all")]
    assert parts["leaky", "test"] == "leaks" and parts["sound", "all"] == "at chance"
    assert written["n"] == 460
    first = (tmp_path / "probe.json").read_bytes()
    run(PARAMS, tmp_path, tmp_path / "probe.json")
    assert (tmp_path / "probe.json").read_bytes() == first


def test_the_stage_writes_and_shows_a_table(tmp_path):
    write_questions(tmp_path / "data/questions", {"test": questions(120)})
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    shown = [
        subprocess.run(
            [sys.executable, "-m", *args], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout
        for args in (["stages.probe"], ["cli", "show", "probe"])
    ]
    assert shown[0].strip() == shown[1].strip() and "mine" in shown[0] and "by chance" in shown[0]
