"""The stage `infer` from its command line: which model is asked, and where its answers go."""

from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import predictions_dir, write_json
from stages import infer

ROOT = Path(__file__).parents[1]
MANIFEST = {"base": "b" * 64, "adapter": "a" * 64, "iteration": "iter1", "depth": 1, "accepted": True}


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_json(Path("models/iter1/model.json"), MANIFEST)


def fails(monkeypatch, capsys, *arguments):
    """The message of a run that must end with exit code 2."""
    monkeypatch.setattr("sys.argv", ["infer", *arguments])
    with pytest.raises(SystemExit) as caught:
        infer.main()
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_what_identifies_a_model_is_read_from_its_folder():
    assert infer.read_manifest("base") == {"adapter": None, "iteration": None}
    assert infer.read_manifest("iter1") == {"adapter": "a" * 64, "iteration": "iter1"}
    write_json(Path("models/iter2/model.json"), {**MANIFEST, "adapter": None, "iteration": "iter2", "accepted": False})
    assert infer.read_manifest("iter2") == {"adapter": None, "iteration": "iter2"}


def test_the_answers_of_each_model_have_a_folder_of_their_own():
    folders = [str(predictions_dir(model)) for model in ("base", "iter1", "iter2")]
    assert folders == ["data/answers/base", "data/answers/iter1", "data/answers/iter2"]


def test_an_unknown_model_is_told_with_the_nearest_known_one(monkeypatch, capsys):
    with pytest.raises(UserError, match=r'models/iter9/model\.json: no such file.*did you mean "iter1"'):
        infer.read_manifest("iter9")
    assert "models/iter9/model.json" in fails(monkeypatch, capsys, "--variant", "baseline", "--model", "iter9")


def test_an_endpoint_is_not_asked_in_the_name_of_an_iteration(monkeypatch, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["infer"].update(backend="openai", endpoint_model="theirs")
    Path("params.yaml").write_text(yaml.safe_dump(params))
    message = fails(monkeypatch, capsys, "--variant", "baseline", "--model", "iter1")
    assert "infer.backend openai" in message and "not with iter1" in message
    assert not Path("data/rest").exists()
