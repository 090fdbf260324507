"""Scoring as a user meets it: files in, metrics out, and a plain message for every mistake in the files."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.metrics.inputs import Sample, read_question_set, read_samples
from audio_reasoning.metrics.results import to_json
from audio_reasoning.metrics.scoring import metrics_of
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.tasks.official import official_match
from audio_reasoning.tasks.reward import correct
from tests.commands import command
from tests.mmar import METADATA, SAMPLE

CATEGORIES = [
    ("Signal Layer", "Acoustic Quality Analysis"),
    ("Semantic Layer", "Counting and Statistics"),
    ("Semantic Layer", "Content Analysis"),
]


def question(i):
    category, sub_category = CATEGORIES[i % 3]
    return Question(
        id=f"q{i}",
        audio=Audio(f"mini/q{i}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=("a cat", "a dog", "two birds"),
        answer=i % 3,
        category=category,
        sub_category=sub_category,
        modality="mix-sound-speech" if i % 2 else "sound",
        language="en",
        source="mini",
        group=f"g{i // 2}",
    )


def response(name, answer, status="ok", sample_index=0, text="", thinking="hmm", tokens=10):
    return Response(name, sample_index, status, text, thinking, answer, "verbatim", "stop", 50, tokens)


def mmar(i):
    q = question(i)
    return {
        "id": q.id,
        "audio_path": f"./audio/{q.id}.wav",
        "question": q.question,
        "choices": list(q.choices),
        "answer": q.choices[q.answer],
        "modality": q.modality,
        "category": q.category,
        "sub-category": q.sub_category,
        "language": None,
        "source": "youtube",
        "url": "",
        "timestamp": "",
    }


def challenge(name, answer):
    return {"id": name, "thinking_prediction": "I hear it.", "answer_prediction": answer}


@pytest.fixture(autouse=True)
def _in_a_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def workplace():
    """Six test questions, and a variant that has three right, one wrong, one truncated and one without answer."""
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(i)) for i in range(6)))
    rows = [response(f"q{i}", i % 3) for i in range(3)]
    rows += [response("q3", 1), response("q4", None, "truncated"), response("q5", None, "no_answer", text="A bird.")]
    write_jsonl(Path("data/answers/base/baseline.jsonl"), map(to_dict, rows))
    Path("data/answers/base/baseline.run.json").write_text('{"prompt": "baseline"}')


def run(monkeypatch, *arguments):
    if ended := command("score", *map(str, arguments)):
        raise SystemExit(ended)


def fails(monkeypatch, capsys, *arguments):
    """The message of a run that must end with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


# ── One answer, and all of them ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", ["ok", "truncated", "no_answer", "error"])
def test_only_an_ok_response_with_the_right_choice_is_correct(status):
    q = question(1)
    assert correct(q, response("q1", 1, status)) == (status == "ok")
    assert not correct(q, response("q1", 0, status))
    assert not correct(q, response("q1", None, status))


def test_the_stage_writes_the_metrics_of_a_variant(workplace, monkeypatch, capsys):
    run(monkeypatch, "baseline")
    metrics = json.loads(Path("metrics/scores/base/baseline.json").read_text())
    assert metrics["acc_strict"] == 0.5
    assert metrics["acc_official"] == 0.5
    assert (metrics["n"], metrics["truncated"], metrics["no_answer"]) == (6, 0.1667, 0.1667)
    assert (metrics["error"], metrics["missing"], metrics["missing_ids"]) == (0, 0, [])
    assert (metrics["thinking_chars"], metrics["completion_tokens"]) == (3, 10)
    assert metrics["category"] == {"semantic": 0.5, "signal": 0.5}
    assert metrics["sub_category"] == {
        "acoustic_quality_analysis": 0.5,
        "content_analysis": 0.5,
        "counting_and_statistics": 0.5,
    }
    assert metrics["modality"] == {"mix_sound_speech": 0.3333, "sound": 0.6667}
    assert metrics["run"] == [{"prompt": "baseline"}]
    assert metrics["detail"][0] == {
        "by": "all",
        "name": "all",
        "n": 6,
        "acc_strict": 0.5,
        "acc_official": 0.5,
        "low": 0.1876,
        "high": 0.8124,
        "official_low": 0.1876,
        "official_high": 0.8124,
    }
    assert "strict 50.0% (18.8–81.2), official 50.0% (18.8–81.2) of 6" in capsys.readouterr().out


def test_an_iteration_is_scored_like_the_base_and_beside_it(workplace, monkeypatch):
    run(monkeypatch, "baseline")
    folder = Path("data/answers/iter1")
    write_jsonl(folder / "baseline.jsonl", (to_dict(response(f"q{i}", i % 3)) for i in range(6)))
    (folder / "baseline.run.json").write_text('{"model": "iter1"}')
    run(monkeypatch, "iter1/baseline")
    base = json.loads(Path("metrics/scores/base/baseline.json").read_text())
    iteration = json.loads(Path("metrics/scores/iter1/baseline.json").read_text())
    assert list(iteration) == list(base)
    assert (base["acc_strict"], iteration["acc_strict"], iteration["run"]) == (0.5, 1, [{"model": "iter1"}])


def test_an_iteration_without_predictions_is_told(workplace, monkeypatch, capsys):
    message = fails(monkeypatch, capsys, "iter2/baseline")
    assert "data/answers/iter2/baseline.jsonl: no such file" in message and "dvc repro" in message


def test_the_official_match_reads_what_the_model_wrote_where_no_choice_was_found():
    q = question(1)
    text = "<think>x</think>I think it is a dog."
    metrics = metrics_of(
        {"q1": q}, {"q1": [Sample(response("q1", None, "no_answer", text=text), "I think it is a dog.")]}
    )
    assert (metrics.acc_strict, metrics.acc_official) == (0, 1)
    row, none, all_ = metrics.detail[0], wilson(0, metrics.n), wilson(metrics.n, metrics.n)
    assert (row.low, row.high, row.official_low, row.official_high) == pytest.approx((*none, *all_), abs=1e-4)


def test_several_samples_count_as_their_mean():
    questions = {f"q{i}": question(i) for i in range(2)}
    found = {
        "q0": [Sample(response("q0", answer, sample_index=k), "") for k, answer in enumerate([0, 0, 0, 1])],
        "q1": [Sample(response("q1", None, "error", sample_index=k), "") for k in range(4)],
    }
    metrics = metrics_of(questions, found)
    assert (metrics.acc_strict, metrics.error, metrics.n) == (0.375, 0.5, 2)


def test_lengths_that_nobody_knows_are_left_out():
    metrics = metrics_of({"q0": question(0)}, {})
    assert not {"thinking_chars", "completion_tokens"} & to_json(metrics).keys()
    assert (metrics.missing, metrics.acc_strict) == (1, 0)


def test_two_names_that_would_share_a_metric_are_refused():
    a, b = question(0), replace(question(1), sub_category="Acoustic quality-analysis")
    with pytest.raises(UserError, match="acoustic_quality_analysis"):
        metrics_of({"q0": a, "q1": b}, {})


ANSWERS = st.lists(st.sampled_from([0, 1, 2, None, "error", "truncated"]), min_size=1, max_size=9)


@given(ANSWERS, st.data())
def test_accuracy_divides_by_all_questions_and_the_parts_add_up(answers, data):
    questions = {f"q{i}": question(i) for i in range(len(answers))}
    found = {}
    for i, answer in enumerate(answers):
        if data.draw(st.booleans()):
            status = "ok" if isinstance(answer, int) else answer or "no_answer"
            found[f"q{i}"] = [Sample(response(f"q{i}", answer if status == "ok" else None, status), "")]
    metrics = metrics_of(questions, found)
    right = sum(correct(questions[name], samples[0].response) for name, samples in found.items())
    assert metrics.acc_strict == round(right / len(questions), 4)
    assert metrics.missing == round(1 - len(found) / len(questions), 4)
    for by in ("category", "sub_category", "modality"):
        rows = [row for row in metrics.detail if row.by == by]
        assert sum(row.n for row in rows) == metrics.n
        assert sum(row.n * row.acc_strict for row in rows) == pytest.approx(right, abs=0.01)
        assert all(0 <= row.low <= row.acc_strict <= row.high <= 1 for row in rows)
    json.dumps(to_json(metrics), allow_nan=False)


# ── Files from elsewhere ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_array", [True, False])
@pytest.mark.parametrize("kind", ["ours", "mmar"])
def test_questions_and_predictions_may_be_arrays_or_lines(tmp_path, monkeypatch, as_array, kind):
    rows = [mmar(i) if kind == "mmar" else to_dict(question(i)) for i in range(3)]
    predictions = [challenge("q0", "a cat"), challenge("q1", "A Dog."), challenge("q2", "a bird")]
    for name, values in {"questions": rows, "predictions": predictions}.items():
        text = json.dumps(values, indent=1) if as_array else "\n\n".join(map(json.dumps, values))
        (tmp_path / name).write_text(text)
    run(
        monkeypatch,
        *("--questions", tmp_path / "questions"),
        *("--predictions", tmp_path / "predictions"),
        *("--out", tmp_path / "deep" / "out.json"),
    )
    metrics = json.loads((tmp_path / "deep" / "out.json").read_text())
    assert (metrics["acc_strict"], metrics["no_answer"], metrics["thinking_chars"]) == (0.6667, 0.3333, 10)
    assert "completion_tokens" not in metrics and "run" not in metrics


def score_files(monkeypatch, folder, predictions, questions=None):
    write_jsonl(folder / "q.jsonl", questions or [mmar(i) for i in range(6)])
    text = predictions if isinstance(predictions, str) else "\n".join(map(json.dumps, predictions))
    (folder / "p.jsonl").write_text(text)
    arguments = {"questions": folder / "q.jsonl", "predictions": folder / "p.jsonl", "out": folder / "out.json"}
    return [part for name, path in arguments.items() for part in (f"--{name}", path)]


def test_a_question_without_a_prediction_is_wrong_missing_and_named(tmp_path, monkeypatch, capsys):
    run(monkeypatch, *score_files(monkeypatch, tmp_path, [challenge("q0", "a cat"), challenge("q1", "a dog")]))
    metrics = json.loads((tmp_path / "out.json").read_text())
    assert (metrics["acc_strict"], metrics["acc_official"], metrics["missing"]) == (0.3333, 0.3333, 0.6667)
    assert metrics["missing_ids"] == ["q2", "q3", "q4", "q5"]
    assert "4 of 6 questions have no prediction and count as wrong: q2, q3, q4, …" in capsys.readouterr().err


def test_no_predictions_at_all_score_zero(tmp_path, monkeypatch):
    run(monkeypatch, *score_files(monkeypatch, tmp_path, ""))
    metrics = json.loads((tmp_path / "out.json").read_text())
    assert (metrics["acc_strict"], metrics["missing"], metrics["n"]) == (0, 1, 6)


def test_a_challenge_line_is_scored_officially_as_it_stands():
    questions = {"q1": question(1)}
    for text in ["I say it is a dog", "(B) a dog", "B", "ANSWER: a dog", ""]:
        write_jsonl(Path("p.jsonl"), [challenge("q1", text)])
        sample = read_samples(Path("p.jsonl"), questions, complete=False)["q1"][0]
        assert sample.submitted == text
        metrics = metrics_of(questions, {"q1": [sample]})
        assert metrics.acc_official == official_match(text, "a dog", question(1).choices)
        assert metrics.acc_strict == (text in {"(B) a dog", "B", "ANSWER: a dog"})


def test_an_absent_answer_prediction_is_no_answer_and_warned_of(tmp_path, monkeypatch, capsys):
    run(monkeypatch, *score_files(monkeypatch, tmp_path, [{"id": "q0"}, {"id": "q1", "answer_prediction": None}]))
    metrics = json.loads((tmp_path / "out.json").read_text())
    assert (metrics["no_answer"], metrics["missing"]) == (0.3333, 0.6667)
    warning = "1 of 2 predictions have no answer_prediction and count as no answer: q0\n"
    assert warning in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "hint"),
    [({"answer_predicton": "a cat"}, 'did you mean "answer_predicton"?'), ({}, "'answer_prediction'\n")],
)
def test_a_file_whose_answers_have_another_name_is_a_mistake(tmp_path, monkeypatch, capsys, other, hint):
    predictions = [{"id": f"q{i}", "thinking_prediction": "I hear it.", **other} for i in range(6)]
    message = fails(monkeypatch, capsys, *score_files(monkeypatch, tmp_path, predictions))
    assert "p.jsonl: no prediction has the field 'answer_prediction'" in message and hint in message
    assert not (tmp_path / "out.json").exists()


def test_a_complete_challenge_file_is_not_warned_of(tmp_path, monkeypatch, capsys):
    run(monkeypatch, *score_files(monkeypatch, tmp_path, [challenge(f"q{i}", "") for i in range(6)]))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        ([challenge("q0", "a cat"), challenge("q0", "a dog")], ["p.jsonl:2", "sample 0 of q0", "p.jsonl:1"]),
        ([challenge("q0", "a cat"), challenge("q99", "a dog")], ["p.jsonl:2", "'q99'"]),
        ('{"id": "q0", "answer_prediction": "a cat"}\n\n{"id": "q1", ', ["p.jsonl:3", "not valid JSON"]),
        ('[{"id": "q0"}, 7]', ["p.jsonl:1 (item 2)", "expected a JSON object"]),
        ('[{"id": "q0"}, {"id": "q0"}]', ["p.jsonl:1 (item 2)", "sample 0 of q0"]),
        ('[{"id": "q0"}', ["p.jsonl:1", "not valid JSON"]),
        ("null", ["p.jsonl:1", "expected a JSON object"]),
        ([{"id": ["q0"]}], ["p.jsonl:1", "needs a question_id"]),
        ([{"id": "q0", "answer_prediction": 3}], ["p.jsonl:1", "q0", "must be strings"]),
        ([{"question_id": "q0"}], ["p.jsonl:1", "the field 'sample_index' is missing"]),
        ([to_dict(response("q0", 3))], ["p.jsonl:1", "q0", "answer 3", "0–2"]),
        ([to_dict(response("q0", 1, "truncated"))], ["p.jsonl:1", "q0", "truncated"]),
        ([to_dict(response("q0", None))], ["p.jsonl:1", "q0", "status 'ok' and answer None"]),
        ([{**to_dict(response("q0", None)), "status": "lost"}], ["p.jsonl:1", "'status' must be one of ok,", '"lost"']),
        (
            [to_dict(response("q0", 1)), to_dict(response("q0", 1, sample_index=1)), to_dict(response("q1", 1))],
            ["same number of samples", "q1 has 1", "q0 has 2"],
        ),
    ],
)
def test_mistakes_in_predictions_are_told_with_their_place(tmp_path, monkeypatch, capsys, predictions, said):
    message = fails(monkeypatch, capsys, *score_files(monkeypatch, tmp_path, predictions))
    for part in said:
        assert part in message
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choices": "a cat"}, ["q.jsonl:1", "'choices' must be a list of texts"]),
        ({"choices": ["a cat", 2]}, ["q.jsonl:1", "q0", "must be a list of texts"]),
        ({"id": "q1"}, ["q.jsonl:2", "q1 occurs twice"]),
        ({"sub-category": None}, ["q.jsonl:1", "'sub-category' must be a text, found null"]),
    ],
)
def test_mistakes_in_questions_are_told_with_their_place(tmp_path, monkeypatch, capsys, change, said):
    questions = [{**mmar(0), **change}, mmar(1)]
    message = fails(monkeypatch, capsys, *score_files(monkeypatch, tmp_path, [], questions))
    for part in said:
        assert part in message


UNANSWERABLE = [
    ({"answer": "a horse"}, "'a horse' is not one of the choices"),
    ({"answer": ""}, "'' is not one of the choices"),
    ({"choices": ["a cat", "a dog", "a dog "]}, "'a dog' is given twice"),
    ({"choices": ["a cat", ""]}, "at least two choices"),
]


@pytest.mark.parametrize(("change", "why"), UNANSWERABLE)
def test_questions_without_a_right_choice_are_left_out_and_named(tmp_path, monkeypatch, capsys, change, why):
    questions = [mmar(0), {**mmar(1), **change}, mmar(2)]
    predictions = [challenge("q0", "a cat"), challenge("q1", "a horse"), challenge("q2", "two birds")]
    run(monkeypatch, *score_files(monkeypatch, tmp_path, predictions, questions))
    metrics = json.loads((tmp_path / "out.json").read_text())
    assert (metrics["n"], metrics["acc_strict"], metrics["dropped_ids"]) == (2, 1, ["q1"])
    warning = capsys.readouterr().err
    assert "1 questions have no right choice" in warning and "q.jsonl:2 (id 'q1')" in warning and why in warning


def test_a_question_without_a_right_choice_is_a_mistake_where_nobody_can_be_told(tmp_path):
    write_jsonl(tmp_path / "q.jsonl", [{**mmar(0), "answer": "a horse"}, mmar(1)])
    with pytest.raises(UserError, match=r"q\.jsonl:1 \(id 'q0'\): the answer 'a horse' is not one of the choices"):
        read_question_set(tmp_path / "q.jsonl")


def test_mmars_blank_choices_and_outer_spaces_are_read_as_the_pipeline_reads_them(tmp_path):
    write_jsonl(tmp_path / "q.jsonl", [{**mmar(0), "choices": ["", "a dog", "a cat "]}])
    q = read_question_set(tmp_path / "q.jsonl")["q0"]
    assert (q.choices, q.answer) == (("a dog", "a cat "), 1)


def test_a_wrong_question_record_is_not_taken_for_mmars(tmp_path):
    write_jsonl(tmp_path / "q.jsonl", [{**to_dict(question(0)), "audio": "mini/q0.flac"}])
    with pytest.raises(UserError, match=r"q\.jsonl:1: 'audio' must be an object"):
        read_question_set(tmp_path / "q.jsonl")


def test_a_file_without_questions_is_a_mistake(tmp_path):
    (tmp_path / "q.json").write_text("[]")
    with pytest.raises(UserError, match="holds no questions"):
        read_question_set(tmp_path / "q.json")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--questions", "q"], ["x", "--out", "o"], ["--predictions", "p"]],
)
def test_half_a_command_line_is_refused(monkeypatch, capsys, arguments):
    assert "give either a run, or both" in fails(monkeypatch, capsys, *arguments)


def test_files_from_elsewhere_are_of_no_run(monkeypatch, capsys):
    arguments = ["iter1/baseline", "--questions", "q", "--predictions", "p", "--out", "o"]
    assert "give either a run, or both" in fails(monkeypatch, capsys, *arguments)


# ── Our own predictions ──────────────────────────────────────────────────────────────────────────


def test_our_own_predictions_must_hold_every_question(workplace, monkeypatch, capsys):
    path = Path("data/answers/base/baseline.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    message = fails(monkeypatch, capsys, "baseline")
    assert "2 of 6 questions have no prediction (q4, q5)" in message
    assert not Path("metrics/scores/base/baseline.json").exists()


@pytest.mark.parametrize("name", ["data/answers/base/baseline.jsonl", "data/answers/base/baseline.run.json"])
def test_an_absent_file_is_told(workplace, monkeypatch, capsys, name):
    Path(name).unlink()
    assert f"{name}: no such file" in fails(monkeypatch, capsys, "baseline")


# ── MMAR itself ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def mmar_questions():
    if not METADATA.is_file():
        pytest.skip("MMAR's metadata is not here; set MMAR_METADATA to its path")
    return read_question_set(METADATA)


def scored(questions, answers, tmp_path):
    write_jsonl(tmp_path / "p.jsonl", (challenge(name, text) for name, text in answers.items()))
    return metrics_of(questions, read_samples(tmp_path / "p.jsonl", questions, complete=True))


def test_mmars_own_answers_are_all_right(mmar_questions, tmp_path):
    metrics = scored(mmar_questions, {name: q.choices[q.answer] for name, q in mmar_questions.items()}, tmp_path)
    assert (metrics.acc_strict, metrics.acc_official, metrics.n) == (1, 1, 1000)
    assert len(metrics.sub_category) == 16 and len(metrics.category) == 4 and len(metrics.modality) == 7
    assert {row.name: row.n for row in metrics.detail}["Content Analysis"] == 304


def test_the_samples_own_answers_are_all_right_and_no_other_choice_is(tmp_path):
    questions = read_question_set(SAMPLE)
    metrics = scored(questions, {name: q.choices[q.answer] for name, q in questions.items()}, tmp_path)
    assert (metrics.acc_strict, metrics.acc_official, metrics.n) == (1, 1, 32)
    assert len(metrics.sub_category) == 16 and len(metrics.category) == 4 and len(metrics.modality) == 7
    others = {name: q.choices[q.answer - 1] for name, q in questions.items()}
    assert scored(questions, others, tmp_path).acc_strict == 0


def test_on_mmar_no_wrong_choice_is_strictly_right(mmar_questions, tmp_path):
    rng = random.Random(0)
    wrong = {
        name: rng.choice([choice for i, choice in enumerate(q.choices) if i != q.answer])
        for name, q in mmar_questions.items()
    }
    metrics = scored(mmar_questions, wrong, tmp_path)
    assert metrics.acc_strict == 0
    assert 0 < metrics.acc_official <= 0.02
