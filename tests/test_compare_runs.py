"""Two runs of a project side by side: judged where the parameters declare it, and exploratory otherwise."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.metrics.inputs import check_current
from audio_reasoning.metrics.paired import Method, method_of
from stages.params import load_params
from stages.project import Project
from tests.commands import command

ROOT = Path(__file__).parents[1]
N = 120
RIGHT = {  # the first of so many questions; alone, 60 against 65 would be called worse
    "data/answers/base/baseline": 60,
    "data/answers/base/longer": 65,
    "data/answers/base/other": 61,
    "data/controls/base/longer@silence": 30,
    "data/answers/iter1/longer": 84,
    "data/answers/iter2/longer": 90,
}


def question(i):
    audio = Audio(f"mini/q{i}.flac", "0" * 64, 1.5)
    choices = ("from near to far", "from far to near")  # the same words, so one answer is as right for MMAR's match
    return Question(f"q{i}", audio, "?", choices, 0, "Semantic Layer", "S", "sound", "en", "mini", f"g{i}")


def write(stem, right):
    rows = [Response(f"q{i}", 0, "ok", "", "", 0 if i < right else 1, "verbatim", "stop", 5, 5) for i in range(N)]
    write_jsonl(Path(f"{stem}.jsonl"), map(to_dict, rows))


def set_compare(**changes):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["compare"].update(changes)
    Path("params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prompts"]["variants"] = ["baseline", "longer", "other"]
    params["headline"]["variant"] = params["submission"]["run"] = "baseline"
    params["judge"]["runs"] = []
    params["arms"].update(variants=["longer"], kinds=["silence"])
    params["vote"]["variants"] = ["longer"]
    starts = {"iter1": "base", "iter2": "iter1"}
    params["training"]["eval_prompts"] = ["longer"]
    params["models"] = {name: {"from": start, "method": "rest"} for name, start in starts.items()}
    contrasts = [{"a": "baseline", "b": name} for name in ("longer", "other")]
    params["compare"].update(each_with_first=False, contrasts=contrasts, resamples=2000, seed=3, margin=0.2)
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(i)) for i in range(N)))
    for stem, right in RIGHT.items():
        write(stem, right)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        if ended := command("compare", *arguments):
            raise SystemExit(ended)
        return capsys.readouterr().out

    return run


@pytest.fixture
def fails(run, capsys):
    def fails(*arguments):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2
        return capsys.readouterr().err

    return fails


def test_a_declared_contrast_is_told_as_in_its_family(run):
    result = json.loads(run("baseline", "longer", "--json"))
    assert result["p"] == 0.03125 and result["p_holm"] == 0.0625, "of five questions; one of two contrasts"
    assert result["verdict"] == "not distinguishable" and "one of 2" in result["verdict_text"]
    assert "Holm-adjusted over all 2" in result["basis"] and "compare" in result["basis"]
    text, page = run("baseline", "longer"), run("baseline", "longer", "--md")
    assert "p 0.0312, adjusted 0.0625" in text and result["basis"] in text
    assert "| 0.0625 | not distinguishable" in page


def test_a_contrast_is_the_same_from_both_ends_and_by_its_files(run):
    there, back = (json.loads(run(*names, "--json")) for names in (("baseline", "longer"), ("longer", "baseline")))
    assert (back["difference"], back["p_holm"]) == (-there["difference"], there["p_holm"])
    files = [str(Path(f"data/answers/base/{name}.jsonl").absolute()) for name in ("baseline", "longer")]
    assert json.loads(run(*files, "--json")) == there


def test_iterations_of_self_training_are_families_of_their_own(run):
    first, second = (json.loads(run(a, "iter2/longer", "--json")) for a in ("longer", "iter1/longer"))
    assert "models, with the base" in first["basis"] and "all 2" in first["basis"] and first["verdict"] == "better"
    assert "models, with the one it starts from" in second["basis"] and "all 1" in second["basis"]


@pytest.mark.parametrize("names", [("longer", "other"), ("longer@silence", "longer"), ("baseline", "iter2/longer")])
@pytest.mark.parametrize("form", [(), ("--md",), ("--json",)])
def test_what_nobody_declared_gets_no_verdict(run, names, form):
    printed = run(*names, *form)
    assert "exploratory" in printed and "not declared in params.yaml" in printed
    assert not [
        word for word in ("better\n", "worse\n", "| better", "| worse", '"better"', '"worse"') if word in printed
    ]


@pytest.mark.parametrize("more", [("--score", "official"), ("--questions", "copy.jsonl")])
def test_another_score_or_other_questions_are_not_what_was_declared(run, more):
    Path("copy.jsonl").write_bytes(Path("data/questions/test.jsonl").read_bytes())
    result = json.loads(run("baseline", "longer", "--json", *more))
    assert (result["verdict"], result["p_holm"]) == ("exploratory", None)
    assert "data/questions/test.jsonl by the strict score" in result["basis"]


def test_a_family_of_which_a_run_is_still_to_be_made_cannot_be_judged(run):
    Path("data/answers/base/other.jsonl").unlink()
    result = json.loads(run("baseline", "longer", "--json"))
    assert (result["verdict"], result["p"], result["p_holm"]) == ("exploratory", 0.03125, None)
    assert "declared, but" in result["basis"] and "data/answers/base/other.jsonl: no such file" in result["basis"]


def test_a_run_without_any_answer_gets_no_verdict_here_either(run):
    rows = [Response(f"q{i}", 0, "truncated", "", "", None, "", "length", 5, 5) for i in range(N)]
    write_jsonl(Path("data/answers/base/longer.jsonl"), map(to_dict, rows))
    assert json.loads(run("baseline", "longer", "--json"))["verdict"] == "no verdict"


def test_files_from_elsewhere_are_one_comparison_and_say_so(run):
    write("mine", 66)
    for form in ((), ("--md",), ("--json",)):
        assert "better (one comparison, unadjusted)" in run("baseline", "mine.jsonl", "--margin", "0.01", *form)


def test_runs_are_compared_as_the_parameters_say(run):
    result = json.loads(run("baseline", "longer", "--json"))
    expected = {"resamples": 2000, "seed": 3, "false_discovery_rate": 0.1, "margin": 0.2, "from": "params.yaml"}
    assert result["settings"] == expected and "2000 resamples, seed 3" in result["method"]
    assert "within ±20.0 points: no harm" in result["verdict_text"]
    assert "margin 0.2: from params.yaml" in run("baseline", "longer")


def test_a_stage_compares_by_what_it_has_declared_of_the_parameters():
    assert method_of(load_params(Project, "compare.seed", "compare.margin").compare) == Method(seed=3, margin=0.2)
    assert method_of({"resamples": 1500, "contrasts": []}) == Method(resamples=1500)


@pytest.mark.parametrize(("told", "holds"), [(0.6667, True), (0.6666, False), (None, False), ("0.6667", False)])
def test_metrics_are_current_if_they_give_what_the_answers_give(told, holds):
    write_json(Path("metrics.json"), {"acc_strict": told})
    with nullcontext() if holds else pytest.raises(UserError, match=r"metrics\.json gives acc_strict .*out of date"):
        check_current(Path("metrics.json"), {"acc_strict": 2 / 3}, "answers.jsonl")


def test_an_option_wins_over_the_parameters(run):
    text = run("baseline", "longer", "--margin", "0.01")
    assert "margin 0.01: from params.yaml, the margin from --margin" in text and "no harm" not in text


def test_files_from_elsewhere_are_compared_by_the_defaults(run):
    write("mine", 66)
    write("yours", 60)
    Path("params.yaml").write_text("broken: [")  # is not read
    settings = json.loads(run("yours.jsonl", "mine.jsonl", "--json"))["settings"]
    assert (settings["resamples"], settings["seed"], settings["from"]) == (10_000, 0, "the defaults")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("baselin", "there is no file 'baselin', and no run is called 'baselin'; did you mean \"baseline\"?"),
        ("iter9/longer", 'did you mean "iter2/longer"?'),
        ("longer@votes", 'did you mean "longer@vote"?'),
        ("baseline@samples", "no stage makes the run 'baseline@samples': vote.variants does not list 'baseline'"),
        ("baseline@silence", "arms.variants does not list 'baseline'"),
        ("longer@permuted", "arms.kinds does not list 'permuted'"),
        ("iter1/baseline", "training.eval_prompts does not list 'baseline'"),
        ("unlisted", "prompts.variants does not list 'unlisted'"),
        ("longer@vote", "data/votes/base/longer@vote.jsonl: no such file (is an earlier stage still to run?"),
    ],
)
def test_a_name_of_no_run_is_told_with_the_nearest_or_with_what_would_make_it(fails, name, told):
    Path("prompts").mkdir()
    Path("prompts/unlisted.yaml").write_text("")
    assert told in fails("baseline", name)


def test_a_run_that_the_parameters_no_longer_list_can_still_be_looked_at(run):
    write("data/answers/base/removed", 90)
    assert json.loads(run("baseline", "removed", "--json"))["verdict"] == "exploratory"
