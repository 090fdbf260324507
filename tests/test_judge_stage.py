"""The stage `judge` as it is run: who is asked, what is written, and how mistakes end."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from audio_reasoning.engines import connection
from audio_reasoning.judging.endpoint import KEY, URL
from stages import judge, rubrics
from tests.fake_judge import FakeJudge, reply

ROOT = Path(__file__).parent.parent
EVIDENCE = {"heard": "bell, then drum", "analysis": "the last is drum", "brief": "last drum"}


def question(number: int) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "audio": {"path": f"mini/q{number}.flac", "sha256": "0", "duration_s": 1.0},
        "question": f"Which instrument comes last in take {number}?",
        "choices": ["drum", "bell"],
        "answer": 0,
        "category": "c",
        "sub_category": "s",
        "modality": "music",
        "language": None,
        "source": "mini",
        "group": f"g{number}",
    }


def response(number: int, answer: int | None, thinking: str) -> dict[str, Any]:
    return {
        "question_id": f"q{number}",
        "sample_index": 0,
        "status": "ok" if answer is not None else "no_answer",
        "text": thinking,
        "thinking": thinking,
        "answer": answer,
        "extraction": "x",
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


class Project:
    """A folder with four questions: `baseline` is right on q0 and q1, `minimal_instruction` on q0, q1 and q2."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
        self.params["runtime"]["concurrency"] = 4
        self.params["compare"]["resamples"] = 1000
        self.set(runs=["baseline", "minimal_instruction"])
        write(root / "data/questions/test.jsonl", [question(n) for n in range(4)])
        source = [
            {**asked, "answer": "drum", "kind": "last", "evidence": EVIDENCE, "split": "test"}
            for asked in ({"id": f"q{n}", "question": question(n)["question"]} for n in range(4))
        ]
        write(root / "data/sources/mini/questions.jsonl", source)
        brief, whole = "last drum", "bell, then drum, so drum"
        self.predict("baseline", [response(n, 0 if n < 2 else 1, brief) for n in range(4)])
        self.predict("minimal_instruction", [response(n, 0 if n < 3 else None, whole) for n in range(4)])

    def set(self, **judge: Any) -> None:
        self.params["judge"] |= judge
        (self.root / "params.yaml").write_text(yaml.safe_dump(self.params))

    def bring(self, *rows: dict[str, Any]) -> None:
        """Have q0, q1, … in a source of the user's own, in the place of mini's."""
        mine = {"loader": "files", "questions": "q", "audio": "a", "split": "test", "invalid": "stop", "sha256": ""}
        self.params["data"]["sources"]["mine"] = mine
        self.set()
        path = self.root / "data/sources/mini/questions.jsonl"
        write(path, [json.loads(line) for line in path.read_text().splitlines()[len(rows) :]])
        brought = [{"id": f"q{n}", "answer": "drum", **row} for n, row in enumerate(rows)]
        write(self.root / "data/sources/mine/questions.jsonl", brought)
        rubrics.main()

    def predict(self, variant: str, rows: list[dict[str, Any]]) -> None:
        write(self.root / f"data/answers/base/{variant}.jsonl", rows)

    def judge(self) -> dict[str, Any]:
        judge.main()
        result: dict[str, Any] = json.loads((self.root / "metrics/judge.json").read_text())
        return result

    def ratings(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "data/ratings/test.jsonl").read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(sys, "argv", ["judge"])
    project = Project(tmp_path)
    rubrics.main()
    return project


@pytest.fixture
def fake(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJudge]:
    monkeypatch.setattr(connection, "_FIRST_WAIT_S", 0.02)
    project.set(kind="endpoint", model="judge", max_calls=100)
    with FakeJudge(lambda prompt, seed: reply(1, 1, 1, 0, 0)) as fake:
        monkeypatch.setenv(URL, fake.base_url)
        monkeypatch.setenv(KEY, fake.key)
        yield fake


def ends_with(project: Project, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        project.judge()
    assert ended.value.code == 2
    return capsys.readouterr().err


# ── The evidence judge ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_evidence_judge_says_what_it_is_and_asks_nobody(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL, raising=False)
    found = project.judge()
    assert found["judge"] == "evidence" and "not MMAR-Rubrics" in found["note"]
    assert "rubrics_score" not in found
    # baseline: last drum: 0 0 1 1 0 on two of four; minimal_instruction: all five on three of four.
    assert found["evidence_score"] == {"baseline": 0.2, "minimal_instruction": 0.75}
    assert [row["trace_quality"] for row in found["runs"]] == [0.4, 1.0]
    assert found["runs"][0]["items_met"] == {
        "hears_all": 0.0,
        "in_order": 0.0,
        "nothing_else": 1.0,
        "concludes": 1.0,
        "follows": 0.0,
    }
    assert found["made_by"][0]["ratings"] == 1


def test_the_table_shows_the_interval_of_each_score(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = project.judge()["runs"]
    printed = capsys.readouterr().out
    for row in (first, last):
        low, high = (f"{100 * row[f'trace_quality_{end}']:.1f}" for end in ("low", "high"))
        assert f"{100 * row['trace_quality']:.1f} ({low}–{high})" in printed
        assert f"{100 * row['low']:.1f}–{100 * row['high']:.1f}" in printed


def test_later_runs_are_compared_with_the_first_question_by_question(project: Project) -> None:
    [row] = project.judge()["comparisons"]
    assert (row["a"], row["b"], row["n"], row["only_a"], row["only_b"]) == ("baseline", "minimal_instruction", 4, 0, 3)
    assert row["difference"] == pytest.approx(0.55)
    assert row["low"] <= 0.55 <= row["high"] and row["p"] == row["p_holm"]


def test_the_same_inputs_give_the_same_bytes(project: Project) -> None:
    project.judge()
    files = [project.root / "metrics/judge.json", project.root / "data/ratings/test.jsonl"]
    before = [file.read_bytes() for file in files]
    project.judge()
    assert [file.read_bytes() for file in files] == before


def test_questions_that_the_user_brought_are_left_out_and_counted(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.bring({"rubric": list("abcde")}, {"evidence": "a bell"}, {"rubric": "be clear", "evidence": 3})
    assert "1 rubrics cannot be used and are left out" in capsys.readouterr().err
    found = project.judge()
    assert (found["questions"], found["left_out"]) == (4, 3)
    assert [row["n"] for row in found["runs"]] == [1, 1] and found["evidence_score"] == {
        "baseline": 0.0,
        "minimal_instruction": 0,
    }
    assert "3 of 4 test questions hold no evidence" in capsys.readouterr().out
    assert {row["question_id"] for row in project.ratings()} == {"q3"}


def test_without_any_question_of_mini_there_is_nothing_to_judge_and_that_is_said(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.bring(*({"evidence": None} for _ in range(4)))
    found = project.judge()
    assert found["note"].startswith("nothing to judge: none of the 4 test questions") and found["left_out"] == 4
    assert found["runs"] == found["comparisons"] == project.ratings() == []
    assert not {"evidence_score", "rubrics_score"} & set(found)
    assert "nothing to judge" in capsys.readouterr().out


def test_no_runs_is_off_and_says_so(project: Project) -> None:
    project.set(runs=[])
    found = project.judge()
    assert found["note"].startswith("off") and found["runs"] == found["comparisons"] == []
    assert not {"evidence_score", "rubrics_score"} & set(found) and project.ratings() == []


# ── A judge model ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_judge_model_is_asked_about_right_answers_alone(project: Project, fake: FakeJudge) -> None:
    found = project.judge()
    # Two right answers of baseline and three of minimal_instruction, five ratings each.
    assert len(fake.bodies) == 25
    assert found["rubrics_score"] == {"baseline": 0.3, "minimal_instruction": 0.45} and "evidence_score" not in found
    assert found["made_by"][0]["model"] == "judge" and found["runs"][0]["ratings"] == 10
    assert found["made_by"][0]["base_url"] == fake.base_url and found["left_out"] == 0
    by_question = {(row["run"], row["question_id"]): row["ratings"] for row in project.ratings()}
    assert by_question["baseline", "q0"] == [[1, 1, 1, 0, 0]] * 5 and by_question["baseline", "q3"] == []
    assert project.ratings()[0]["why"] == [["so"] * 5] * 5 and project.ratings()[3]["why"] == []
    assert fake.key not in (project.root / "metrics/judge.json").read_text()


def test_the_second_run_of_the_stage_sends_nothing(project: Project, fake: FakeJudge) -> None:
    first = project.judge()
    fake.bodies.clear()
    assert project.judge() == first
    project.set(runs=["minimal_instruction"])
    project.judge()
    assert not fake.bodies


def test_runs_that_say_the_same_share_their_ratings(project: Project, fake: FakeJudge) -> None:
    project.predict("baseline", [response(n, 0, "bell, then drum, so drum") for n in range(4)])
    row = project.judge()["runs"][0]
    assert row["ratings"] == 20 and len(fake.bodies) == 20  # the fifteen of minimal_instruction are among them


def test_an_answer_that_is_right_by_mmars_match_alone_is_rated_for_that_score(
    project: Project, fake: FakeJudge
) -> None:
    cut = {**response(0, None, "bell, then"), "text": "<think>bell</think>ANSWER: it is a drum", "status": "truncated"}
    project.predict("baseline", [cut, *(response(n, 1, "bell") for n in range(1, 4))])
    row = project.judge()["runs"][0]
    assert (row["score"], row["score_official"], row["ratings"]) == (0.0, 0.15, 5)


def test_the_judge_sees_the_trace_quoted_and_the_rubric(project: Project, fake: FakeJudge) -> None:
    project.judge()
    seen = fake.bodies[-1]["messages"][1]["content"]
    for part in (
        "Which instrument comes last in take",
        "drum; bell",
        "4. Says the answer in words: drum.",
        "bell, then drum;",
    ):
        assert part in seen


def test_too_many_failures_end_with_2_and_everything_is_kept(
    project: Project, fake: FakeJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.decide = lambda prompt, seed: "no" if "last drum\n" in prompt and seed % 1000 == 42 else reply(1, 1, 1, 0, 0)
    said = ends_with(project, capsys)
    assert "2 of 25 ratings failed" in said and "baseline: q0, rating 1: the reply is no rating" in said
    assert "judge.max_error_rate of 0.08 accepts" in said and "asks for all 25 ratings anew" in said
    assert not (project.root / "metrics/judge.json").exists()
    fake.bodies.clear()
    project.set(max_error_rate=0.08)
    row = project.judge()["runs"][0]
    assert not fake.bodies
    assert row["failed"] == 2 and row["ratings"] == 10
    assert project.ratings()[0]["why"][0].startswith("the reply is no rating")
    # Per rater: 0 once, .3 four times; trimmed to .3. Per answer: 0 once, .6 four times; trimmed to .6.
    assert row["score"] == row["score_excluded"] == row["score_per_run"] == 0.3


def test_a_plan_over_the_budget_ends_with_2_before_anything_is_sent(
    project: Project, fake: FakeJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    project.set(max_calls=24)
    assert "judging needs 25 more requests" in ends_with(project, capsys)
    assert not fake.bodies


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_run_is_told_with_the_nearest(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.set(runs=["baselin"])
    assert "no run is called 'baselin'; did you mean \"baseline\"" in ends_with(project, capsys)


def test_a_judge_model_needs_a_rubric_for_every_question(
    project: Project, fake: FakeJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.root / "data/rubrics/test.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    assert "1 of 4 questions have no rubric (q3); point judge.rubrics at" in ends_with(project, capsys)


def test_rubrics_without_evidence_need_a_judge_model(project: Project) -> None:
    write(project.root / "mmar.jsonl", [{"id": f"q{n}", "rubric": list("abcde")} for n in range(4)])
    project.set(rubrics="mmar.jsonl")
    assert "judge.kind endpoint" in project.judge()["note"]


def test_a_source_that_brings_rubrics_along_is_used_and_one_without_is_counted(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.bring({"rubric": list("abcde"), "thinking": "t"}, *({"rubric": None} for _ in range(3)))
    assert "1 of 4 test questions have a rubric" in capsys.readouterr().out


def test_the_stage_runs_without_torch(project: Project) -> None:
    code = "import sys, stages.judge; sys.exit('torch' in sys.modules or 'statsmodels' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
