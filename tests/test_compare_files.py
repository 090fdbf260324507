"""Two prediction files side by side, of ours or of the challenge's format."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.core.runs import Run, named_run
from tests.commands import command

N = 120
A, B = "first.jsonl", "second.jsonl"


def question(i):
    return Question(
        id=f"q{i}",
        audio=Audio(f"mini/q{i}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=("from near to far", "from far to near"),
        answer=0,
        category="Semantic Layer" if i < 60 else "Signal Layer",
        sub_category="Content Analysis" if i % 2 else "Music Theory",
        modality="sound",
        language="en",
        source="mini",
        group=f"g{i // 2}",
    )


def response(i, right, sample_index=0):
    return Response(f"q{i}", sample_index, "ok", "", "", 0 if right else 1, "verbatim", "stop", 5, 5)


def write(name, right, ids=range(N)):
    write_jsonl(Path(name), (to_dict(response(i, i in right)) for i in ids))


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A has the first 60 questions right, B loses two of them and gains twenty."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("questions.jsonl"), (to_dict(question(i)) for i in range(N)))
    write(A, set(range(60)))
    write(B, set(range(2, 80)))


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments, questions="questions.jsonl"):
        """What is printed: stdout and stderr."""
        if ended := command("compare", *arguments, "--questions", questions):
            raise SystemExit(ended)
        return capsys.readouterr()

    return run


@pytest.fixture
def fails(run, capsys):
    def fails(*arguments, **options):
        """The message of a run that must end with exit code 2."""
        with pytest.raises(SystemExit) as caught:
            run(*arguments, **options)
        assert caught.value.code == 2
        return capsys.readouterr().err

    return fails


def test_all_figures_of_two_files_are_told(run):
    result = json.loads(run(A, B, "--json").out)
    assert [(found["name"], found["acc"], found["samples"]) for found in result["runs"]] == [
        ("first", 0.5, 1),
        ("second", 0.65, 1),
    ]
    assert (result["n"], result["only_a"], result["only_b"], result["difference"]) == (N, 2, 20, 0.15)
    assert 0.03 < result["low"] < 0.15 < result["high"] < 0.27
    assert result["p"] == result["p_holm"] == pytest.approx(24 / 2**11, rel=1e-5)  # ten clips against one
    assert result["verdict"] == "better"
    assert 0.05 < result["detectable"] < 0.2
    assert {row["name"]: row["difference"] for row in result["category"]["rows"]} == {
        "Semantic Layer": pytest.approx(-2 / 60, abs=1e-6),
        "Signal Layer": pytest.approx(20 / 60, abs=1e-6),
    }
    assert (result["category"]["improves"], result["category"]["rise"]) == (1, ["Signal Layer"])
    assert [row["n"] for row in result["sub_category"]["rows"]] == [60, 60]
    assert result["warnings"] == []


def test_the_text_is_narrow_and_ends_in_a_verdict_and_two_tables(run):
    printed = run(A, B).out
    assert max(map(len, printed.splitlines())) <= 120
    assert "A does better on 2, B on 20, both alike on 98" in printed
    assert "verdict on B: better" in printed
    assert "improves 1 of 2 categories, falls in 1; significant (q < 0.1): Signal Layer ↑" in printed
    assert "improves 2 of 2 sub-categories" in printed


def test_markdown_holds_the_reference_form(run):
    printed = run(B, A, "--md").out
    assert "| approach | accuracy | Δ to A | p | verdict |" in printed
    row = next(line for line in printed.splitlines() if line.startswith("| B: first |"))
    assert "| 50.0 (41.2–58.8) | -15.0 (-" in row and row.endswith("| worse (one comparison, unadjusted) |")
    assert "| Signal Layer | 60 | 33.3 | 0.0 | **-33.3** |" in printed


def test_a_file_beside_itself_is_not_distinguishable_and_the_test_still_says_what_it_sees(run):
    result = json.loads(run(A, A, "--json").out)
    assert (result["difference"], result["p"], result["verdict"]) == (0, 1, "not distinguishable")
    assert result["verdict_text"].startswith("not distinguishable: this test can see 3.")
    assert [found["name"] for found in result["runs"]] == [A, f"{A} (again)"]


def test_both_scores_are_available(run):
    write(B, set(range(40)))  # the words of the wrong choice are those of the right one, in another order
    strict, official = (json.loads(run(A, B, "--json", "--score", score).out) for score in ("strict", "official"))
    assert (strict["difference"], strict["verdict"]) == (pytest.approx(-1 / 6, abs=1e-6), "worse")
    assert (official["difference"], official["runs"][0]["acc"]) == (0, 1)


def test_the_margin_of_no_harm_can_be_set(run, fails):
    write(B, {*range(1, 60), 61})
    assert "within ±10.0 points: no harm" in run(A, B, "--margin", "0.1").out
    assert "no harm" not in run(A, B, "--margin", "0.01").out
    assert "--margin is a fraction of one" in fails(A, B, "--margin", "2")


def test_the_challenges_files_on_mmars_metadata_are_compared_and_clustered_by_video(run):
    rows = [
        {
            "id": f"v{i // 4}_00-00-0{i % 4}_00-00-09", "question": "?", "choices": ["rain", "wind"], "answer": "rain",
            "category": "Perception Layer", "sub-category": "Temporal Analysis", "modality": "sound",
        }
        for i in range(40)
    ]  # fmt: skip
    write_json(Path("meta.json"), rows)
    for name, right in ((A, 20), (B, 30)):
        answers = ["rain" if i < right else "wind" for i in range(40)]
        write_jsonl(Path(name), ({"id": row["id"], "thinking_prediction": "", "answer_prediction": answer}
                                 for row, answer in zip(rows, answers, strict=True)))  # fmt: skip
    result = json.loads(run(A, B, "--json", questions="meta.json").out)
    assert (result["difference"], result["only_b"]) == (0.25, 10)
    assert "over 10 groups" in result["method"]


def test_names_of_runs_stand_for_their_files(run, fails):
    write("data/answers/base/baseline.jsonl", set(range(60)))
    write("data/answers/iter1/baseline.jsonl", set(range(90)))
    result = json.loads(run("baseline", "iter1/baseline", "--json").out)
    assert (result["difference"], result["a"], result["b"]) == (0.25, "baseline", "iter1/baseline")
    assert [found["name"] for found in result["runs"]] == ["baseline", "iter1/baseline"]
    assert "no run is called 'baselin' here" in fails("baselin", "baseline")
    assert "no run is called 'baseline@votes' here" in fails("baseline@votes", "baseline")


def test_a_run_that_cannot_be_is_refused_instead_of_reading_the_base_models(fails):
    write("data/controls/base/baseline@silence.jsonl", set(range(60)))
    message = fails("baseline@silence", "iter1/baseline@silence")
    assert "no run is called 'iter1/baseline@silence' here: there is no data/controls/iter1/" in message
    assert named_run("base/baseline@silence") == Run("baseline", condition="silence")


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────


def test_files_over_different_questions_are_refused_with_what_each_lacks(fails):
    write(A, set(), range(100))
    write(B, set(), range(5, 102))
    message = fails(A, B)
    assert (
        "answer different questions: 5 only in first.jsonl (q0, q1, q2, …), 2 only in second.jsonl (q100, q101)"
        in message
    )


def test_predictions_for_other_questions_are_refused(fails):
    write(B, set(), range(N + 1))
    assert "second.jsonl:121: no question has the id 'q120'" in fails(A, B)


def test_questions_that_neither_file_answers_are_left_out_with_a_warning(run):
    write(A, set(range(60)), range(100))
    write(B, set(range(2, 80)), range(100))
    printed = run(A, B, "--json")
    result = json.loads(printed.out)
    assert (result["n"], result["left_out"], result["runs"][0]["acc"]) == (100, 20, 0.6)
    told = "20 of 120 questions are in neither file and left out: q100, q101, q102, …"
    assert f"warning: {told}" in printed.err and result["warnings"] == [told]
    assert f"warning: {told}" in run(A, B).out and f"- {told}" in run(A, B, "--md").out


def test_a_group_without_any_question_is_shown_empty_and_not_tested(run):
    write(A, set(range(60)), range(60))
    write(B, set(range(40)), range(60))
    result = json.loads(run(A, B, "--json").out)
    semantic, signal = result["category"]["rows"]
    assert (signal["n"], signal["acc_a"], signal["p"], signal["q"]) == (0, None, None, None)
    assert semantic["q"] == semantic["p"], "an empty group is no test to adjust for"
    assert (result["category"]["improves"], result["category"]["worsens"]) == (0, 1)
    printed = run(A, B).out
    assert "improves 0 of 1 categories, falls in 1" in printed
    line = next(line for line in printed.splitlines() if line.startswith("Signal Layer"))
    assert line.split() == ["Signal", "Layer", "0", *["–"] * 6]
    assert "| Signal Layer | 0 | – | – | – | – | – | – |" in run(A, B, "--md").out


def test_several_samples_beside_one_are_compared_by_their_means_with_a_warning(run):
    write_jsonl(Path(B), (to_dict(response(i, i < 60 or k < 1, k)) for i in range(N) for k in range(4)))
    printed = run(A, B, "--json")
    result = json.loads(printed.out)
    assert (result["difference"], result["only_a"], result["only_b"]) == (0.125, 0, 60)
    assert result["method"].startswith("randomisation p")
    assert [found["samples"] for found in result["runs"]] == [1, 4]
    assert "warning: first has 1 samples a question and second has 4" in printed.err
    assert "mean over samples" in run(A, B, "--md").out


def test_a_file_of_errors_alone_is_compared_but_never_judged(run):
    failed = [Response(f"q{i}", 0, "error", "", "", None, "", "", 0, 0, error="timeout") for i in range(N)]
    write_jsonl(Path(B), map(to_dict, failed))
    printed = run(A, B, "--json")
    result = json.loads(printed.out)
    assert (result["runs"][1]["acc"], result["runs"][1]["error"], result["verdict"]) == (0, 1, "no verdict")
    assert "warning: second has no answer at all (120 error)" in printed.err
    assert "no verdict" in run(A, B).out


@pytest.mark.parametrize(("errors", "told"), [(1, False), (2, True)])
def test_more_than_one_percent_of_errors_is_warned_of(run, errors, told):
    failed = Response("", 0, "error", "", "", None, "", "", 0, 0, error="timeout")
    rows = [replace(failed, question_id=f"q{i}") if i < errors else response(i, i < 60) for i in range(N)]
    write_jsonl(Path(B), map(to_dict, rows))
    warning = "second: 2 of 120 responses are errors, which count as wrong"
    assert (warning in run(A, B).out) is told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": True}, "first.jsonl:1: 'answer' must be a whole number or null, found true"),
        ({"text": None}, "first.jsonl:1: 'text' must be a text, found null"),
        ({"thinking": 3}, "first.jsonl:1: 'thinking' must be a text, found 3"),
    ],
)
def test_records_of_the_wrong_shape_are_told_with_their_line(fails, change, message):
    rows = [to_dict(response(i, True)) for i in range(N)]
    write_jsonl(Path(A), [{**rows[0], **change}, *rows[1:]])
    assert message in fails(A, B)


def test_names_cannot_break_a_markdown_table(run):
    write_jsonl(Path("questions.jsonl"), (to_dict(replace(question(i), sub_category="a|b <i>")) for i in range(N)))
    Path(A).rename("x|y.jsonl")
    printed = run("x|y.jsonl", B, "--md").out
    assert r"| a\|b \<i\> | 120 |" in printed and r"| A: x\|y |" in printed


@pytest.mark.parametrize("form", [(), ("--md",), ("--json",)])
def test_no_text_of_a_question_reaches_the_terminal_as_a_command(run, form):
    evil = "\x1b[2J\x9b31m\u202e<b>"
    rows = [replace(question(i), sub_category=evil, id=f"{evil}{i}") for i in range(N)]
    Path("questions.jsonl").write_text("".join(f"{json.dumps(to_dict(row))}\n" for row in rows))
    for name, right in ((A, 20), (B, 80)):  # 20 questions are in neither file
        answers = [to_dict(replace(response(i, i < right), question_id=f"{evil}{i}")) for i in range(100)]
        Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in answers))
    printed = run(A, B, *form)
    shown = printed.out + printed.err
    assert not [c for c in shown if not c.isprintable() and c != "\n"] and "left out" in shown and "[2J" in shown
    assert "↑" in shown or form == ("--json",)
    assert "<b>" not in printed.out or form != ("--md",)


def test_no_id_reaches_the_terminal_as_a_command_in_a_message(fails):
    rows = [replace(question(i), id=f"\x1b[2J{i}") for i in range(N)]
    write_jsonl(Path("questions.jsonl"), map(to_dict, rows))
    for name, ids in ((A, range(100)), (B, range(5, 102))):
        write_jsonl(Path(name), (to_dict(replace(response(i, True), question_id=f"\x1b[2J{i}")) for i in ids))
    message = fails(A, B)
    assert "5 only in first.jsonl ([2J0, [2J1, [2J2, …)" in message and "\x1b" not in message
    write_jsonl(Path(B), [to_dict(replace(response(0, True), question_id="\x1b[2J0"))] * 2)
    message = fails(A, B)
    assert "sample 0 of [2J0 is already at second.jsonl:1" in message and "\x1b" not in message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"id": ' * 100_000, "1" * 5_000])
@pytest.mark.parametrize("name", ["questions.jsonl", A])
def test_json_that_python_cannot_read_is_told_with_its_line(fails, name, text):
    first = "" if text.startswith("[") else Path(name).read_text().split("\n")[0] + "\n"
    Path(name).write_text(f"{first}{text}\n")
    assert f"{name}:{2 if first else 1}: " in fails(A, B)


def test_answers_that_are_all_wrong_are_a_result_like_another(run):
    write(B, set())
    result = json.loads(run(A, B, "--json").out)
    assert (result["runs"][1]["acc"], result["runs"][1]["low"], result["verdict"]) == (0, 0, "worse")
    assert result["warnings"] == []


def test_a_single_question_gives_no_verdict_of_better(run):
    write(A, set(), [0])
    write(B, {0}, [0])
    result = json.loads(run(A, B, "--json").out)
    assert (result["difference"], result["low"], result["high"], result["p"]) == (1, -1, 1, 1)
    assert result["verdict"] == "not distinguishable"


def test_empty_files_are_refused(fails):
    Path(A).write_text("")
    Path(B).write_text("")
    assert "hold no predictions" in fails(A, B)


@pytest.mark.parametrize("arguments", [(A,), (A, B, A), (A, B, "--md", "--json")])
def test_two_files_are_asked_for(fails, arguments):
    assert "Usage" in fails(*arguments)


def test_questions_without_a_right_choice_are_left_out_and_named(run):
    labels = {"modality": "sound", "category": "C", "sub-category": "S"}
    rows = [{"id": f"q{i}", "choices": ["a cat", "a dog"], "answer": "a cat", **labels} for i in range(N)]
    write_jsonl(Path("questions.jsonl"), [*rows[:-1], {**rows[-1], "answer": "a horse"}])
    for name, answer in ((A, "a cat"), (B, "a dog")):
        prediction = {"thinking_prediction": "x", "answer_prediction": answer}
        write_jsonl(Path(name), ({"id": row["id"], **prediction} for row in rows))
    printed = run(A, B, "--json")
    assert json.loads(printed.out)["n"] == N - 1
    assert f"1 questions have no right choice, so they are left out and nothing scores on them: q{N - 1}" in printed.err
