"""A sweep's picture: each experiment's own figures, and none that it only carries along."""

import json
import subprocess
from pathlib import Path

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from stages import sweep
from stages.draw import render
from stages.sweep import experiments, look_up, made_with, picture, sweep_rows


def git(*arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(**tokens):
    """A commit whose metrics of each variant were made with so many tokens; its hash."""
    for variant, limit in tokens.items():
        whole = {"by": "all", "name": "all", "n": 100, "low": 0.3, "high": 0.5}
        metrics = {"acc_strict": 0.4, "truncated": 0.1, "thinking_chars": 2.0 * limit, "detail": [whole]}
        run = [{"decoding": {"max_tokens": limit, "temperature": 0.1}}]
        write_json(Path(f"metrics/scores/base/{variant}.json"), {**metrics, "run": run})
    git("add", "-A")
    git("commit", "-qm", "run")
    return git("rev-parse", "HEAD")


def shown(rev, limit, **more):
    """One row of what DVC shows of an experiment."""
    params = {"params.yaml": {"data": {"infer": {"max_tokens": limit, "temperature": 0.1}}}}
    return {"rev": rev, "data": {"params": params, "metrics": {"metrics/scores/base/a.json": {"data": {}}}}, **more}


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Three experiments from one commit; the last one ran only one of the two variants."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    first = commit(a=64, b=64)
    revs = [(commit(a=16, b=16), 16), (commit(a=32, b=64), 32)]
    entries = [{"revs": [shown(rev, limit)], "name": rev[:4]} for rev, limit in revs]
    return [shown("workspace", 7, experiments=None), shown(first, 64, experiments=entries)]


def test_each_variant_is_drawn_where_it_was_run(swept):
    rows = sweep_rows("infer.max_tokens", [], experiments(swept))
    assert [(row["variant"], row["value"]) for row in rows] == [("a", 16), ("a", 32), ("a", 64), ("b", 16), ("b", 64)]
    assert all(row["thinking_chars"] == 2 * row["value"] for row in rows)
    assert {(row["acc"], row["low"], row["high"], row["n"]) for row in rows} == {(0.4, 0.3, 0.5, 100)}


def test_only_the_named_variants_are_drawn(swept):
    assert {row["variant"] for row in sweep_rows("infer.max_tokens", ["b"], experiments(swept))} == {"b"}
    with pytest.raises(UserError, match="no experiment has metrics of c"):
        sweep_rows("infer.max_tokens", ["c"], experiments(swept))


def test_an_experiment_that_carries_everything_along_is_told_as_such(swept):
    shown_rows = [shown("workspace", 7, experiments=None), shown(swept[1]["rev"], 128, experiments=[])]
    with pytest.raises(UserError, match=r"none of 2 files of metrics .* its experiment's own infer\.max_tokens"):
        sweep_rows("infer.max_tokens", [], experiments(shown_rows))


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}\n", "[" * 100_000, "[]"])
def test_metrics_that_cannot_be_read_are_told_with_their_revision(swept, text):
    Path("metrics/scores/base/a.json").write_text(text)
    git("add", "-A")
    git("commit", "-qm", "broken")
    rev = git("rev-parse", "HEAD")
    with pytest.raises(UserError, match=f"{rev}: metrics/scores/base/a.json"):
        sweep_rows("infer.max_tokens", ["a"], experiments([shown(rev, 64, experiments=[])]))


def test_a_value_is_looked_up_where_the_manifest_tells_it():
    thinking = {"force_answer": True, "force_answer_tokens": 16, "forced": 3}
    forced, plain = (
        {"run": [{"decoding": {"n": 1}, "serve": {"dtype": "float32"}, **more}]}
        for more in ({"thinking": thinking}, {})
    )
    assert made_with(forced, "thinking.force_answer_tokens", 16) and not made_with(
        forced, "thinking.force_answer", False
    )
    assert made_with(plain, "thinking.force_answer", False) and not made_with(plain, "thinking.force_answer", True)
    assert made_with(plain, "serve.dtype", "float32") and not made_with(plain, "serve.dtype", "bfloat16")


@pytest.mark.parametrize(
    "param", ["rest.select.k", "model.tiny.steps", "infer.top_k", "thinking.closing", "serve.dtype"]
)
def test_a_parameter_that_the_manifest_does_not_tell_is_refused(param):
    with pytest.raises(UserError, match=f"--param {param}: metrics do not tell .* infer"):
        made_with({"run": [{"decoding": {"n": 1}, "serve": None}]}, param, 1)


def test_experiments_without_results_are_left_out_and_told(swept, capsys):
    swept[1]["experiments"] += [
        {"revs": [{"rev": "1" * 40, "data": None, "error": {"type": "x"}}]},
        {"revs": [{"rev": "2" * 40, "data": {"params": {}, "metrics": None}}]},
    ]
    assert len(experiments(swept)) == 3
    assert "2 of 4 experiments have no results" in capsys.readouterr().err


def test_a_mistyped_parameter_is_told_with_the_nearest_one():
    with pytest.raises(UserError, match=r'infer\.max_token: .*did you mean "max_tokens"'):
        look_up({"infer": {"max_tokens": 3}}, "infer.max_token")
    with pytest.raises(UserError, match="no stage reads"):
        look_up({"infer": {"max_tokens": 3}}, "infer.max_tokens.deep")


@pytest.mark.parametrize("values", [(16, 32), ("first", "median")])
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_can_be_drawn(values, suffix):
    rows = [
        {"variant": "a", "value": v, "acc": 0.5, "low": 0.4, "high": 0.6, "n": 9, "thinking_chars": 5.0} for v in values
    ]
    drawn = render(json.dumps(picture("group.name", rows)), suffix)
    assert drawn.startswith(b"<svg" if suffix == ".svg" else b"\x89PNG")
    assert suffix == ".png" or all(
        text in drawn.decode() for text in ("group.name", "accuracy", "thinking", *map(str, values))
    )


def test_the_command_writes_the_picture_and_prints_the_numbers(swept, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "_shown", lambda: swept)
    monkeypatch.setattr("sys.argv", ["sweep", "--param", "infer.max_tokens", "--out", "reports/sweep.svg"])
    sweep.main()
    assert Path("reports/sweep.svg").read_text().startswith("<svg")
    assert len([line for line in capsys.readouterr().out.splitlines() if "40.0" in line]) == 5


def test_outside_of_a_dvc_project_dvcs_own_words_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep", "--param", "infer.n", "--out", "sweep.svg"])
    with pytest.raises(SystemExit) as caught:
        sweep.main()
    assert caught.value.code == 2 and "`dvc exp show` failed" in capsys.readouterr().err
