"""The challenge's submission: what is built, and that everything wrong with one is named."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.metrics.inputs import Sample, read_question_set
from audio_reasoning.render.submission import file as submission_file
from audio_reasoning.render.submission.file import Entry, accuracies, pack
from audio_reasoning.render.submission.results import Accuracies
from stages import score, submission
from stages.submission import Source, build, read_back
from tests.commands import command
from tests.mmar import METADATA, needs_metadata

ROOT = Path(__file__).parents[1]
LIMIT = 10_000
IDS = ["q0", "q1", "q2"]


def question(name):
    return Question(
        id=name,
        audio=Audio(f"mini/{name}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=("a cat", "a dog", "two birds "),
        answer=1,
        category="Semantic Layer",
        sub_category="Content Analysis",
        modality="sound",
        language=None,
        source="mini",
        group=name,
    )


QUESTIONS = {name: question(name) for name in IDS}


def response(name, answer=1, thinking="I hear it.", status="ok", **more):
    text = f"<think>{thinking}</think>\nANSWER: a bird"
    return Response(name, 0, status, text, thinking, answer, "verbatim", "stop", 50, 10, **more)


def source(*responses):
    samples = {r.question_id: [Sample(r, score_text(r))] for r in responses}
    return Source("baseline", QUESTIONS, samples, [{"prompt": "baseline"}], None)


def score_text(r):
    return "a bird" if r.answer is None else QUESTIONS[r.question_id].choices[r.answer]


def line(name="q0", thinking="I hear it.", answer="a dog", **more):
    return {"id": name, "thinking_prediction": thinking, "answer_prediction": answer, **more}


GOOD = [line(name) for name in IDS]


def jsonl(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zipped(data, *others, name="result.jsonl", method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, data)
        for other in others:
            archive.writestr(other, b"")
    return buffer.getvalue()


def problems(data, limit=LIMIT):
    return [str(problem) for problem in read_back(data, QUESTIONS, limit)[1]]


# ── Building ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_built_is_one_sound_file_in_the_questions_order():
    data, manifest = build(source(response("q2", 0), response("q0"), response("q1", 2)), LIMIT, False)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["result.jsonl"]
        assert archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED
        rows = [json.loads(text) for text in archive.read("result.jsonl").decode().splitlines()]
    assert rows == [line("q0"), line("q1", answer="two birds "), line("q2", answer="a cat")]
    assert problems(data) == []
    assert (manifest.run, manifest.n, manifest.longest_trace) == ("baseline", 3, 10)
    assert (manifest.acc_strict, manifest.acc_official) == (0.3333, 0.3333)
    assert manifest.made_by == [{"prompt": "baseline"}]


def test_the_same_answers_give_the_same_bytes():
    first, second = (build(source(*map(response, IDS)), LIMIT, False) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first[0])) as archive:
        member = archive.infolist()[0]
    assert (member.date_time, member.create_system, member.external_attr >> 16) == ((1980, 1, 1, 0, 0, 0), 3, 0o644)


def test_an_answer_that_the_model_did_not_give_is_refused_and_named():
    lacking = source(response("q0"), response("q1", None, status="no_answer"), response("q2", None, status="truncated"))
    with pytest.raises(UserError) as caught:
        build(lacking, LIMIT, False)
    message = str(caught.value)
    assert "2 problem(s)" in message and "'q1': the answer is empty" in message and "'q2': the answer" in message
    assert "--allow-empty" in message


def test_where_it_is_allowed_an_answer_that_is_not_there_is_left_empty_and_kept_in_the_count(capsys):
    failed = response("q2", None, "", "error", error="timeout")
    data, manifest = build(source(response("q0"), response("q1", None, status="no_answer"), failed), LIMIT, True)
    entries, _ = read_back(data, QUESTIONS, LIMIT)
    assert [entry.answer for entry in entries] == ["a dog", "", ""]
    assert manifest.unanswered_ids == ["q1", "q2"] and manifest.empty_trace_ids == ["q2"]
    assert (manifest.n, manifest.acc_strict, manifest.acc_official) == (3, 0.3333, 0.3333)
    assert "'q2': the trace is empty" in capsys.readouterr().err


def test_an_answer_without_a_trace_is_refused():
    with pytest.raises(UserError, match="'q1': the trace is empty"):
        build(source(response("q0"), response("q1", thinking=""), response("q2")), LIMIT, False)


def test_traces_that_are_too_long_are_named_with_what_shortens_them():
    long = [response(name, thinking="é" * 10_000) for name in ("q0", "q2")]
    with pytest.raises(UserError) as caught:
        build(source(*long, response("q1", thinking="é" * 9_999)), LIMIT, True)
    message = str(caught.value)
    assert "'q0': the trace has 10,000 characters" in message and "'q2'" in message and "'q1'" not in message
    assert "thinking.reask_over_chars" in message


def test_endless_thinking_without_an_answer_is_dropped_where_empty_texts_are_allowed():
    endless = response("q1", None, "wait " * 3_000, "truncated")
    data, manifest = build(source(response("q0"), endless, response("q2")), LIMIT, True)
    assert (manifest.dropped_trace_ids, manifest.unanswered_ids) == (["q1"], ["q1"])
    assert all("empty" in problem for problem in problems(data))
    with pytest.raises(UserError, match="15,000 characters"):
        build(source(response("q0"), endless, response("q2")), LIMIT, False)


def test_the_manifest_names_what_took_a_second_request():
    responses = [response("q0", forced=True), response("q1", reasked_chars=12_000), response("q2")]
    manifest = build(source(*responses), LIMIT, False)[1]
    assert (manifest.forced_ids, manifest.reasked_ids) == (["q0"], ["q1"])


def test_several_samples_a_question_are_refused():
    one = source(*map(response, IDS))
    samples = {**one.samples, "q1": [Sample(replace(response("q1"), sample_index=i), "a dog") for i in range(2)]}
    with pytest.raises(UserError, match=r"1 questions have several samples \(q1\).*@vote"):
        build(replace(one, samples=samples), LIMIT, False)
    samples = {name: samples["q1"] for name in IDS}
    with pytest.raises(UserError, match=r"3 questions have several samples \(q0, q1, q2\)"):
        build(replace(one, samples=samples), LIMIT, False)


def test_a_trace_of_nothing_but_spaces_is_empty_in_the_manifest_as_in_the_check(capsys):
    manifest = build(source(response("q0", thinking=" \n"), response("q1"), response("q2")), LIMIT, True)[1]
    assert "'q0': the trace is empty" in capsys.readouterr().err
    assert (manifest.empty_trace_ids, manifest.dropped_trace_ids) == (["q0"], [])


def test_half_a_surrogate_pair_is_named_by_its_id():
    with pytest.raises(UserError, match="'q1': 'thinking_prediction' holds half of a surrogate pair"):
        build(source(response("q0"), response("q1", thinking="a\ud800b"), response("q2")), LIMIT, False)


def test_metrics_that_do_not_belong_to_the_predictions_are_refused(tmp_path):
    write_json(tmp_path / "metrics.json", {"acc_strict": 1.0, "acc_official": 0.6667})
    wrong = replace(source(*map(response, IDS)), metrics=tmp_path / "metrics.json")
    with pytest.raises(UserError, match=r"metrics\.json gives acc_official 0.6667, but baseline gives 1\.0000"):
        build(wrong, LIMIT, False)


def test_a_text_that_the_official_match_accepts_but_is_no_choice_is_not_submitted(tmp_path):
    responses = [response("q0"), response("q1"), response("q2", None, status="no_answer")]
    told = source(*responses)
    told.samples["q2"] = [Sample(responses[2], "it is a dog")]  # counts for acc_official of the run
    write_json(tmp_path / "metrics.json", {"acc_strict": 0.6667, "acc_official": 1.0})
    manifest = build(replace(told, metrics=tmp_path / "metrics.json"), LIMIT, True)[1]
    assert (manifest.acc_strict, manifest.acc_official) == (0.6667, 0.6667)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=3, max_size=3))
def test_any_trace_comes_back_to_the_letter(traces):
    entries = [Entry(name, trace, "a dog") for name, trace in zip(IDS, traces, strict=True)]
    back, found = read_back(pack(entries), QUESTIONS, LIMIT)
    assert back == entries
    assert [problem.what for problem in found] == ["the trace is empty" for trace in traces if not trace.strip()]


# ── Everything that can be wrong with a submission ───────────────────────────────────────────────


def test_a_sound_submission_has_no_problem():
    assert problems(zipped(jsonl(*GOOD))) == problems(jsonl(*GOOD)) == problems(jsonl(*GOOD).rstrip(b"\n")) == []
    assert problems(jsonl(*reversed(GOOD))) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (GOOD[:2], ["id 'q2': no line answers this question"]),
        ([*GOOD, line("q9")], ["line 4, id 'q9': no question has this id"]),
        ([*GOOD, line("q0")], ["line 4, id 'q0': is already on line 1"]),
        (
            [*GOOD[:2], line("q2", extra=1)],
            ["line 3, id 'q2': has the field 'extra', which the challenge does not know"],
        ),
        ([*GOOD[:2], line("q2", answer=2)], ["line 3, id 'q2': 'answer_prediction' must be a text, found 2"]),
        ([*GOOD[:2], line("q2", thinking=None)], ["line 3, id 'q2': 'thinking_prediction' must be a text, found None"]),
        ([*GOOD[:2], line("q2", answer=" ")], ["line 3, id 'q2': the answer is empty"]),
        ([*GOOD[:2], line("q2", thinking="\n")], ["line 3, id 'q2': the trace is empty"]),
        (
            [*GOOD[:2], line("q2", answer="two birds")],
            ["line 3, id 'q2': the answer 'two birds' is no choice; 'two birds ' is one, to the letter"],
        ),
        (
            [*GOOD[:2], line("q2", answer="B")],
            ["line 3, id 'q2': the answer 'B' is no choice; choices: ['a cat', 'a dog', 'two birds ']"],
        ),
        (
            [*GOOD[:2], line("q2", thinking="é" * 10_000)],
            ["line 3, id 'q2': the trace has 10,000 characters; it must have fewer than 10,000"],
        ),
        (
            [*GOOD[:2], line("q2", thinking="\ud800")],
            ["line 3, id 'q2': 'thinking_prediction' holds half of a surrogate pair, which UTF-8 cannot express"],
        ),
        ([*GOOD, ["q2"]], ["line 4: must be a JSON object, found ['q2']"]),
        ([*GOOD, line(7)], ["line 4: 'id' must be a text, found 7"]),
    ],
)
def test_a_wrong_line_is_named_with_its_number_and_id(rows, expected):
    assert problems(zipped(jsonl(*rows))) == expected


def test_a_misnamed_field_is_told_by_both_names():
    row = {"id": "q2", "thinking_prediction": "I hear it.", "answer_predicton": "a dog"}
    assert problems(jsonl(*GOOD[:2], row)) == [
        "line 3, id 'q2': lacks the field 'answer_prediction'",
        "line 3, id 'q2': has the field 'answer_predicton', which the challenge does not know",
    ]


def test_every_problem_is_told_not_only_the_first():
    found = problems(jsonl(line("q0", answer="x"), line("q0", thinking=""), line("q9"), line("q1", extra=0)))
    assert [problem.partition(":")[0] for problem in found] == [
        "line 1, id 'q0'",
        "line 2, id 'q0'",
        "line 2, id 'q0'",
        "line 3, id 'q9'",
        "line 4, id 'q1'",
        "id 'q2'",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbf" + jsonl(*GOOD), "line 1: starts with a byte order mark"),
        (jsonl(*GOOD).replace(b"\n", b"\r\n"), "line 1: ends with CRLF, as do 3 lines in all"),
        (jsonl(*GOOD[:2]) + '{"id": "é"}'.encode("latin-1"), "line 3: is not UTF-8 (byte 8 of the line)"),
        (jsonl(*GOOD).decode().encode("utf-16"), "line 1: is not UTF-8"),
        (jsonl(*GOOD) + b"\n", "line 4: is empty"),
        (jsonl(*GOOD) + b"{", "line 4: is not valid JSON"),
        (jsonl(*GOOD) + b'{"id": "q0", "id": "q1"}', "line 4: is not valid JSON (the field 'id' occurs twice)"),
        (jsonl(*GOOD) + b"[" * 100_000, "line 4: is not valid JSON"),
        (jsonl(*GOOD) + b"1" * 5_000, "line 4: is not valid JSON"),
    ],
    ids=["bom", "crlf", "latin-1", "utf-16", "empty line", "broken", "twice", "too deep", "too many digits"],
)
def test_encoding_and_syntax_are_told_by_line(data, expected):
    assert problems(data)[0].startswith(expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (zipped(jsonl(*GOOD), "notes.txt"), "zip: holds 'notes.txt' too"),
        (zipped(jsonl(*GOOD), "__MACOSX/"), "zip: holds the folder '__MACOSX/'"),
        (
            zipped(jsonl(*GOOD), name="out/result.jsonl"),
            "zip: holds 'out/result.jsonl'; result.jsonl must be at the top",
        ),
        (zipped(jsonl(*GOOD), name="../result.jsonl"), "zip: holds '../result.jsonl'; result.jsonl must be at the top"),
        (zipped(b"", name="results.jsonl"), "zip: holds 'results.jsonl' too"),
        (zipped(jsonl(*GOOD))[:-30], "zip: is broken"),
        (b"PK\x05\x06" + bytes(18), "zip: must hold one result.jsonl at its top level, found 0"),
    ],
    ids=["other member", "folder", "nested", "outside", "other name", "cut off", "empty"],
)
def test_the_zip_must_hold_one_file_at_its_top_level(data, expected):
    assert problems(data)[0].startswith(expected)


def test_two_members_of_the_same_name_are_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(jsonl(*GOOD), "result.jsonl")
    assert problems(data) == ["zip: must hold one result.jsonl at its top level, found 2"]


def test_a_damaged_member_is_told():
    data = bytearray(zipped(jsonl(*GOOD)))
    data[60] ^= 0xFF
    assert problems(bytes(data))[0].startswith("zip: is broken")


def test_an_encrypted_zip_is_told():
    data = bytearray(zipped(jsonl(*GOOD)))
    data[6] |= 1  # the flag, in the member's header and in the directory at the end
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert problems(bytes(data)) == ["zip: result.jsonl is encrypted"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_by_a_method_that_few_can_read_is_told_even_if_damaged(method):
    data = bytearray(zipped(jsonl(*GOOD), method=method))
    assert problems(bytes(data)) == ["zip: result.jsonl is neither stored nor deflated, which not everyone can read"]
    data[60:80] = bytes(20)
    assert problems(bytes(data))


def test_a_zip_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(submission_file, "MAX_BYTES", 10_000)
    assert problems(zipped(b"\0" * 10_001)) == ["zip: result.jsonl has 10,001 bytes; at most 10,000"]


@given(st.binary() | st.binary().map(lambda tail: b"PK\x03\x04" + tail))
def test_no_bytes_whatsoever_are_beyond_words(data):
    assert problems(data)


@given(st.data())
def test_no_damage_to_a_zip_is_beyond_words(data):
    sound = bytearray(zipped(jsonl(*GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    read_back(bytes(sound), QUESTIONS, LIMIT)


# ── The official score ───────────────────────────────────────────────────────────────────────────


@needs_metadata
def test_the_right_answers_of_mmar_score_one(tmp_path):
    rows = [json.loads(text) for text in METADATA.read_text(encoding="utf-8").splitlines()]
    path = tmp_path / "questions.jsonl"
    write_jsonl(path, [row for row in rows if len({c.strip() for c in row["choices"]} - {""}) == len(row["choices"])])
    questions = read_question_set(path)
    assert len(questions) > 900
    entries = [Entry(q.id, "It is heard.", q.choices[q.answer]) for q in questions.values()]
    written, found = read_back(pack(entries), questions, LIMIT)
    assert found == [] and written == entries
    assert accuracies(written, questions) == Accuracies(acc_strict=1.0, acc_official=1.0)
    half = [replace(entry, answer="") if i % 2 else entry for i, entry in enumerate(entries)]
    assert accuracies(half, questions).acc_official == pytest.approx(0.5, abs=0.001)


# ── The stage and the commands ───────────────────────────────────────────────────────────────────


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A run of three answers of which one is no choice, and its metrics."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["submission"] = {"run": "baseline", "max_trace_chars": LIMIT, "empty": "allow", "missing": "refuse"}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_jsonl(Path("data/questions/test.jsonl"), map(to_dict, QUESTIONS.values()))
    rows = [response("q0"), response("q1", 0), response("q2", None, status="no_answer")]
    write_jsonl(Path("data/answers/base/baseline.jsonl"), map(to_dict, rows))
    write_json(Path("data/answers/base/baseline.run.json"), {"prompt": "baseline"})
    monkeypatch.setattr("sys.argv", ["score", "baseline"])
    score.main()
    return tmp_path


def run(monkeypatch, *arguments):
    if "--out" in arguments or arguments[:1] == ("validate",):
        if ended := command("submission", *map(str, arguments)):
            raise SystemExit(ended)
    else:
        monkeypatch.setattr("sys.argv", ["submission", *map(str, arguments)])
        submission.main()


def fails(monkeypatch, capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def set_empty(value, missing="refuse"):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["submission"] |= {"empty": value, "missing": missing}
    Path("params.yaml").write_text(yaml.safe_dump(params))


def test_the_stage_writes_the_zip_and_its_manifest(workplace, monkeypatch, capsys):
    run(monkeypatch, "build")
    manifest = json.loads(Path("metrics/submission.json").read_text())
    scores = json.loads(Path("metrics/scores/base/baseline.json").read_text())
    assert (manifest["run"], manifest["unanswered_ids"]) == ("baseline", ["q2"])
    assert manifest["acc_strict"] == scores["acc_strict"] == 0.3333
    assert manifest["made_by"] == [{"prompt": "baseline"}]
    assert manifest["sha256"] == submission.hashlib.sha256(submission.SUBMISSION.read_bytes()).hexdigest()
    assert "3 answers of baseline" in capsys.readouterr().out


def test_the_stage_refuses_what_its_parameter_does_not_allow(workplace, monkeypatch, capsys):
    set_empty("refuse")
    assert "'q2': the answer is empty" in fails(monkeypatch, capsys, "build")
    assert not submission.SUBMISSION.exists() and not submission.MANIFEST.exists()


def test_in_the_pipeline_a_run_that_is_not_sound_is_a_recorded_outcome(workplace, monkeypatch, capsys):
    run(monkeypatch, "build", "--record")
    set_empty("refuse")
    run(monkeypatch, "build", "--record")
    record = json.loads(submission.MANIFEST.read_text())
    assert (record["run"], record["sound"], record["problems"]) == ("baseline", False, len(record["first_problems"]))
    assert any("'q2': the answer is empty" in problem for problem in record["first_problems"])
    told = capsys.readouterr().err
    assert "NOT SOUND: baseline cannot be submitted" in told and "submission.empty: allow" in told
    assert [file.name for file in submission.SUBMISSION.parent.iterdir()] == ["problems.txt"]
    assert all(problem in submission.PROBLEMS.read_text() for problem in record["first_problems"])
    set_empty("allow")
    run(monkeypatch, "build", "--record")
    assert [file.name for file in submission.SUBMISSION.parent.iterdir()] == ["submission.zip"]
    assert "sound" not in json.loads(submission.MANIFEST.read_text())


def test_metrics_out_of_date_stop_the_stage(workplace, monkeypatch, capsys):
    metrics = Path("metrics/scores/base/baseline.json")
    metrics.write_text(metrics.read_text().replace("0.3333", "0.6667"))
    assert "one of them is out of date" in fails(monkeypatch, capsys, "build")
    assert not submission.SUBMISSION.exists()


def test_a_run_by_name_and_predictions_by_file_give_the_same_zip(workplace, monkeypatch, capsys):
    run(monkeypatch, "build", "--run", "baseline", "--out", "a.zip")  # submission.empty: allow
    files = ("--predictions", "data/answers/base/baseline.jsonl", "--questions", "data/questions/test.jsonl")
    run(monkeypatch, "build", *files, "--out", "b.zip", "--allow-empty")
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()
    assert json.loads(Path("b.manifest.json").read_text())["made_by"] == [{"prompt": "baseline"}]
    assert "the answer is empty" in fails(monkeypatch, capsys, "build", *files, "--out", "c.zip")
    set_empty("refuse")
    assert "the answer is empty" in fails(monkeypatch, capsys, "build", "--run", "baseline", "--out", "c.zip")


def test_a_submission_for_other_questions_is_one_problem():
    data = jsonl(line("x0"), line("x1"))
    assert problems(data) == ["ids: all 2 are of other questions than these 3"]


def test_answers_in_the_challenges_format_become_choices_to_the_letter(workplace, monkeypatch):
    rows = [line("q0", answer="**A dog.**"), line("q1", answer="(C) two birds"), line("q2")]
    write_jsonl(Path("result.jsonl"), rows)
    run(
        monkeypatch,
        "build",
        "--predictions",
        "result.jsonl",
        "--questions",
        "data/questions/test.jsonl",
        "--out",
        "a.zip",
    )
    entries, found = read_back(Path("a.zip").read_bytes(), QUESTIONS, LIMIT)
    assert [entry.answer for entry in entries] == ["a dog", "two birds ", "a dog"] and found == []


def build_from(monkeypatch, predictions, out, *more):
    questions = ("--questions", "data/questions/test.jsonl")
    run(monkeypatch, "build", "--predictions", predictions, *questions, "--out", out, *more)


def test_answers_that_score_otherwise_to_the_letter_are_warned_of_by_name(workplace, monkeypatch, capsys):
    # "a" is a word of a wrong choice alone, so that MMAR's match takes the letter for it.
    rows = [to_dict(replace(q, choices=("dog", "a cat", "birds"), answer=0)) for q in QUESTIONS.values()]
    write_jsonl(Path("data/questions/test.jsonl"), rows)
    write_jsonl(
        Path("result.jsonl"), [line("q0", answer="(A) Dog"), line("q1", answer="dog"), line("q2", answer="dog")]
    )
    build_from(monkeypatch, "result.jsonl", "a.zip")
    assert "1 answers count otherwise by MMAR's match" in (told := capsys.readouterr().err) and "q0" in told
    manifest = json.loads(Path("a.manifest.json").read_text())
    assert (manifest["acc_strict"], manifest["acc_official"]) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["a.json", "a.manifest.json", "a.zip"])
def test_no_input_is_written_over(workplace, monkeypatch, capsys, name):
    write_jsonl(Path(name), GOOD)
    before = Path(name).read_bytes()
    if name == "a.json":
        build_from(monkeypatch, name, "a.zip")
    else:
        with pytest.raises(SystemExit):
            build_from(monkeypatch, f"./{name}", "a.zip")
        assert f"would write over {name}" in capsys.readouterr().err
    assert Path(name).read_bytes() == before


def test_validate_says_that_a_submission_is_sound_and_what_it_scores(workplace, monkeypatch, capsys):
    Path("mine.zip").write_bytes(zipped(jsonl(*GOOD)))
    Path("result.jsonl").write_bytes(jsonl(*GOOD))
    for name in ("mine.zip", "result.jsonl"):
        run(monkeypatch, "validate", name, "--questions", "data/questions/test.jsonl")
        assert capsys.readouterr().out == f"{name}: sound; strict 100.0%, official 100.0%\n"


def test_validate_names_all_problems_and_ends_with_2(workplace, monkeypatch, capsys):
    Path("mine.zip").write_bytes(zipped(jsonl(line("q0", answer=""), line("q9"), *GOOD[1:])))
    arguments = ("validate", "mine.zip", "--questions", "data/questions/test.jsonl")
    told = fails(monkeypatch, capsys, *arguments)
    assert "mine.zip: 2 problem(s)" in told and "line 1, id 'q0': the answer is empty" in told and "'q9'" in told
    told = fails(monkeypatch, capsys, *arguments, "--allow-empty")
    assert "1 problem(s)" in told and "warning: mine.zip: line 1, id 'q0'" in told


@pytest.mark.parametrize("name", ["absent.zip", ".", "text.zip"])
def test_what_is_no_file_or_no_zip_is_told(workplace, monkeypatch, capsys, name):
    Path("text.zip").write_bytes(jsonl(*GOOD))
    assert f"error: {name}: " in fails(
        monkeypatch, capsys, "validate", name, "--questions", "data/questions/test.jsonl"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("baselin", "no run is called 'baselin'; did you mean \"baseline\"?"),
        ("baseline@vote", "vote.variants does not list 'baseline'"),
        ("minimal_instruction", "data/answers/base/minimal_instruction.jsonl: no such file"),
        ("baseline@votes", "no run is called 'baseline@votes'"),
        ("a/b/c", "names no run"),
    ],
)
def test_a_run_that_is_not_there_is_told(workplace, monkeypatch, capsys, name, expected):
    assert expected in fails(monkeypatch, capsys, "build", "--run", name, "--out", "a.zip")


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--run", "baseline"),
        ("build", "--out", "a.zip"),
        ("build", "--run", "baseline", "--out", "a.json"),
        ("build", "--predictions", "p.jsonl", "--out", "a.zip"),
        ("build", "--run", "a", "--predictions", "p.jsonl", "--questions", "q.jsonl", "--out", "a.zip"),
        ("validate", "a.zip"),
        (),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(workplace, monkeypatch, capsys, arguments):
    assert "usage" in fails(monkeypatch, capsys, *arguments).lower()


# ── Questions without a right choice ─────────────────────────────────────────────────────────────

METADATA_ROWS = [
    {
        "id": name,
        "choices": ["a cat", "a dog"],
        "answer": "a dog" if name != "q2" else "a cat\na dog",
        "modality": "sound",
        "category": "Semantic Layer",
        "sub-category": "Content Analysis",
    }
    for name in IDS
]


def predicted(*names):
    return [{"id": name, "thinking_prediction": "It barks.", "answer_prediction": "a dog"} for name in names]


def test_a_question_without_a_right_choice_is_submitted_and_scores_nothing(workplace, monkeypatch, capsys):
    write_jsonl(Path("q.jsonl"), METADATA_ROWS)
    write_jsonl(Path("p.jsonl"), predicted(*IDS))
    run(monkeypatch, "build", "--predictions", "p.jsonl", "--questions", "q.jsonl", "--out", "mine.zip")
    manifest = json.loads(Path("mine.manifest.json").read_text())
    assert (manifest["n"], manifest["acc_strict"]) == (3, 1)
    run(monkeypatch, "validate", "mine.zip", "--questions", "q.jsonl")
    told = capsys.readouterr()
    assert "mine.zip: sound; strict 100.0%" in told.out and "no right choice" in told.err and "q2" in told.err


def test_a_submission_that_lacks_a_question_without_a_right_choice_is_refused(workplace, monkeypatch, capsys):
    write_jsonl(Path("q.jsonl"), METADATA_ROWS)
    write_jsonl(Path("p.jsonl"), predicted("q0", "q1"))
    message = fails(monkeypatch, capsys, "validate", "p.jsonl", "--questions", "q.jsonl")
    assert (
        "id 'q2': no line answers this question" in message and "take corrected metadata, with --questions" in message
    )
    write_jsonl(Path("p.jsonl"), [*predicted("q0", "q1"), {**predicted("q2")[0], "answer_prediction": "a horse"}])
    assert "the answer 'a horse' is no choice" in fails(
        monkeypatch, capsys, "validate", "p.jsonl", "--questions", "q.jsonl"
    )


def test_a_run_that_was_never_asked_all_questions_is_not_submitted(workplace, monkeypatch, capsys):
    row = {"source": "mmar", "split": "test", "id": "q9", "what": "the question", "why": "its answer is no choice"}
    others = [{**row, "id": "blank", "what": "a blank choice"}, {**row, "id": "elsewhere", "split": "train"}]
    write_json(Path("data/questions/manifest.json"), {"dropped": [row, *others]})
    message = fails(monkeypatch, capsys, "build")
    assert "baseline: 1 problem(s)" in message and "id 'q9': is a question of the benchmark that was dropped" in message
    assert "questions_file of the source in conf/profile/" in message
    assert not Path("data/submission/submission.zip").exists()
    monkeypatch.setattr("sys.argv", ["score", "baseline"])
    score.main()
    assert json.loads(Path("metrics/scores/base/baseline.json").read_text())["dropped_ids"] == ["q9"]
    assert "1 questions of the test set are dropped" in capsys.readouterr().err


@pytest.mark.parametrize("empty", ["allow", "refuse"])
def test_dropped_questions_are_named_or_filled_where_that_is_chosen(workplace, monkeypatch, capsys, empty):
    """Empty texts of questions that were asked are another matter."""
    row = {"source": "mmar", "split": "test", "what": "the question", "why": "its answer is no choice"}
    write_json(Path("data/questions/manifest.json"), {"dropped": [{**row, "id": name} for name in ("q8", "q9")]})
    set_empty("allow", missing="refuse")
    run(monkeypatch, "build", "--record")
    problems = submission.PROBLEMS.read_text()
    assert "id 'q8': is a question" in problems and "id 'q9': is a question" in problems
    assert "submission.missing to empty" in problems and not submission.SUBMISSION.exists()
    set_empty(empty, missing="empty")
    run(monkeypatch, "build", "--record")
    record = json.loads(submission.MANIFEST.read_text())
    if empty == "refuse":
        assert record["sound"] is False
        assert "q2" in str(record["first_problems"]) and "q9" not in str(record["first_problems"])
        return
    assert (record["n"], record["filled_ids"], record["unanswered_ids"]) == (5, ["q8", "q9"], ["q2"])
    assert record["acc_strict"] == json.loads(Path("metrics/scores/base/baseline.json").read_text())["acc_strict"]
    [*_, last] = zipfile.ZipFile(submission.SUBMISSION).read("result.jsonl").decode().splitlines()
    assert json.loads(last) == {"id": "q9", "thinking_prediction": "", "answer_prediction": ""}
    assert "2 questions that were dropped are submitted as empty texts" in capsys.readouterr().err
