"""What the check before a run finds in parameters that are sound one by one, and fail hours later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import check
from stages.judge.endpoint import KEY, URL

ROOT = Path(__file__).parent.parent
Change = Callable[..., list[str]]


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """The problems of params.yaml with some values changed, in a folder without prompts, sources or dvc.yaml."""
    monkeypatch.chdir(tmp_path)
    for name in (URL, KEY):
        monkeypatch.delenv(name, raising=False)

    def changed(**groups: dict[str, Any]) -> list[str]:
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        for group, values in groups.items():
            params[group] |= values
        Path("params.yaml").write_text(yaml.safe_dump(params))
        return check.problems()

    return changed


def about(found: list[str], key: str) -> list[str]:
    return [problem for problem in found if key in problem]


def test_a_judge_model_needs_its_address_and_its_key(problems: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = {"kind": "endpoint", "model": "judge", "runs": ["baseline"]}
    assert about(problems(judge=judge), "judge.") == [f"judge.kind is endpoint: set {name}" for name in (URL, KEY)]
    monkeypatch.setenv(URL, "https://example.org/v1")
    monkeypatch.setenv(KEY, "secret")
    assert about(problems(judge=judge), "judge.") == []


@pytest.mark.parametrize("judge", [{"kind": "endpoint", "model": "judge", "runs": []}, {"kind": "evidence"}])
def test_no_judge_model_needs_nothing(problems: Change, judge: dict[str, Any]) -> None:
    assert about(problems(judge=judge), "judge.") == []


@pytest.mark.parametrize("run", ["baseline@silence", "baseline@samples"])
def test_a_run_that_cannot_be_submitted_is_told(problems: Change, run: str) -> None:
    [found] = problems(submission={"run": run})
    assert "submission.run: arms and samples cannot be submitted" in found and run in found


@pytest.mark.parametrize("run", ["baseline", "structured_reasoning@vote", "iter1/baseline"])
def test_prompts_votes_and_iterations_can_be_submitted(problems: Change, run: str) -> None:
    assert about(problems(submission={"run": run}), "submission.run") == []


def test_several_answers_a_question_need_a_vote_to_be_submitted(problems: Change) -> None:
    assert about(problems(infer={"n": 4}, submission={"run": "baseline"}), "submission.run: infer.n 4 gives baseline")
    assert about(problems(infer={"n": 4}, submission={"run": "structured_reasoning@vote"}), "submission.run") == []
