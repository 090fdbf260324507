"""What changed between two revisions, in a small repository with Git, DVC and its cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict

ROOT = Path(__file__).parents[1]
N = 60
COPY = "import shutil; shutil.copytree('made', '.', dirs_exist_ok=True)"
OUTS = ["data/questions/test.jsonl", *(f"data/answers/base/{name}.jsonl" for name in ("baseline", "better"))]


def question(i):
    audio = Audio(f"mini/q{i}.flac", "0" * 64, 1.0)
    return Question(f"q{i}", audio, "?", ("a cat", "a dog"), 0, "Semantic Layer", "S", "sound", None, "mini", f"g{i}")


def write_answers(folder, name, right):
    rows = [Response(f"q{i}", 0, "ok", "", "", 0 if i in right else 1, "verbatim", "stop", 1, 1) for i in range(N)]
    write_jsonl(folder / f"made/data/answers/base/{name}.jsonl", map(to_dict, rows))


def write_summary(folder, verdict, difference, declared=("better",)):
    rows = [
        {"a": "baseline", "b": b, "difference": difference, "low": difference - 0.05, "high": difference + 0.05}
        for b in declared
    ]
    write_json(folder / "metrics/summary.json", {"contrasts": [{**row, "verdict": verdict} for row in rows]})


def write_metrics(folder, accuracy):
    arms = {"silence": {"acc": accuracy / 2, "audio_gain": accuracy / 2}}
    figures = {"acc_strict": accuracy, "category": {"semantic": accuracy}, "variants": {"baseline": arms}}
    write_json(folder / "metrics/baseline.json", figures)


def command(folder, *words, check=True):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env |= {"PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def diff(folder, *revisions, check=True):
    return command(folder, sys.executable, "-m", "cli", "diff", *revisions, check=check)


def commit(folder, message):
    command(folder, "dvc", "repro", "--quiet")
    command(folder, "git", "add", "-A")
    command(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", message)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two commits: the second has baseline answer 15 more questions, and another temperature."""
    folder = tmp_path_factory.mktemp("diff")
    command(folder, "git", "init", "-q")
    command(folder, "dvc", "init", "--quiet")
    stage = {
        "cmd": f'python -c "{COPY}"', "deps": ["made"], "params": ["temperature"], "outs": OUTS,
        "metrics": [{f"metrics/{name}.json": {"cache": False, "persist": True}} for name in ("summary", "baseline")],
    }  # fmt: skip
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}}))
    (folder / "params.yaml").write_text("temperature: 0.1\ncompare: {margin: 0.02, resamples: 2000}\n")
    write_jsonl(folder / "made/data/questions/test.jsonl", (to_dict(question(i)) for i in range(N)))
    write_answers(folder, "baseline", set(range(30)))
    write_answers(folder, "better", set(range(50)))
    write_summary(folder, "better", 0.3)
    write_metrics(folder, 0.5)
    commit(folder, "First")
    write_answers(folder, "baseline", set(range(45)))
    write_summary(folder, "not distinguishable", 0.08, ("better", "third"))
    write_metrics(folder, 0.75)
    (folder / "params.yaml").write_text("temperature: 0.7\ncompare: {margin: 0.6, resamples: 2000}\n")
    commit(folder, "Second")
    return folder


@pytest.fixture
def repository(made, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(made, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def report(made):
    return diff(made, "HEAD~1", "HEAD").stdout


def test_verdicts_of_both_revisions_stand_side_by_side(report):
    assert "| contrast | Δ at HEAD~1 | verdict | Δ at HEAD | verdict |" in report
    assert (
        "| better against baseline | +30.0 (+25.0 to +35.0) | better | +8.0 (+3.0 to +13.0) | **not distinguishable** |"
    ) in report
    assert "| third against baseline | – | not declared | +8.0" in report


def test_a_run_whose_answers_changed_is_compared_with_itself(report):
    line = next(line for line in report.splitlines() if line.startswith("| baseline | +25.0"))
    assert "| 0 / 15 |" in line and line.endswith("| exploratory |"), "nobody declared it"
    assert "p is Holm-adjusted over the 1 runs whose answers changed. Nobody declared these comparisons" in report
    assert "The same answers at both revisions: better." in report


def test_metrics_and_parameters_are_dvcs_diff(report):
    assert "| metrics/baseline.json | acc_strict | 0.5 | 0.75 | +0.25 |" in report
    whole, folded = report[: report.index("<details>")], report[report.index("<details>") :]
    assert "| metrics/baseline.json | variants.baseline.silence.audio_gain | 0.25 | 0.375 | +0.125 |" in whole
    assert "| metrics/baseline.json | category.semantic | 0.5 | 0.75 | +0.25 |" in folded
    assert "| params.yaml | temperature | 0.1 | 0.7 | +0.6 |" in report


def test_without_arguments_the_workspace_is_compared_with_the_last_commit_but_one(made, report):
    assert diff(made).stdout == report.replace("HEAD", "workspace").replace("workspace~1", "HEAD~1")


def test_what_is_not_committed_counts_in_the_workspace(repository):
    path = repository / "data/answers/base/better.jsonl"
    answers = (repository / "data/answers/base/baseline.jsonl").read_bytes()
    path.unlink()  # it may be a link into the cache
    path.write_bytes(answers)
    text = diff(repository, "HEAD", "workspace").stdout
    assert "| better | -8.3" in text and "The same answers at both revisions: baseline." in text
    assert text.count("No change.") == 2


def test_what_dvc_cannot_read_is_told_instead_of_no_change(repository):
    (repository / "metrics/baseline.json").write_text("{broken")
    text = diff(repository, "HEAD", "workspace").stdout
    metrics = text[text.index("### Metrics") : text.index("### Parameters")]
    assert "could not read 1 files at workspace: metrics/baseline.json (" in metrics
    (repository / "dvc.yaml").write_text("stages: {make: [broken")
    text = diff(repository, "HEAD", "workspace").stdout
    assert text.count("DVC could not read workspace: ") == 2 and "No change." not in text


@pytest.mark.parametrize("file", ["metrics/summary.json", "dvc.lock", "params.yaml"])
def test_a_file_in_conflict_is_told_with_its_revision(repository, file):
    path = repository / file
    text = path.read_text()
    path.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")
    done = diff(repository, "HEAD~1", "workspace", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: workspace: {file}:") and "merge conflict" in done.stderr
    assert "Traceback" not in done.stderr
    command(repository, "git", "add", "-A")
    command(repository, "git", "-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "Conflict")
    done = diff(repository, "HEAD~2", "HEAD", check=False)
    assert done.returncode == 2 and done.stderr.startswith(f"error: HEAD: {file}:")


@pytest.mark.parametrize("text", ["[]", "3", '"a"'])
def test_a_summary_of_another_shape_is_told(repository, text):
    (repository / "metrics/summary.json").write_text(text)
    done = diff(repository, "HEAD", "workspace", check=False)
    assert done.returncode == 2 and "workspace: metrics/summary.json: expected a mapping" in done.stderr


def test_a_run_that_answers_nothing_is_told_apart(repository):
    rows = [Response(f"q{i}", 0, "truncated", "", "", None, "", "length", 1, 1) for i in range(N)]
    path = repository / "data/answers/base/better.jsonl"
    path.unlink()  # it may be a link into the cache
    write_jsonl(path, map(to_dict, rows))
    assert "| no verdict: one of the runs has no answer at all |" in diff(repository, "HEAD", "workspace").stdout


def test_nothing_changed_is_said(made):
    text = diff(made, "HEAD", "HEAD").stdout
    assert "The same answers at both revisions: baseline, better." in text
    assert text.count("No change.") == 2 and "**" not in text


def test_answers_that_are_not_in_the_cache_are_told_and_the_rest_is_shown(repository):
    lock = yaml.safe_load(command(repository, "git", "show", "HEAD~1:dvc.lock").stdout)
    [md5] = [out["md5"] for out in lock["stages"]["make"]["outs"] if out["path"].endswith("baseline.jsonl")]
    (repository / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    text = diff(repository, "HEAD~1", "HEAD").stdout
    assert "Not compared, since answers are missing in DVC's cache" in text and "from a remote): baseline." in text
    assert "acc_strict | 0.5 | 0.75" in text


def test_other_test_questions_cannot_be_compared_question_by_question(repository):
    write_jsonl(repository / "made/data/questions/test.jsonl", (to_dict(question(i)) for i in range(N + 1)))
    command(repository, "dvc", "repro", "--quiet")
    assert "test questions are not the same" in diff(repository, "HEAD", "workspace").stdout


def test_a_revision_without_verdicts_is_told(repository):
    command(repository, "git", "rm", "-q", "--cached", "metrics/summary.json")
    command(repository, "git", "-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "Third")
    assert "`HEAD` holds no metrics/summary.json." in diff(repository, "HEAD", "workspace").stdout


def test_a_revision_that_does_not_exist_is_one_message(made):
    done = diff(made, "mian", check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: Git knows no revision 'mian' here")
    assert "Traceback" not in done.stderr


def test_outside_a_project_it_says_where_to_run(tmp_path):
    done = diff(tmp_path, check=False)
    assert done.returncode == 2 and "run from the folder that holds dvc.yaml" in done.stderr
