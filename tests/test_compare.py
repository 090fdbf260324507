"""Variants side by side: what `compare` and `headline` write, and the plot that DVC makes of it."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc_render.vega import VegaRenderer

from audio_reasoning.core.files import write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.metrics.results import Judged
from audio_reasoning.render.comparison import comparison_cells
from audio_reasoning.render.table import Table, to_text
from audio_reasoning.render.tables import MINI_NOTE
from stages import check, compare, draw, headline, score
from tests.commands import command

ROOT = Path(__file__).parents[1]
N = 60


def question(i):
    return Question(
        id=f"q{i}",
        audio=Audio(f"mini/q{i}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=("a cat", "a dog"),
        answer=0,
        category="Semantic Layer",
        sub_category="Content Analysis" if i % 2 else "Music Theory",
        modality="sound",
        language="en",
        source="mini",
        group=f"g{i % 30}",
    )


def response(i, right, sample_index=0):
    return Response(f"q{i}", sample_index, "ok", "", "", 0 if right else 1, "verbatim", "stop", 5, 5)


def write_variant(monkeypatch, name, right):
    """Predictions of a variant that is right on the questions in `right`, and their metrics."""
    write_jsonl(Path(f"data/answers/base/{name}.jsonl"), (to_dict(response(i, i in right)) for i in range(N)))
    Path(f"data/answers/base/{name}.run.json").write_text("{}")
    run(monkeypatch, score, name)


def run(monkeypatch, stage, *arguments):
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    stage.main()


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Three variants of sixty questions: baseline has 30 right, better those and 12 more, same the same 30."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prompts"]["variants"] = ["baseline", "better", "same"]
    params["headline"]["variant"] = "better"
    params["training"]["eval_prompts"], params["models"] = ["better"], {"iter1": {"from": "base", "method": "rest"}}
    params["judge"]["runs"], params["submission"]["run"] = [], "better"
    params["arms"]["variants"] = params["vote"]["variants"] = ["better"]
    params["compare"] |= {
        "each_with_first": False,
        "contrasts": [{"a": "baseline", "b": "better"}, {"a": "baseline", "b": "same"}],
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(i)) for i in range(N)))
    write_variant(monkeypatch, "baseline", set(range(30)))
    write_variant(monkeypatch, "better", set(range(42)))
    write_variant(monkeypatch, "same", set(range(30)))
    return tmp_path


def set_params(**changes):
    params = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in changes.items():
        group, _, name = key.partition("__")
        params[group] = {**params[group], name: value} if name else value
    Path("params.yaml").write_text(yaml.safe_dump(params))


def summary():
    return json.loads(Path("metrics/summary.json").read_text())


def test_each_variant_is_compared_with_the_first_question_by_question(workplace, monkeypatch):
    run(monkeypatch, compare)
    better, same = summary()["versus_baseline"]
    assert (better["a"], better["b"], better["n"]) == ("baseline", "better", N)
    assert (better["difference"], better["only_a"], better["only_b"]) == (0.2, 0, 12)
    assert 0 < better["low"] < 0.2 < better["high"]
    assert better["p"] == pytest.approx(2 * 0.5**12, rel=1e-5)  # of twelve clips, flipped alike
    assert better["p_holm"] == pytest.approx(2 * better["p"], rel=1e-5)
    assert "30 groups" in better["method"]
    assert (same["difference"], same["p"], same["p_holm"]) == (0, 1, 1) and same["low"] == -same["high"] < 0
    assert (better["verdict"], same["verdict"]) == ("better", "not distinguishable")
    assert (summary()["best"], summary()["best_acc_strict"]) == ("better", 0.7)


def test_each_variant_is_compared_with_the_one_that_it_was_made_from(workplace, monkeypatch):
    fields = {"title": "T", "strategy": "S", "version": 1, "system": "", "user": "{{ question }} {{ choices }}"}
    made = {"better": {"parent": "v1", "change": "more"}, "same": {"parent": "better", "change": "less"}}
    made["baseline"] = {"parent": "gone", "change": "all", "aliases": ["v1"]}
    Path("prompts").mkdir()
    for name, more in made.items():
        Path(f"prompts/{name}.yaml").write_text(yaml.safe_dump({"name": name, **fields, **more}))
    run(monkeypatch, compare)
    declared, explored = summary()["versus_parent"]
    assert (declared["a"], declared["b"], declared["verdict"]) == ("baseline", "better", "better")
    assert (explored["a"], explored["b"], explored["verdict"]) == ("better", "same", "exploratory")


def test_the_long_table_has_every_variant_and_group_of_questions(workplace, monkeypatch):
    run(monkeypatch, compare)
    rows = json.loads(Path("metrics/compare.json").read_text())
    assert [row["acc"] for row in rows if row["by"] == "all"] == [0.5, 0.7, 0.5]
    assert list(dict.fromkeys(row["variant"] for row in rows)) == ["baseline", "better", "same"]
    assert {row["name"] for row in rows if row["by"] == "sub_category"} == {"Content Analysis", "Music Theory"}
    assert all(set(row) == {"variant", "acc", "by", "name", "low", "high", "n"} for row in rows)


def test_only_listed_variants_are_read(workplace, monkeypatch):
    Path("metrics/scores/base/removed.json").write_text("not even JSON")
    run(monkeypatch, compare)
    assert "removed" not in Path("metrics/compare.json").read_text()


def test_mini_figures_say_what_they_are_evidence_of(workplace, monkeypatch, capsys):
    run(monkeypatch, compare)
    assert MINI_NOTE in summary()["notes"] and MINI_NOTE in capsys.readouterr().out
    set_params(profile="a100")
    run(monkeypatch, compare)
    assert MINI_NOTE not in summary()["notes"] and summary()["profile"] == "a100"
    assert MINI_NOTE not in capsys.readouterr().out


def test_the_table_shows_accuracy_intervals_and_which_difference_holds(workplace, monkeypatch, capsys):
    run(monkeypatch, compare)
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines() if line.split()}
    assert "50.0" in lines["baseline"] and "37.7–62.3" in lines["baseline"]
    assert "+20.0*" in lines["better"] and "+0.0 " in lines["same"] and "*" not in lines["same"]
    assert lines["better"].endswith("  better") and lines["same"].endswith("  not distinguishable")
    assert max(map(len, printed.splitlines())) <= 120
    command("show", "prompts")
    assert capsys.readouterr().out == printed


def test_show_writes_nothing(workplace, monkeypatch):
    run(monkeypatch, compare)
    before = {path: path.stat().st_mtime_ns for path in Path("metrics").glob("*.json")}
    command("show", "prompts")
    assert before == {path: path.stat().st_mtime_ns for path in Path("metrics").glob("*.json")}


def test_one_variant_has_nothing_to_be_compared_with(workplace, monkeypatch):
    set_params(prompts__variants=["better"], compare__contrasts=[])
    run(monkeypatch, compare)
    assert summary()["versus_baseline"] == [] == summary()["contrasts"] and summary()["best"] == "better"


def test_several_samples_are_compared_by_their_means(workplace, monkeypatch):
    rows = [to_dict(response(i, k == 0 or i < 30, k)) for i in range(N) for k in range(2)]
    write_jsonl(Path("data/answers/base/better.jsonl"), rows)
    run(monkeypatch, score, "better")
    run(monkeypatch, compare)
    better = summary()["versus_baseline"][0]
    assert (better["difference"], better["only_b"]) == (0.25, 30)
    assert better["method"].startswith("randomisation p")


def test_metrics_that_do_not_belong_to_the_predictions_are_refused(workplace, monkeypatch, capsys):
    Path("data/answers/base/same.jsonl").write_bytes(Path("data/answers/base/better.jsonl").read_bytes())
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, compare)
    assert caught.value.code == 2
    assert "metrics/scores/base/same.json gives acc_strict 0.5" in capsys.readouterr().err
    assert not Path("metrics/summary.json").exists()


def test_a_variant_without_metrics_is_told(workplace, monkeypatch, capsys):
    Path("metrics/scores/base/same.json").unlink()
    assert "metrics/scores/base/same.json: no such file" in fails(monkeypatch, capsys)
    assert command("show", "prompts") == 2
    assert "metrics/scores/base/same.json: no such file" in capsys.readouterr().err


# ── Contrasts and verdicts ───────────────────────────────────────────────────────────────────────


def fails(monkeypatch, capsys, *arguments):
    """The message of a run that must end with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, compare, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def write_answers(path, right):
    write_jsonl(Path(path), (to_dict(response(i, i in right)) for i in range(N)))


def report():
    return Path("reports/compare.md").read_text()


def report_rows():
    """The cells of the report's tables, by their first."""
    lines = [line[2:-2].split(" | ") for line in report().splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def test_only_declared_contrasts_are_adjusted_and_judged(workplace, monkeypatch, capsys):
    set_params(compare__contrasts=[{"a": "baseline", "b": "same"}])
    run(monkeypatch, compare)
    better, same = summary()["versus_baseline"]
    assert (better["verdict"], better["p_holm"]) == ("exploratory", None) and better["p"] < 0.001
    assert (same["verdict"], same["p_holm"]) == ("not distinguishable", same["p"])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("better"))
    assert "+20.0 " in line and "*" not in line and line.endswith("  exploratory")
    assert report_rows()["better"][-1] == "exploratory"


def test_the_report_gives_approach_accuracy_difference_and_a_verdict_in_words(workplace, monkeypatch):
    run(monkeypatch, compare)
    rows = report_rows()
    assert rows["approach"] == ["accuracy", "Δ to baseline", "p", "verdict"]
    assert rows["baseline"][0] == "50.0 (37.7–62.3)"
    assert rows["better"][1].startswith("+20.0 (+") and rows["better"][3] == "better"
    seen = f"{100 * summary()['contrasts'][1]['detectable']:.1f}"
    assert rows["same"][3].startswith(f"not distinguishable: this test, one of 2, can see {seen} points")
    assert "- **better than baseline**: better\n- **not distinguishable from baseline**: same" in report()


def test_each_contrast_is_broken_down_by_sub_category(workplace, monkeypatch):
    set_params(compare__false_discovery_rate=0.05)
    run(monkeypatch, compare)
    found = summary()["contrasts"][0]["sub_category"]
    assert [(row["name"], row["n"], row["difference"]) for row in found["rows"]] == [
        ("Content Analysis", 30, 0.2),
        ("Music Theory", 30, 0.2),
    ]
    assert (found["improves"], found["worsens"], found["rise"], found["fall"]) == (
        2, 0, ["Content Analysis", "Music Theory"], [])  # fmt: skip
    assert all(row["p"] == row["q"] == 2 * 0.5**6 for row in found["rows"])  # 0 clips against 6, twice
    text = "improves 2 of 2 sub-categories, falls in 0; significant (q < 0.05): Content Analysis ↑, Music Theory ↑"
    assert text in report() and "| **+20.0** |" in report()


def test_any_run_can_be_in_a_contrast(workplace, monkeypatch, capsys):
    write_answers("data/controls/base/better@silence.jsonl", set(range(20)))
    write_answers("data/votes/base/better@vote.jsonl", set(range(45)))
    write_answers("data/answers/iter1/better.jsonl", set(range(43)))
    pairs = [("better@silence", "better"), ("better", "better@vote"), ("better", "iter1/better")]
    set_params(compare__contrasts=[{"a": a, "b": b} for a, b in pairs])
    run(monkeypatch, compare)
    rows = summary()["contrasts"]
    assert [(row["a"], row["b"], row["verdict"]) for row in rows] == [
        ("better@silence", "better", "better"),
        ("better", "better@vote", "not distinguishable"),
        ("better", "iter1/better", "not distinguishable"),
    ]
    assert (rows[0]["acc_a"], rows[0]["acc_b"], rows[0]["only_b"]) == (0.3333, 0.7, 22)
    assert "better − better@silence" in capsys.readouterr().out
    assert "## Other declared contrasts" in report() and "| iter1/better | 71.7 | better | 70.0 |" in report()


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        ({"a": "baseline", "b": "beter"}, "compare.contrasts: no run is called 'beter'; did you mean \"better\"?"),
        ({"a": "iter2/better", "b": "better"}, "'iter2/better'; did you mean \"iter1/better\"?"),
        ({"a": "better", "b": "same@vote"}, "no run is called 'same@vote'"),
        ({"a": "better", "b": "better"}, "a contrast compares two runs"),
        ({"a": "baseline", "b": "same"}, "listed twice"),
        ({"a": "same", "b": "baseline"}, "compared both ways"),
        ({"a": "iter1/better@silence", "b": "better"}, "no run is called 'iter1/better@silence'"),
    ],
)
def test_a_contrast_that_cannot_be_made_is_told_before_anything_runs(workplace, monkeypatch, capsys, contrast, message):
    declared = [{"a": "baseline", "b": "same"}, contrast]
    set_params(compare__contrasts=declared)
    assert message in fails(monkeypatch, capsys)
    assert not Path("metrics/summary.json").exists()
    assert any(message in problem for problem in check.problems())


def test_a_contrast_declared_the_other_way_round_is_no_exploratory_comparison(workplace, monkeypatch, capsys):
    set_params(compare__contrasts=[{"a": "baseline", "b": "better"}])
    run(monkeypatch, compare)
    there = summary()["versus_baseline"][0]
    set_params(compare__contrasts=[{"a": "better", "b": "baseline"}])
    run(monkeypatch, compare)
    [declared] = summary()["contrasts"]
    back = summary()["versus_baseline"][0]
    assert (declared["verdict"], back["verdict"], back["verdict_text"]) == ("worse", "better", "better")
    for row in (there, back):
        del row["low"], row["high"], row["method"]  # of another draw
    assert back == there
    assert "Other declared contrasts" not in report() and report().count("**better than baseline**") == 1
    assert "worse than" not in report()


def test_a_star_stands_only_where_there_is_a_verdict():
    figures = {"a": "a", "b": "b", "n": 9, "difference": 0.05, "low": -0.01, "high": 0.1, "p": 0.01, "p_holm": 0.01}
    figures |= {"only_a": 0, "only_b": 1, "method": "", "detectable": 0.1, "p_equivalence": 1.0, "verdict_text": ""}
    shown = {}
    for verdict in ("better", "worse", "not distinguishable", "no verdict", "exploratory"):
        row = Judged(**figures, verdict=verdict)
        shown[verdict] = to_text(Table(["run", "Δ"], [["b", *comparison_cells(row, "Δ*")]])).split()[-1]
    assert shown == {"better": "+5.0*", "worse": "+5.0*"} | dict.fromkeys([*shown][2:], "+5.0")


def test_each_variant_is_declared_against_the_first_if_so_asked(workplace, monkeypatch):
    set_params(compare__each_with_first=True, compare__contrasts=[{"a": "same", "b": "baseline"}])
    run(monkeypatch, compare)
    assert [(row["a"], row["b"]) for row in summary()["contrasts"]] == [("baseline", "better"), ("same", "baseline")]
    assert {row["verdict"] for row in summary()["versus_baseline"]}.isdisjoint({"exploratory"})


def test_so_many_contrasts_that_no_resampled_p_could_hold_are_refused(workplace, monkeypatch, capsys):
    controls = [f"{variant}@{kind}" for variant in ("better", "same") for kind in ("silence", "mismatched", "permuted")]
    names = ["baseline", "better", "same", "better@text_only", "same@text_only", *controls]
    many = [{"a": a, "b": b} for a, b in itertools.islice(itertools.combinations(names, 2), 51)]
    set_params(arms__variants=["better", "same"], compare__contrasts=many, compare__resamples=1000)
    assert "with 51 contrasts no p from 1000 resamples can be below 0.05" in fails(monkeypatch, capsys)


def test_a_run_of_a_contrast_that_has_not_been_made_is_told(workplace, monkeypatch, capsys):
    set_params(compare__contrasts=[{"a": "better", "b": "better@vote"}])
    assert "data/votes/base/better@vote.jsonl: no such file" in fails(monkeypatch, capsys)


def test_a_run_without_any_answer_gets_no_verdict(workplace, monkeypatch):
    failed = [Response(f"q{i}", 0, "error", "", "", None, "", "", 0, 0, error="timeout") for i in range(N)]
    write_jsonl(Path("data/answers/base/same.jsonl"), map(to_dict, failed))
    run(monkeypatch, score, "same")
    run(monkeypatch, compare)
    better, same = summary()["versus_baseline"]
    assert (better["verdict"], same["verdict"]) == ("better", "no verdict")
    assert "no answer at all" in report_rows()["same"][-1]


def test_a_difference_too_small_to_matter_is_told_as_no_harm(workplace, monkeypatch):
    set_params(compare__margin=0.1)
    run(monkeypatch, compare)
    better, same = summary()["versus_baseline"]
    assert same["p_equivalence"] < 0.05 < better["p_equivalence"]
    assert same["verdict_text"].endswith("; within ±10.0 points: no harm")
    assert better["verdict_text"] == "better"


def test_the_same_inputs_give_the_same_bytes(workplace, monkeypatch):
    written = [Path(name) for name in ("metrics/summary.json", "metrics/compare.json", "reports/compare.md")]
    run(monkeypatch, compare)
    first = [path.read_bytes() for path in written]
    run(monkeypatch, compare)
    assert first == [path.read_bytes() for path in written]


def test_the_seed_and_number_of_resamples_are_parameters(workplace, monkeypatch):
    set_params(compare__resamples=1000, compare__seed=3)
    run(monkeypatch, compare)
    assert "1000 resamples, seed 3" in summary()["contrasts"][0]["method"]


def test_a_summary_that_lacks_a_variant_is_out_of_date(workplace, monkeypatch, capsys):
    run(monkeypatch, compare)
    set_params(prompts__variants=["baseline", "better", "same", "other"])
    Path("metrics/scores/base/other.json").write_bytes(Path("metrics/scores/base/same.json").read_bytes())
    assert command("show", "prompts") == 2
    assert "does not compare other" in capsys.readouterr().err


def test_the_headline_is_the_metrics_of_its_variant(workplace, monkeypatch):
    run(monkeypatch, headline)
    expected = json.loads(Path("metrics/scores/base/better.json").read_text())
    assert json.loads(Path("metrics/headline.json").read_text()) == {"variant": "better", **expected}


# ── The plot ─────────────────────────────────────────────────────────────────────────────────────


def test_dvc_draws_the_comparison_into_a_picture(workplace, monkeypatch):
    run(monkeypatch, compare)
    definition = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    Path("dvc.yaml").write_text(yaml.safe_dump({"plots": definition}))
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    Path(".dvc/plots").mkdir()
    Path(".dvc/plots/accuracy_bars.json").write_bytes((ROOT / ".dvc/plots/accuracy_bars.json").read_bytes())
    run(monkeypatch, draw, "--out", "docs/accuracy.svg")
    picture = Path("docs/accuracy.svg").read_text()
    for word in ("baseline", "better", "Music Theory (30)", "all (60)", "Accuracy by sub-category"):
        assert word in picture.replace("\N{NO-BREAK SPACE}", " ").replace("  ", " ")


def test_the_plot_tells_revisions_apart_and_leaves_no_anchor_open(workplace, monkeypatch):
    run(monkeypatch, compare)
    rows = json.loads(Path("metrics/compare.json").read_text())
    points = [{**row, "rev": rev} for rev in ("main", "workspace") for row in rows]
    renderer = VegaRenderer(
        points, "plot", template="accuracy_bars", template_dir=ROOT / ".dvc/plots", x="acc", y="name", title="T"
    )
    spec = renderer.get_filled_template()
    assert "DVC_METRIC" not in json.dumps(spec)
    pictures = [draw.render(json.dumps(spec), suffix) for suffix in (".svg", ".png")]
    colours = spec["spec"]["layer"][0]["encoding"]["color"]["scale"]
    assert colours["domain"] == ["main", "workspace"]
    assert all(colour.encode() in pictures[0] for colour in colours["range"])
    assert pictures[1].startswith(b"\x89PNG")


def test_a_plot_without_data_or_of_another_name_is_told(workplace, monkeypatch, capsys):
    Path("dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, draw, "--out", "accuracy.svg")
    assert caught.value.code == 2 and "made no plot" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, draw, "--out", "accuracy.gif")
    assert "must end in .svg or .png" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, draw, "--out", "accuracy.svg", "--plot", "Accuracy by sub-categories")
    assert 'did you mean "Accuracy by sub-category"?' in capsys.readouterr().err


def test_what_a_search_found_is_compared_with_its_start_once(workplace, monkeypatch):
    search = yaml.safe_load(Path("params.yaml").read_text())["optimize"]["mipro"]
    set_params(
        compare__contrasts=[],
        optimize={"same": {**search, "start": "better"}, "unlisted": {**search, "start": "baseline"}},
    )
    run(monkeypatch, compare)
    assert [(row["a"], row["b"]) for row in summary()["contrasts"]] == [("better", "same")]
    set_params(compare__contrasts=[{"a": "same", "b": "better"}])
    run(monkeypatch, compare)
    assert [(row["a"], row["b"]) for row in summary()["contrasts"]] == [("same", "better")]
    set_params(optimize={"same": {**search, "start": "structured_reasoning"}})
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, compare)
    assert caught.value.code == 2
