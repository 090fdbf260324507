"""Trained models beside the base: what `compare_models` writes and prints, and the plots of it."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import pytest
import yaml
from dvc_render.vega import VegaRenderer

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.render.tables import MINI_NOTE
from stages import compare_models as compare_models
from stages import draw, score
from tests.commands import command

ROOT = Path(__file__).parents[1]
N = 80
PROMPTS = ("baseline", "expert_analyst")
RIGHT = {  # of questions 0–39 (Content Analysis) and 40–79 (Music Theory), by prompt and model
    ("baseline", "base"): set(range(40)),
    ("baseline", "iter1"): set(range(52)),
    ("baseline", "iter2"): set(range(20)) | set(range(40, 68)),
    ("expert_analyst", "base"): set(range(30)),
    ("expert_analyst", "iter1"): set(range(30)),
    ("expert_analyst", "iter2"): set(range(33)),
}
PLOTS = """
- Accuracy by model:
    template: model_accuracy
    x: {metrics/training/compare.json: model}
    y: {metrics/training/compare.json: acc}
    title: Accuracy by trained model
- Pass rates by model:
    template: pass_rates
    x: {metrics/training/pass_rates.json: pass_rate}
    y: {metrics/training/pass_rates.json: problems}
    title: Pass rates by trained model
"""


def question(i):
    return Question(
        id=f"q{i}",
        audio=Audio(f"mini/q{i}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=("a cat", "a dog"),
        answer=0,
        category="Semantic Layer",
        sub_category="Content Analysis" if i < 40 else "Music Theory",
        modality="sound",
        language="en",
        source="mini",
        group=f"g{i % 40}",
    )


def response(i, right):
    return Response(f"q{i}", 0, "ok", "", "", 0 if right else 1, "verbatim", "stop", 5, 5)


def run(monkeypatch, stage, *arguments):
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    stage.main()


def fails(monkeypatch, capsys, *arguments):
    """The message of a run that must end with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, compare_models, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def write_model(monkeypatch, prompt, model, right):
    folder = Path("data/answers") / model
    write_jsonl(folder / f"{prompt}.jsonl", (to_dict(response(i, i in right)) for i in range(N)))
    write_json(folder / f"{prompt}.run.json", {})
    run(monkeypatch, score, f"{model}/{prompt}")


def set_models(models):
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump({**params, "models": models}, sort_keys=False))


def set_params(**changes):
    params = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in changes.items():
        if isinstance(params[key], dict):
            params[key].update(value)
        else:
            params[key] = value
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture
def workplace(tmp_path, monkeypatch, capsys):
    """Two models and two prompts; iter2 loses half of Content Analysis and gains most of Music Theory."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    models = {
        "iter1": {"from": "base", "method": "rest", "learning_rate": 1e-5},
        "iter2": {"from": "iter1", "method": "rest", "learning_rate": 1e-5},
    }
    set_models(models)
    set_params(training={"eval_prompts": list(PROMPTS), "preset": "rest_em"})
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(i)) for i in range(N)))
    for (prompt, model), right in RIGHT.items():
        write_model(monkeypatch, prompt, model, right)
    rates = [
        {"pass_rate": 0.0, "category": "too_hard", "problems": 12},
        {"pass_rate": 0.25, "category": "challenging", "problems": 31},
    ]
    for name, accepted in {"iter1": True, "iter2": False}.items():
        write_json(Path(f"metrics/training/pass_rates/{name}.json"), rates)
        gate = {"accepted": accepted, "scale": 0.75, "reason": "dev +1.0 (-0.5 to +2.5)", "dev": [0.5]}
        write_json(Path(f"metrics/training/gates/{name}.json"), gate)
    capsys.readouterr()
    return tmp_path


def summary():
    return json.loads(Path("metrics/training/summary.json").read_text())


def test_a_refused_iteration_is_told_with_its_reason_and_the_ways_out(workplace, monkeypatch, capsys):
    refused = {"stage": "training_check", "reasons": ["it is deaf"], "ways_out": ["take clips that it knows"]}
    gate = {"accepted": False, "scale": None, "reason": "it is deaf", "refused": refused, "dev": None}
    write_json(Path("metrics/training/gates/iter2.json"), gate)
    run(monkeypatch, compare_models)
    told = capsys.readouterr().out
    assert (
        "iter2, from iter1: refused by training_check, so it is the model of iter1; it is deaf; "
        "ways out: take clips that it knows"
    ) in told
    assert [row.get("refused") for row in summary()["gate"]] == [None, refused]
    command("show", "training", "--md")
    assert "| refused by training_check" in capsys.readouterr().out


def test_each_iteration_is_compared_with_the_base_under_the_same_prompt(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    rows = summary()["versus_base"]
    assert [(row["prompt"], row["a"], row["b"]) for row in rows] == [
        ("baseline", "base", "iter1"),
        ("baseline", "base", "iter2"),
        ("expert_analyst", "base", "iter1"),
        ("expert_analyst", "base", "iter2"),
    ]
    first = rows[0]
    assert (first["n"], first["difference"], first["only_a"], first["only_b"]) == (N, 0.15, 0, 12)
    assert 0 < first["low"] < 0.15 < first["high"] and first["detectable"] > 0
    assert first["p"] == pytest.approx(2 * 0.5**12, rel=1e-5)  # of twelve clips, flipped alike
    assert first["p_holm"] == pytest.approx(4 * first["p"], rel=1e-5)  # the smallest of four


def test_the_comparisons_are_judged_like_all_others(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    first, _, same, _ = summary()["versus_base"]
    assert (first["verdict"], first["verdict_text"]) == ("better", "better")
    assert same["verdict"] == "not distinguishable" and "one of 4, can see" in same["verdict_text"]
    assert summary()["versus_predecessor"][0]["verdict"] == "not distinguishable"
    set_params(compare={"margin": 0.5})
    run(monkeypatch, compare_models)
    assert summary()["versus_base"][2]["verdict_text"].endswith("within ±50.0 points: no harm")


def test_an_iteration_without_any_answer_gets_no_verdict(workplace, monkeypatch, capsys):
    rows = [Response(f"q{i}", 0, "truncated", "", "", None, "", "length", 5, 5) for i in range(N)]
    write_jsonl(Path("data/answers/iter1/baseline.jsonl"), map(to_dict, rows))
    run(monkeypatch, score, "iter1/baseline")
    capsys.readouterr()
    run(monkeypatch, compare_models)
    row = summary()["versus_base"][0]
    assert row["p_holm"] < 0.05 and row["high"] < 0 and row["verdict"] == "no verdict"
    assert summary()["versus_predecessor"][0]["verdict"] == "no verdict", "iter2 starts from it"
    assert summary()["versus_base"][2]["verdict"] == "not distinguishable", "under the other prompt it answers"
    printed = capsys.readouterr().out
    assert "-50.0 " in printed and "-50.0*" not in printed
    assert "iter1 against base under baseline: no verdict: one of the runs has no answer at all" in printed


def test_a_star_takes_the_interval_too(workplace, monkeypatch, capsys):
    run(monkeypatch, compare_models)
    told = summary()
    told["versus_base"][0] |= {"low": -0.01, "verdict": "not distinguishable"}
    write_json(Path("metrics/training/summary.json"), told)
    capsys.readouterr()
    for options in ((), ("--md",)):
        command("show", "training", *options)
        printed = capsys.readouterr().out
        assert "+15.0 " in printed and "+15.0*" not in printed


def test_an_iteration_is_compared_with_its_predecessor_where_that_is_not_the_base(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    rows = summary()["versus_predecessor"]
    assert [(row["prompt"], row["a"], row["b"]) for row in rows] == [(prompt, "iter1", "iter2") for prompt in PROMPTS]
    assert [row["difference"] for row in rows] == [-0.05, 0.0375]
    assert rows[1]["p_holm"] == pytest.approx(min(1, 2 * rows[1]["p"]), rel=1e-5)


def test_a_gain_on_all_questions_does_not_hide_a_sub_category_that_falls(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    row = summary()["versus_base"][1]
    assert row["difference"] > 0
    assert (row["fall"], row["rise"]) == (["Content Analysis"], ["Music Theory"])
    content, music = row["sub_categories"]
    assert (content["name"], content["n"], content["acc_a"], content["acc_b"]) == ("Content Analysis", 40, 1, 0.5)
    assert (content["difference"], content["only_a"], music["difference"], music["only_b"]) == (-0.5, 20, 0.7, 28)
    assert content["q"] == content["p"] and music["q"] == pytest.approx(2 * music["p"], rel=1e-5)  # of two


def test_resamples_seed_and_rate_are_those_of_compare(workplace, monkeypatch):
    set_params(compare={"resamples": 1500, "seed": 4, "false_discovery_rate": 1e-9})
    run(monkeypatch, compare_models)
    for key in ("versus_base", "versus_predecessor"):
        assert all("1500 resamples, seed 4" in row["method"] for row in summary()[key])
    assert all(row["rise"] == row["fall"] == [] for row in summary()["versus_base"])


def test_the_comparisons_say_that_they_are_families_of_their_own(workplace, monkeypatch, capsys):
    run(monkeypatch, compare_models)
    [note] = [note for note in summary()["notes"] if "declared family" in note]
    assert "apart from compare.contrasts: p is adjusted over 4 comparisons with the base (Δ from: 2)" in note
    assert note in capsys.readouterr().out
    ratios = [row["detectable"] / max(row["high"] - row["low"], 1e-9) for row in summary()["versus_base"][:1]]
    z = NormalDist().inv_cdf
    assert ratios == pytest.approx([(z(1 - 0.025 / 4) + z(0.8)) / (2 * z(0.975))], rel=1e-4)  # one of four


def test_each_model_is_summed_up_in_few_figures(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    told = summary()
    assert (told["profile"], told["preset"], told["leaves"]) == ("mini", "rest_em", ["iter2"])
    assert told["gain"]["iter2"] == {"baseline": 0.1, "expert_analyst": 0.0375}
    assert told["falls"]["iter2"] == {"baseline": 1, "expert_analyst": 0}
    shown = [key for key, value in told.items() if not isinstance(value, list)]  # DVC shows no lists
    assert shown == ["profile", "preset", "gain", "falls"]


def test_the_long_tables_have_every_model_and_pass_rate(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    rows = json.loads(Path("metrics/training/compare.json").read_text())
    overall = [(row["model"], row["prompt"], row["acc"]) for row in rows if row["by"] == "all"]
    assert overall[:3] == [("base", "baseline", 0.5), ("base", "expert_analyst", 0.375), ("iter1", "baseline", 0.65)]
    assert {row["name"] for row in rows if row["by"] == "sub_category"} == {"Content Analysis", "Music Theory"}
    assert set(rows[0]) == {"profile", "model", "prompt", "by", "name", "acc", "low", "high", "n"}
    rates = json.loads(Path("metrics/training/pass_rates.json").read_text())
    assert [(row["model"], row["sampler"], row["problems"]) for row in rates] == [
        ("iter1", "base", 12),
        ("iter1", "base", 31),
        ("iter2", "iter1", 12),
        ("iter2", "iter1", 31),
    ]
    assert rates[1]["pass_rate"] == 0.25 and rates[1]["category"] == "challenging" and rates[1]["profile"] == "mini"


def test_only_listed_names_are_read(workplace, monkeypatch):
    for name in ("training/gates/old.json", "scores/old/baseline.json", "scores/iter1/old.json"):
        stale = f"metrics/{name}"
        Path(stale).parent.mkdir(exist_ok=True)
        Path(stale).write_text("not even JSON")
    set_models({"iter1": {"from": "base", "method": "rest", "learning_rate": 1e-5}})
    run(monkeypatch, compare_models)
    written = Path("metrics/training/compare.json").read_text() + Path("metrics/training/summary.json").read_text()
    assert "old" not in written and "iter2" not in written and summary()["leaves"] == ["iter1"]


def test_a_branch_is_compared_with_the_iteration_it_leaves(workplace, monkeypatch):
    models = {
        name: {"from": start, "method": "rest", "learning_rate": 1e-5}
        for name, start in [("iter1", "base"), ("iter2", "base")]
    }
    set_models(models)
    run(monkeypatch, compare_models)
    assert summary()["versus_predecessor"] == [] and len(summary()["versus_base"]) == 4


def test_without_iterations_there_is_the_base_alone(workplace, monkeypatch, capsys):
    set_models({})
    run(monkeypatch, compare_models)
    assert (summary()["leaves"], summary()["gain"], summary()["versus_base"]) == ([], {}, [])
    assert "iter1" not in capsys.readouterr().out


def test_the_table_shows_each_prompt_what_holds_and_the_gate(workplace, monkeypatch, capsys):
    run(monkeypatch, compare_models)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    block = lines[lines.index("baseline") :][1:4]
    assert [line.split()[0] for line in block] == ["base", "iter1", "iter2"]
    assert block[0].split() == ["base", "50.0", "39.3–60.7"]
    assert "+15.0*" in block[1] and "+10.0 " in block[2] and "iter1 -5.0" in block[2]
    assert "iter1, from base: accepted at scale 0.75; dev +1.0 (-0.5 to +2.5)" in lines
    assert "iter2, from iter1: rejected; dev +1.0 (-0.5 to +2.5)" in lines
    assert "80 questions" in printed and "the 2 of them" in printed
    assert max(map(len, lines)) <= 130
    command("show", "training")
    assert capsys.readouterr().out == printed


def test_markdown_has_a_row_for_each_prompt_and_model(workplace, monkeypatch, capsys):
    run(monkeypatch, compare_models)
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in Path("metrics").rglob("*.json")}
    command("show", "training", "--md")
    assert before == {path: path.stat().st_mtime_ns for path in Path("metrics").rglob("*.json")}
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1 and len(rows) == 2 + len(RIGHT)
    assert rows[2][:4] == ["baseline", "base", "50.0 (39.3–60.7)", ""]
    assert rows[3][3].startswith("+15.0* (+") and rows[3][5:7] == ["1", "0"]
    assert rows[4][5:7] == ["1", "1"] and rows[4][7].startswith("iter1 -5.0 (") and rows[4][8] == "rejected"
    assert MINI_NOTE in printed


def test_mini_figures_say_what_they_are_evidence_of(workplace, monkeypatch, capsys):
    run(monkeypatch, compare_models)
    printed = capsys.readouterr().out
    assert MINI_NOTE in printed and "profile mini; preset rest_em" in printed
    set_params(profile="a100")
    run(monkeypatch, compare_models)
    printed = capsys.readouterr().out
    assert MINI_NOTE not in printed and "profile a100" in printed


@pytest.mark.parametrize(
    "absent",
    [
        "metrics/scores/iter1/baseline.json",
        "metrics/training/gates/iter2.json",
        "metrics/training/pass_rates/iter2.json",
        "metrics/scores/base/baseline.json",
        "data/answers/iter2/expert_analyst.jsonl",
    ],
)
def test_a_file_that_is_missing_is_told_and_nothing_is_written(workplace, monkeypatch, capsys, absent):
    Path(absent).unlink()
    message = fails(monkeypatch, capsys)
    assert f"{absent}: no such file" in message and "dvc repro" in message
    assert not list(Path("metrics").glob("training_*.json"))


def test_metrics_that_do_not_belong_to_the_predictions_are_refused(workplace, monkeypatch, capsys):
    right = Path("data/answers/iter1/baseline.jsonl").read_bytes()
    Path("data/answers/iter2/baseline.jsonl").write_bytes(right)
    message = fails(monkeypatch, capsys)
    assert "metrics/scores/iter2/baseline.json gives acc_strict 0.6, but" in message and "dvc repro" in message


def test_a_summary_older_than_the_parameters_is_not_shown(workplace, monkeypatch, capsys):
    set_params(training={"eval_prompts": ["baseline"]})
    run(monkeypatch, compare_models)
    set_params(training={"eval_prompts": list(PROMPTS)})
    assert command("show", "training") == 2
    assert "does not compare iter1 under expert_analyst" in capsys.readouterr().err


# ── The plots ────────────────────────────────────────────────────────────────────────────────────


def test_dvc_draws_both_plots(workplace, monkeypatch):
    run(monkeypatch, compare_models)
    Path("dvc.yaml").write_text(yaml.safe_dump({"plots": yaml.safe_load(PLOTS)}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    Path(".dvc/plots").mkdir()
    for template in ("model_accuracy", "pass_rates"):
        Path(f".dvc/plots/{template}.json").write_bytes((ROOT / f".dvc/plots/{template}.json").read_bytes())
    said = {
        "Accuracy by model": ["base", "iter2", "expert_analyst", "65.0", "Profile mini: evidence about mechanics"],
        "Pass rates by model": ["iter2, sampled from iter1", "challenging", "problems", "Profile mini: evidence"],
    }
    for name, words in said.items():
        run(monkeypatch, draw, "--out", "picture.svg", "--plot", name)
        picture = Path("picture.svg").read_text().replace("\N{NO-BREAK SPACE}", " ")
        assert [word for word in words if word not in picture] == []


@pytest.mark.parametrize(
    ("template", "file", "x", "y"),
    [
        ("model_accuracy", "training/compare", "model", "acc"),
        ("pass_rates", "training/pass_rates", "pass_rate", "problems"),
    ],
)
def test_a_plot_tells_revisions_apart_and_leaves_no_anchor_open(workplace, monkeypatch, template, file, x, y):
    run(monkeypatch, compare_models)
    rows = json.loads(Path(f"metrics/{file}.json").read_text())
    points = [{**row, "rev": "main", "profile": "a100"} for row in rows] + [{**row, "rev": "other"} for row in rows]
    folder = ROOT / ".dvc/plots"
    spec = VegaRenderer(
        points, "plot", template=template, template_dir=folder, x=x, y=y, title="T"
    ).get_filled_template()
    assert "DVC_METRIC" not in json.dumps(spec)
    picture = draw.render(json.dumps(spec), ".svg").decode().replace("\N{NO-BREAK SPACE}", " ")
    assert [word for word in (">main<", ">other<", "Profile a100 and mini: evidence") if word not in picture] == []
