"""The stage `answer` from its command line: which model is asked, how, and where its answers go."""

from pathlib import Path

import pytest
import yaml

from audio_reasoning.conditions.condition import condition_of
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from audio_reasoning.core.runs import named_run
from stages import answer
from stages.layout import answers_file, manifest_file, metrics_file, run_at
from stages.params import load_params

ROOT = Path(__file__).parents[1]
MANIFEST = {"base": "b" * 64, "adapter": "a" * 64, "model": "iter1", "depth": 1, "accepted": True}


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_json(Path("models/iter1/model.json"), MANIFEST)


def fails(monkeypatch, capsys, *arguments):
    """The message of a run that must end with exit code 2."""
    monkeypatch.setattr("sys.argv", ["answer", *arguments])
    with pytest.raises(SystemExit) as caught:
        answer.main()
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_what_identifies_a_model_is_read_from_its_folder():
    assert answer.read_manifest("base") == {"adapter": None, "model": None}
    assert answer.read_manifest("iter1") == {"adapter": "a" * 64, "model": "iter1"}
    write_json(Path("models/iter2/model.json"), {**MANIFEST, "adapter": None, "model": "iter2", "accepted": False})
    assert answer.read_manifest("iter2") == {"adapter": None, "model": "iter2"}


@pytest.mark.parametrize(
    ("name", "answers", "metrics"),
    [
        ("plain", "data/answers/base/plain.jsonl", "metrics/scores/base/plain.json"),
        ("iter1/plain", "data/answers/iter1/plain.jsonl", "metrics/scores/iter1/plain.json"),
        ("plain@silence", "data/controls/base/plain@silence.jsonl", "metrics/controls/base/plain@silence.json"),
        ("iter1/plain@deaf", "data/controls/iter1/plain@deaf.jsonl", "metrics/controls/iter1/plain@deaf.json"),
        ("iter1/plain@samples", "data/samples/iter1/plain@samples.jsonl", "metrics/votes/iter1/plain@samples.json"),
        ("iter1/plain@vote", "data/votes/iter1/plain@vote.jsonl", "metrics/votes/iter1/plain@vote.json"),
    ],
)
def test_the_answers_of_each_model_and_condition_have_a_place_of_their_own(name, answers, metrics):
    run = named_run(name)
    assert (run.name, str(answers_file(run)), str(metrics_file(run))) == (name, answers, metrics)
    assert run_at(answers_file(run)) == run and manifest_file(run) == Path(answers).with_suffix(".run.json")


def test_an_unknown_model_is_told_with_the_nearest_known_one(monkeypatch, capsys):
    with pytest.raises(UserError, match=r'models/iter9/model\.json: no such file.*did you mean "iter1"'):
        answer.read_manifest("iter9")
    assert "models/iter9/model.json" in fails(monkeypatch, capsys, "iter9/baseline")


def test_an_endpoint_is_not_asked_in_the_name_of_an_iteration(monkeypatch, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["infer"].update(backend="openai", endpoint_model="theirs")
    Path("params.yaml").write_text(yaml.safe_dump(params))
    message = fails(monkeypatch, capsys, "iter1/baseline")
    assert "infer.backend openai" in message and "not with iter1" in message
    assert not Path("data/answers").exists()


def test_votes_are_not_asked_for(monkeypatch, capsys):
    message = fails(monkeypatch, capsys, "baseline@vote")
    assert "baseline@vote: votes are counted, not asked" in message and "stages.vote" in message


def test_samples_are_drawn_as_vote_says_and_all_else_as_infer_says():
    params = load_params(answer.Params, *answer.reads(named_run("baseline@samples")))
    decoding, vote = answer.decoding_of(named_run("baseline@samples"), params, None), params.vote
    assert (decoding.n, decoding.temperature, decoding.top_p, decoding.seed) == (
        *(vote.n, vote.temperature, vote.top_p, vote.seed),
    )
    assert decoding.max_tokens == params.infer.max_tokens


def test_what_is_asked_in_several_orders_is_asked_once_in_each():
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["infer"].update(n=3, temperature=0.5)
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    asked = {}
    for name in ("baseline", "baseline@silence", "baseline@permuted"):
        run = named_run(name)
        params = load_params(answer.Params, *answer.reads(run))
        condition = condition_of(run.condition, params.arms) if run.condition else None
        asked[name] = answer.decoding_of(run, params, condition).n
    assert asked == {"baseline": 3, "baseline@silence": 3, "baseline@permuted": 1}
