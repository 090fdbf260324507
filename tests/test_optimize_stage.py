"""The stage that searches for a prompt: what it writes, what it refuses, and that a kill costs nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.files import write_jsonl
from audio_reasoning.core.records import to_dict
from audio_reasoning.prompts.registry import load_prompt
from stages import optimize_prompt, optimize_table
from tests.pipeline import cached_answers
from tests.simulated_engine import question, write_clips

ROOT = Path(__file__).parent.parent
WRITTEN = ("prompts/{}.yaml", "metrics/optimize/{}.json")
TRAIN, DEV, TEST = ([question(number, split) for number in range(120)] for split in ("train", "dev", "test"))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which a simulated engine answers, with one search for each optimiser."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts", symlinks=True)
    (tmp_path / "models/base").mkdir(parents=True)
    for name, questions in (("train", TRAIN), ("dev", DEV), ("test", TEST)):
        write_jsonl(tmp_path / f"data/questions/{name}.jsonl", map(to_dict, questions))
    write_clips([*TRAIN, *DEV], tmp_path / "data/audio")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["infer"] |= {"backend": "tests.simulated_engine:open_engine", "max_error_rate": 0.0}
    small = {"train": 20, "validation": 40, "heldout": 60, "budget": 400, "candidates": 6}
    for name, minibatch in (("mipro", 10), ("gepa", 5)):
        params["optimize"][name] |= {**small, "minibatch": minibatch, "start": "baseline"}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return tmp_path


def change(name: str, **changes) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["optimize"][name] = {**params["optimize"]["mipro"], **changes}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture
def run(workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable:
    def run(name: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["stage", "--name", name])
        try:
            optimize_prompt.main()
        except SystemExit as ended:
            return int(ended.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().out

    return run


def written(root: Path, name: str) -> dict[str, bytes]:
    return {path: (root / path.format(name)).read_bytes() for path in WRITTEN}


@pytest.mark.parametrize("name", ["mipro", "gepa"])
def test_a_search_writes_a_prompt_like_any_other_and_its_figures(run, workplace: Path, name: str) -> None:
    status, out = run(name)
    assert status == 0 and f"{name}: a better system text than baseline's" in out
    assert "Average Metric" not in out and "Bootstrap" not in out
    prompt = load_prompt(name, workplace / "prompts")
    assert prompt.provenance and prompt.provenance.validation.optimistic
    result = json.loads((workplace / f"metrics/optimize/{name}.json").read_text())
    assert result["candidates"][result["chosen"]]["instruction"] == prompt.system.strip()
    assert result["heldout"]["n"] == 60 and result["usage"]["answers"] <= 400 + 50  # GEPA ends the round it is in
    first = written(workplace, name)
    assert run(name)[0] == 0 and written(workplace, name) == first


def test_the_curves_of_all_searches_are_one_table(run, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mipro", "gepa"):
        assert run(name)[0] == 0
    monkeypatch.setattr("sys.argv", ["stage"])
    optimize_table.main()
    rows = json.loads(Path("metrics/optimize_curve.json").read_text())
    assert [*dict.fromkeys(row["name"] for row in rows)] == ["mipro", "gepa"]
    for name in ("mipro", "gepa"):
        best = [row["best"] for row in rows if row["name"] == name]
        assert best == sorted(best) and best[-1] > best[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "basline"}, 'basline.yaml: no such prompt; did you mean "baseline"?'),
        ({"validation": 110, "budget": 900}, "of 120 dev questions 110 and then 10 can be had"),
        ({"train": 130, "budget": 900}, "there are 120 train questions"),
        ({"budget": 0}, "optimize.found: a budget of 0 answers does not suffice"),
        ({"minibatch": 50}, "optimize.found: validation 40 is smaller than one minibatch of 50"),
        (
            {"proposer": {"kind": "endpoint", "model": "m", "temperature": 1.0, "max_tokens": 9}},
            "optimize.found.proposer.kind is endpoint: set AUDIO_REASONING_PROPOSER_URL in the environment",
        ),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_asked(
    run, workplace: Path, monkeypatch: pytest.MonkeyPatch, changes: dict, message: str
) -> None:
    monkeypatch.delenv("AUDIO_REASONING_PROPOSER_URL", raising=False)
    change("found", **changes)
    status, err = run("found")
    assert status == 2 and message in err
    assert not (workplace / "prompts/found.yaml").exists() and not (workplace / "metrics").exists()


def test_a_prompt_that_a_person_wrote_is_never_overwritten(run, workplace: Path) -> None:
    before = (workplace / "prompts/expert_analyst.yaml").read_bytes()
    change("expert_analyst")
    status, err = run("expert_analyst")
    assert status == 2 and "was written by hand" in err
    assert (workplace / "prompts/expert_analyst.yaml").read_bytes() == before
    change("v9")  # another name of such a prompt
    assert run("v9")[0] == 2
    change("baseline")
    assert run("baseline")[0] == 2


def test_test_questions_among_the_train_questions_are_refused(run, workplace: Path) -> None:
    write_jsonl(workplace / "data/questions/train.jsonl", map(to_dict, [*TRAIN, TEST[4]]))
    status, err = run("mipro")
    assert status == 2 and "test4: this train question has the id of the test question test4" in err


def test_a_clip_that_is_not_there_is_named(run, workplace: Path) -> None:
    (workplace / "data/audio" / DEV[7].audio.path).unlink()
    change("found", validation=40, heldout=80)
    status, err = run("found")
    assert status == 2 and "the clip of dev7 is missing" in err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mipro", "gepa"])
def test_a_search_that_is_killed_goes_on_to_the_same_bytes(run, workplace: Path, name: str) -> None:
    assert run(name)[0] == 0
    whole = written(workplace, name)
    shutil.rmtree(workplace / ".cache")
    for path in WRITTEN:
        (workplace / path.format(name)).unlink()
    command = [sys.executable, "-m", "stages.optimize_prompt", "--name", name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIMULATED_DELAY_S": "0.01", "PYTHONHASHSEED": "7"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while cached_answers(workplace / ".cache/responses.sqlite") < 150 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (workplace / f"prompts/{name}.yaml").exists()
    subprocess.run(command, env={**environment, "SIMULATED_DELAY_S": "0"}, check=True)
    assert written(workplace, name) == whole
