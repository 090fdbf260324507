"""What the check before a run finds in parameters that are sound one by one, and fail hours later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.judging.endpoint import KEY, URL
from stages import check
from stages.layout import QUESTIONS

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
            params[group] = values if group == "models" else params[group] | values
        Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        return check.problems()

    return changed


def about(found: list[str], key: str) -> list[str]:
    return [problem for problem in found if key in problem]


def test_a_judge_model_needs_its_address_and_its_key(problems: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = {"kind": "endpoint", "model": "judge", "runs": ["baseline"]}
    missing = [f"judge.kind is endpoint: set {name} in the environment" for name in (URL, KEY)]
    assert about(problems(judge=judge), "judge.") == missing
    monkeypatch.setenv(URL, "https://example.org/v1")
    monkeypatch.setenv(KEY, "secret")
    assert about(problems(judge=judge), "judge.") == []


def test_a_branch_of_the_hub_is_warned_of_and_a_commit_is_not(problems: Change) -> None:
    def warned(revision: str) -> list[str]:
        problems(model={"kind": "hub", "revision": revision, "tiny": None})
        return check.branches(check.load_project())

    assert warned("3bd051123480e80d273ae9e8e9f1653f49010ac7") == []
    [warning] = warned("main")
    assert (
        warning.startswith("model.revision is main, a branch or a tag") and "set model.revision to that com" in warning
    )


def test_an_endpoint_that_answers_needs_its_address_and_its_key(
    problems: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = {"backend": "openai", "endpoint_model": "theirs"}
    monkeypatch.delenv("AUDIO_REASONING_BASE_URL", raising=False)
    monkeypatch.setenv("AUDIO_REASONING_API_KEY", "secret")
    assert about(problems(infer=infer), "infer.backend is") == [
        "infer.backend is openai: set AUDIO_REASONING_BASE_URL in the environment"
    ]


@pytest.mark.parametrize(("backend", "told"), [("vllm", 0), ("openai", 1), ("transformers", 1)])
def test_answers_can_be_forced_by_vllm_alone(problems: Change, backend: str, told: int) -> None:
    found = problems(infer={"backend": backend, "endpoint_model": "theirs"}, thinking={"force_answer": True})
    assert len(about(found, "thinking.force_answer needs infer.backend vllm")) == told


def test_a_part_of_ones_own_has_to_be_there(problems: Change) -> None:
    [engine] = about(problems(infer={"backend": "no_such_module:engine"}), "infer.backend")
    assert "cannot load 'no_such_module:engine'" in engine and "module:object" in engine


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


# ── Self-training ────────────────────────────────────────────────────────────────────────────────────────────────────

CHAIN = "train questions (generate.problems"
FILES = {"loader": "files", "questions": "q.jsonl", "audio": "audio", "split": "train", "invalid": "stop", "sha256": ""}


def models(starts: dict[str, str], **generate: Any) -> dict[str, Any]:
    nodes = {name: {"from": start, "method": "rest", "generate": generate} for name, start in starts.items()}
    return {"models": nodes}


def mini(train: int) -> dict[str, Any]:
    source = yaml.safe_load((ROOT / "params.yaml").read_text())["data"]["sources"]["mini"]
    return source | {"train": train}


def gathered(**sources: int) -> None:
    splits = {"train": {"by_source": sources}, "dev": {"by_source": {}}, "test": {"by_source": {}}}
    write_json(QUESTIONS / "manifest.json", {"splits": splits})


def test_the_deepest_chain_of_models_must_find_fresh_problems(problems: Change) -> None:
    starts = {"iter1": "base", "iter2": "iter1", "branch": "iter1", "iter3": "iter2", "b": "base"}
    chain = models(starts, problems=100)
    assert about(problems(**chain, data={"sources": {"mini": mini(300)}}), "models") == []
    [found] = about(problems(**chain, data={"sources": {"mini": mini(299)}}), CHAIN)
    assert "models.iter3 needs 300 train" in found and "data.sources have 299" in found


def test_the_same_problems_for_every_model_are_needed_once(problems: Change) -> None:
    chain = models({"iter1": "base", "iter2": "iter1"}, problems=100, fresh=False)
    assert about(problems(**chain, data={"sources": {"mini": mini(100)}}), "models") == []
    assert about(problems(**chain, data={"sources": {"mini": mini(99)}}), "needs 100 train")


def test_questions_of_ones_own_are_counted_once_they_are_gathered(problems: Change) -> None:
    chain = models({"iter1": "base", "iter2": "iter1"}, problems=100)
    data = {"sources": {"mini": mini(150), "mine": FILES}}
    assert about(problems(**chain, data=data), "models") == [], "nobody knows yet"
    gathered(mini=150, mine=50)
    assert about(problems(**chain, data=data), "models") == []
    gathered(mini=7, mine=49)  # mini's are made as params.yaml says
    assert about(problems(**chain, data=data), "data.sources have 199")


def own_questions(*splits: str | None) -> None:
    fields = {"question": "?", "choices": ["rain", "wind"], "answer": "rain", "modality": "sound", "category": "C"}
    rows = [
        {"id": f"q{i}", "audio_path": f"{i}.wav", "sub-category": "S", "split": split, **fields}
        for i, split in enumerate(splits)
    ]
    write_jsonl(Path("q.jsonl"), rows)


def test_one_source_whose_questions_name_their_splits_is_enough(problems: Change) -> None:
    chain = models({"iter1": "base"}, problems=2)
    data = {"sources": {"mine": {**FILES, "split": "test"}}}
    own_questions("train", "train", "dev", None)
    assert about(problems(**chain, data=data), "models") == []
    own_questions("train", "dev", None)
    [found] = about(problems(**chain, data=data), "models")
    assert "models.iter1 needs 2 train questions" in found and "data.sources have 1" in found
    own_questions("train", None)
    [found] = about(problems(**chain, data=data), "models")
    assert "has dev questions" in found and "give questions a field `split` with dev" in found


def test_a_source_whose_questions_are_all_elsewhere_has_none_of_its_own_split(problems: Change) -> None:
    own_questions("test", "dev")
    chain = models({"iter1": "base"}, problems=1)
    [found] = about(problems(**chain, data={"sources": {"mine": FILES}}), "models")
    assert "has train questions" in found


def test_dropped_questions_are_noted_before_a_submission_is_refused(
    problems: Change, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems()
    Path("conf").symlink_to(ROOT / "conf")
    row = {"source": "mmar", "split": "test", "id": "q9", "what": "the question", "why": "its answer is no choice"}
    write_json(QUESTIONS / "manifest.json", {"splits": {}, "dropped": [row]})
    monkeypatch.setattr("sys.argv", ["check"])
    monkeypatch.setattr(check, "problems", list)
    check.main()
    assert "note: 1 questions of the test set are dropped (q9)" in capsys.readouterr().out


def test_values_that_conf_does_not_give_are_noted(
    problems: Change, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems(infer={"temperature": 0.9})
    Path("conf").symlink_to(ROOT / "conf")
    monkeypatch.setattr("sys.argv", ["check"])
    monkeypatch.setattr(check, "problems", list)
    check.main()
    assert "not those of conf/: infer.temperature; `audio-reasoning compose" in capsys.readouterr().out


def test_a_search_needs_its_start_and_an_endpoint_that_proposes_its_address_and_key(
    problems: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = yaml.safe_load((ROOT / "params.yaml").read_text())["optimize"]["mipro"]
    proposer = {"kind": "endpoint", "model": "m", "temperature": 1.0, "max_tokens": 100}
    found = problems(optimize={"found": {**search, "start": "nowhere", "proposer": proposer}})
    assert about(found, "prompts/nowhere.yaml: no such prompt")
    assert len(about(found, "optimize.found.proposer.kind is endpoint: set AUDIO_REASONING_PROPOSER")) == 2
