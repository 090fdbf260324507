"""What a run is said to take: arithmetic on parameters, on what is known of questions, and on what was measured."""

import json
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import to_dict
from cli.main import app
from stages import plan, plan_table
from stages.compose import composed
from stages.layout import QUESTIONS, manifest_file
from stages.models import recipes
from stages.plan_sources import expected
from stages.plan_steps import Step, steps
from stages.project import Project, parse_project
from stages.runs import Run
from tests.training_records import ROOT, question


class Known:
    """Round numbers."""

    def count(self, split: str) -> int:
        return {"train": 3000, "dev": 100, "test": 50}[split]

    def prompt(self, split: str, variant: str, condition: str = "") -> float:
        return 10.0 if condition == "text_only" else 30.0

    def completion(self, variant: str) -> float:
        return 5.0


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def project(*overrides: str) -> Project:
    return parse_project(composed([*overrides]), "conf/")


def reckoned(*overrides: str) -> dict[str, Step]:
    found = project(*overrides)
    return {step.name: step for step in steps(found, recipes(found), Known())}


def test_each_kind_of_work_is_counted() -> None:
    found = reckoned("arms.permutations=4", "vote.n=8")
    assert found["answer@baseline"] == Step("answer@baseline", 50, 50, 1500, 250)
    variant = "structured_reasoning"
    assert found[f"answer_controls@{variant}-permuted"].requests == 200
    assert found[f"answer_controls@{variant}-text_only"].prompt_tokens == 500
    assert (found[f"answer_samples@{variant}"].requests, found[f"answer_samples@{variant}"].answers) == (50, 400)
    assert found["training_generate@iter1"].answers == 600 * 16 + 600 + 100 * 4
    assert found["training_gate@iter1"].requests == 100 * 2 + 60
    assert found["training_fit@iter2"].trained_tokens == 2 * found["training_fit@iter1"].trained_tokens, "banks add up"
    assert found["answer_models@iter3-baseline"].requests == 50


def test_what_is_left_out_takes_nothing() -> None:
    none = ["models=none", "optimize=none", "arms.variants=[]", "vote.variants=[]", "judge.runs=[]"]
    named = ["headline.variant=baseline", "submission.run=baseline", "training.eval_prompts=[baseline]"]
    found = reckoned(*none, *named, "prompts.variants=[baseline,gepa]")
    assert list(found) == ["answer@baseline", "answer@gepa"]


def test_sources_that_are_not_here_are_taken_as_stated_with_their_limits() -> None:
    found = expected(project("profile=a100"))
    assert found.questions == {"train": 4800, "dev": 1200, "test": 1000}
    assert found.downloads["mmar"] == 3.6 and found.downloads["audiomcq"] < 9.7, "a limit saves clips"
    assert found.downloads["Qwen/Qwen3-Omni-30B-A3B-Thinking"] == 63
    assert expected(project("profile=a100", "models=none", "sources=[]")).questions["train"] == 0


def test_questions_that_are_here_are_counted_and_those_of_other_sources_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini, large = project(), project("profile=a100")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").symlink_to(ROOT / "prompts")
    for split in ("train", "dev", "test"):
        write_jsonl(QUESTIONS / f"{split}.jsonl", [to_dict(question(f"{split}{i}")) for i in range(3)])
    write_json(
        QUESTIONS / "manifest.json", {"splits": {s: {"by_source": {"mini": 3}} for s in ("train", "dev", "test")}}
    )
    assert plan.Here(mini).count("test") == 3 and plan.Here(mini).seconds("dev") == 1.5
    assert plan.Here(large).count("test") == 1000
    made = {"model": {"id": "mini-thinker"}, "decoding": {"max_tokens": 64, "n": 1}, "questions": 3}
    write_json(manifest_file(Run("baseline")), {**made, "tokens": {"completion": 27}})
    assert plan.Here(mini).completion("baseline") == 9, "of answers that are here"
    measured = plan.Measured("mini-thinker", {"baseline": 11.0}, 0.1)
    assert plan.Here(mini, measured=measured).completion("baseline") == 11
    assert plan.Here(mini).completion("cross_layer") == mini.plan.completion_tokens


def test_nothing_can_be_measured_without_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = project()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="dvc repro questions base_model"):
        plan.measure(mini, {})


def test_what_was_measured_of_another_model_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = project()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_json(plan.measured_file(), {"model": "another", "completion": {}, "seconds": 1.0})
    assert plan.read_measured(mini) is None
    write_json(plan.measured_file(), {"model": "mini-thinker", "completion": {"baseline": 3.0}, "seconds": 1.0})
    assert plan.read_measured(mini) == plan.Measured("mini-thinker", {"baseline": 3.0}, 1.0)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        app(["plan", *arguments], prog_name="audio-reasoning")
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def test_the_command_tells_of_another_composition_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("params.yaml").read_bytes()
    code, said = run(capsys, "profile=a100", "models=none", "sources=[]")
    assert code == 0 and "in all" in said and "GPU time" in said and "mmar 3.6 GB" in said and "training" not in said
    assert Path("params.yaml").read_bytes() == before
    code, said = run(capsys, "profile=a100", "--json")
    figures = json.loads(said)
    assert {"name", "requests", "hours"} <= set(figures["steps"][0]) and figures["notes"]


def test_a_mistyped_override_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "profile=a10")
    assert code == 2 and 'did you mean "a100"' in said


def test_the_sums_are_those_of_the_steps() -> None:
    parts = [Step("training_fit@a", trained_tokens=5), Step("answer@x", 1, 2, 3, 4), Step("answer@y", 1, 2, 3, 4)]
    assert plan_table.total(parts) == Step("in all", 2, 4, 6, 8, 5)
    assert [step.name for step in plan_table.kinds(parts)] == ["training_fit@a", "answer"]


def test_no_stage_reads_the_rates() -> None:
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    assert "plan" not in json.dumps([stage.get("do", stage).get("params", []) for stage in stages.values()])
