"""The study in one table: each approach beside what it is to be compared with, and beside what others report."""

import json
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from audio_reasoning.core.files import write_json
from audio_reasoning.metrics.key_results import key_results, not_there
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.reported import BASELINE, REPORTED
from audio_reasoning.metrics.results import Judged, Metrics
from audio_reasoning.metrics.training_results import TrainingSummary
from audio_reasoning.render.key_results import in_short
from audio_reasoning.render.report.key_results import key_results_section
from stages.declared import RUNS, DeclaredRuns
from stages.key_results import READ, read_study
from stages.params import load_params
from tests.commands import command
from tests.report_project import filled, versus, write_comparison, write_params


def scored(acc: float) -> dict:
    detail = {"n": 12, "low": 0.2, "high": 0.8}
    return filled(Metrics, {"acc_strict": acc, "n": 12, "detail": [detail]})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two prompts by hand, one by an optimiser, and a model of self-training under the first."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, ["baseline", "expert_analyst", "searched"])
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["models"] = {"iter1": {"from": "base", "method": "rest"}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_comparison(tmp_path)
    summary = json.loads(Path("metrics/summary.json").read_text())
    searched = versus("baseline", "searched", difference=0.2, low=0.1, high=0.3, p_holm=0.01, verdict="better")
    summary["versus_baseline"].append(filled(Judged, searched))
    write_json(Path("metrics/summary.json"), summary)
    write_json(Path("metrics/scores/base/searched.json"), scored(0.78))
    write_json(Path("metrics/scores/iter1/baseline.json"), scored(0.6))
    found = {"optimizer": "mipro", "outcome": "found", "start": "baseline"}
    write_json(Path("metrics/optimize/searched.json"), filled(Optimization, found))
    trained = {"prompt": "baseline", "rise": [], "fall": [], **versus("base", "iter1", difference=0.02)}
    write_json(
        Path("metrics/training/summary.json"), filled(TrainingSummary, {"leaves": ["iter1"], "versus_base": [trained]})
    )


def study():
    return read_study(load_params(DeclaredRuns, *RUNS))


def test_the_reported_differences_are_those_that_were_published():
    told = {one.name: round(100 * one.difference, 1) for one in REPORTED if one is not BASELINE}
    assert told == {
        "Baseline 4-bit": -1.4,
        "Expert Analyst": 1.2,
        "Category-Aware": 1.0,
        "Targeted Hints": 0.3,
        "Structured Reasoning": 4.9,
        "MIPROv2 Optimized": -3.8,
        "Full LoRA + basic": -2.4,
        "Full LoRA + Structured Reasoning": -1.6,
    }


def test_each_approach_stands_beside_its_reference_and_what_is_reported(project):
    rows = {row.run: row for row in key_results(study())}
    told = {name: (row.approach, row.reference, row.reported and row.reported.name) for name, row in rows.items()}
    assert told["baseline"] == ("baseline", "", "Baseline")
    assert told["expert_analyst"] == ("structured prompting", "baseline", "Expert Analyst")
    assert told["searched"] == ("optimised prompts", "baseline", "MIPROv2 Optimized")
    assert told["iter1/baseline"] == ("self-training", "baseline", "Full LoRA + basic")
    assert rows["Baseline 4-bit"].only_reported and rows["Structured Reasoning"].only_reported
    assert [row.approach for row in rows.values()] == sorted(
        (row.approach for row in rows.values()),
        key=["baseline", "structured prompting", "optimised prompts", "self-training"].index,
    )
    assert not_there(study()) == ["no votes: add a prompt to vote.variants, then `dvc repro vote`"]


def test_a_terminal_and_markdown_show_the_same_figures(project, capsys):
    assert command("results") == 0
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith("  searched"))
    assert line.split("  ")[1:] and "78.0 (20.0–80.0)" in line and "+20.0 (+10.0 to +30.0)*" in line
    assert "0.0100  better" in line and "63.3 (60.3–66.2)  -3.8" in line
    assert "Qwen3-Omni-30B-A3B-Thinking, MMAR, n=1000; their figures," in shown and "Not here: no votes" in shown
    assert command("results", "--format", "md", "--out", "results.md") == 0
    page = MarkdownIt().enable("table").render(Path("results.md").read_text())
    assert page.count("<h1>") == 1 and "<strong>+20.0 (+10.0 to +30.0)</strong>" in page
    assert "<td>self-training</td>\n<td>iter1/baseline</td>" in page


def test_the_report_links_each_run_to_what_flipped_and_says_who_is_better(project):
    section = key_results_section(READ, key_results(study()), not_there(study()))
    assert section.lead.startswith("Of 3 runs with a declared comparison")
    assert "better: searched +20.0 (+10.0 to +30.0); worse: none." in section.lead
    rows = {row[0].text: row for row in section.tables[0].body}
    assert rows["iter1/baseline"][0].link == "#a=baseline&b=iter1%2Fbaseline"
    assert len(rows) == 9
    assert rows["searched"][7].tone == "good" and rows["Baseline 4-bit"][2].text == "–"


def test_what_has_not_been_measured_is_told_with_its_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, ["baseline", "expert_analyst"])
    assert command("results") == 0
    shown = capsys.readouterr().out
    for what in ("comparison of the prompts: `dvc repro compare`", "scores of baseline, expert_analyst", "optimised"):
        assert f"no {what}" in shown
    assert key_results_section(READ, key_results(study()), []).command == "dvc repro score"
    assert in_short(key_results(study())).startswith("No run has a declared comparison")
    write_json(Path("metrics/optimize/searched.json"), filled(Optimization, {"optimizer": "gepa", "outcome": "kept"}))
    assert command("results") == 0
    assert "searched has not been asked the test questions: add it to prompts.variants" in capsys.readouterr().out
    assert command("results", "--out", ".") == 2 and "is a folder" in capsys.readouterr().err
