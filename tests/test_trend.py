"""A run's accuracy over the commits of a real, small repository with Git, DVC and its cache."""

import json
import shutil
import sys

import pytest
import yaml

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import to_dict
from audio_reasoning.metrics.stats import wilson
from tests.test_diff import N, command, commit, question, write_answers

ANSWERS = "data/answers/base/baseline.jsonl"
QUESTIONS = "data/questions/test.jsonl"
COPY = "import shutil; shutil.copytree('made', '.', dirs_exist_ok=True)"


def write_metrics(folder, right, path="metrics/scores/base/baseline.json", detail=True):
    accuracy = round(right / N, 4)
    low, high = wilson(right, N)
    groups = [
        {"by": by, "name": "S", "n": N, "acc_strict": accuracy, "low": low, "high": high} for by in ("all", "category")
    ]
    content = {"acc_strict": accuracy, "n": N, "category": {"s": accuracy}}
    write_json(folder / path, {**content, **({"detail": groups} if detail else {})})


def trend(folder, *arguments, check=True):
    return command(folder, sys.executable, "-m", "cli", "trend", *arguments, check=check)


def points(folder, *arguments):
    return json.loads(trend(folder, "--run", "baseline", "--by", "category", "--format", "json", *arguments).stdout)[
        "points"
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Five commits: an older layout, the first answers, better ones, a README alone, and other questions."""
    folder = tmp_path_factory.mktemp("trend")
    command(folder, "git", "init", "-q")
    command(folder, "dvc", "init", "--quiet")
    stage = {"cmd": f'python -c "{COPY}"', "deps": ["made"], "outs": [QUESTIONS, ANSWERS]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}}))
    (folder / "params.yaml").write_text("profile: mini\n")
    write_jsonl(folder / "made" / QUESTIONS, (to_dict(question(i)) for i in range(N)))
    write_answers(folder, "baseline", set(range(20)))
    write_metrics(folder, 20, "metrics/prompts/baseline.json", detail=False)
    commit(folder, "Older layout")
    (folder / "metrics/prompts/baseline.json").unlink()
    write_answers(folder, "baseline", set(range(30)))
    write_metrics(folder, 30)
    commit(folder, "First")
    write_answers(folder, "baseline", set(range(45)))
    write_metrics(folder, 45)
    commit(folder, "Second | with a bar")
    (folder / "README.md").write_text("words\n")
    commit(folder, "No metrics")
    write_jsonl(folder / "made" / QUESTIONS, (to_dict(question(i)) for i in range(N - 1)))
    write_metrics(folder, 50)
    commit(folder, "Other questions")
    return folder


@pytest.fixture
def repository(made, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(made, folder, symlinks=True)
    return folder


def test_commits_that_changed_the_metrics_are_set_against_the_one_before(made):
    older, first, second, other = points(made)
    assert [point["groups"]["all"]["acc"] for point in (older, first, second, other)] == [0.3333, 0.5, 0.75, 0.8333]
    assert list(older["groups"]) == ["all"], "it told no groups"
    assert second["groups"]["S"]["n"] == N
    low, high = (round(end, 3) for end in wilson(30, N))
    assert (round(first["groups"]["all"]["low"], 3), round(first["groups"]["all"]["high"], 3)) == (low, high)
    assert second["change"]["paired"] and second["change"]["difference"] == 0.25
    assert 0.1 < second["change"]["low"] < 0.25 < second["change"]["high"] < 0.4
    assert other["change"] is None and other["note"] == "other test questions"


def test_without_the_answers_a_difference_is_of_two_accuracies_and_wider(made, repository):
    paired = points(made)[2]["change"]
    shutil.rmtree(repository / ".dvc/cache")
    change = points(repository)[2]["change"]
    assert not change["paired"] and change["difference"] == 0.25
    assert change["high"] - change["low"] > paired["high"] - paired["low"]


def test_what_is_not_committed_is_the_workspace_and_another_profile_is_not_compared(repository):
    write_metrics(repository, 10)
    (repository / "params.yaml").write_text("profile: a100\n")
    last = points(repository, "--last", "2")[-1]
    assert (last["revision"], last["groups"]["all"]["acc"]) == ("workspace", 0.1667)
    assert (last["change"], last["note"]) == (None, "profile a100, before mini")


def test_experiments_are_set_against_their_commit(repository):
    write_metrics(repository, 55)
    command(repository, "dvc", "exp", "save", "--name", "hotter")
    command(repository, "git", "checkout", "-q", "metrics")
    write_metrics(repository, 40)
    command(repository, "dvc", "exp", "save", "--name", "colder")
    base, hotter, colder = points(repository, "--experiments")
    assert base["subject"] == "Other questions" and base["change"] is None
    assert (hotter["revision"], round(hotter["change"]["difference"], 4)) == ("hotter", 0.0834)
    assert (colder["revision"], round(colder["change"]["difference"], 4)) == ("colder", -0.1666)


def test_a_shallow_clone_says_so(made, tmp_path):
    command(tmp_path, "git", "clone", "-q", "--depth", "1", made.as_uri(), "clone")
    shown = trend(tmp_path / "clone", "--run", "baseline").stdout
    assert "a shallow clone" in shown and "Other questions" in shown and "Older layout" not in shown


def test_tables_and_pictures(made, tmp_path):
    for suffix, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        out = tmp_path / f"t.{suffix}"
        trend(made, "--run", "baseline", "--by", "category", "--out", str(out))
        assert out.read_bytes().lstrip().startswith(start)
    shown = trend(made, "--run", "baseline", "--format", "md").stdout
    assert r"Second \| with a bar" in shown and "| paired |" in shown
    text = trend(made, "--run", "baseline", "--by", "category").stdout
    assert "mini figures" in text and "other test questions" in text and "▅▇▇" in text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--run", "absent"], "no commit holds metrics of absent"),
        (["--run", "baseline", "--experiments"], "no experiment here"),
        (["--run", "a b"], "names no run"),
        (["--out", "trend.pdf"], "must end in .svg or .png"),
        ([], "no commit holds metrics of a headline"),
    ],
)
def test_mistakes_are_one_message(made, arguments, why):
    done = trend(made, *arguments, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and why in done.stderr


def test_a_repository_without_commits(tmp_path):
    command(tmp_path, "git", "init", "-q")
    command(tmp_path, "dvc", "init", "--quiet")
    done = trend(tmp_path, check=False)
    assert done.returncode == 2 and "no history to read" in done.stderr


def test_a_file_with_a_merges_conflicts_is_left_out_and_told(repository):
    (repository / "metrics/scores/base/baseline.json").write_text("<<<<<<< ours\n")
    commit(repository, "A merge gone wrong")
    shown = trend(repository, "--run", "baseline").stdout
    assert "left out: " in shown and "A merge gone wrong" not in shown and "Other questions" in shown
