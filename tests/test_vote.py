"""The stages `vote` and `vote_tables`: one answer a question, with a trace of its own, and honest figures beside it."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.files import read_json, read_jsonl, write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, response_from, to_dict
from audio_reasoning.core.runs import find_run
from audio_reasoning.metrics.inputs import read_question_set, read_samples
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.metrics.vote_params import Vote
from audio_reasoning.metrics.voting import calibration, calibration_error, count_votes, vote_score
from stages import vote as vote_stage
from stages import vote_tables as vote_tables
from stages.layout import answers_file, manifest_file, metrics_file
from stages.project import load_project
from stages.vote import vote_metrics, voted

ROOT = Path(__file__).parents[1]
RULE = Vote(variants=[], n=3, temperature=1.0, top_p=1.0, seed=0, trace="first", max_trace_chars=100)
VARIANT = "structured_reasoning"


def question(name, group=None):
    return Question(
        name, Audio(f"{name}.flac", "0" * 64, 1.0), "?", ("a", "b", "c"), 0, "C", "S", "sound", None, "t", group or name
    )


def sample(index, answer, thinking="", status=None, name="q0"):
    status = status or ("no_answer" if answer is None else "ok")
    text = f"<think>{thinking}</think>\nANSWER: {'abc'[answer] if answer is not None else ''}"
    return Response(name, index, status, text, thinking, answer, "verbatim", "stop", 5, 5)


def with_lengths(*lengths):
    return [sample(i, 0, "x" * length) for i, length in enumerate(lengths)]


@pytest.mark.parametrize(
    ("trace", "lengths", "chosen"),
    [
        ("first", (30, 10, 20), 0),
        ("first", (130, 10, 20), 1),  # the first below max_trace_chars
        ("median", (30, 10, 20), 2),
        ("median", (30, 10, 20, 40), 2),  # of an even number, the lower one
        ("median", (30, 10, 200), 1),  # of those below max_trace_chars
        ("shortest", (30, 10, 10), 1),  # of equals, the earlier one
        ("shortest", (300, 200), 1),  # none is short enough
        ("first", (100, 99), 1),  # a trace must be shorter than max_trace_chars
    ],
)
def test_the_trace_is_chosen_by_the_rule(trace, lengths, chosen):
    assert voted(with_lengths(*lengths), RULE.model_copy(update={"trace": trace})).sample_index == chosen


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), st.text(max_size=5)), min_size=1, max_size=9),
    st.sampled_from(["first", "median", "shortest"]),
)
def test_the_voted_response_is_one_of_the_samples_and_gave_the_most_common_answer(drawn, trace):
    samples = [sample(i, answer, thinking) for i, (answer, thinking) in enumerate(drawn)]
    chosen = voted(samples, RULE.model_copy(update={"trace": trace}))
    assert chosen in samples
    given_ = [s.answer for s in samples if s.answer is not None]
    assert (chosen.answer is None) == (not given_)
    assert not given_ or given_.count(chosen.answer) == max(map(given_.count, given_))


def test_a_tie_goes_to_the_answer_of_the_earliest_sample_whatever_its_trace():
    samples = [sample(0, None), sample(1, 2, "long " * 9), sample(2, 1, "short"), sample(3, 1, "x"), sample(4, 2)]
    assert voted(samples, RULE.model_copy(update={"trace": "shortest"})).answer == 2


@pytest.mark.parametrize(
    ("fates", "status", "index"),
    [
        (["truncated", "error", "truncated"], "truncated", 0),
        (["error", "no_answer", "no_answer"], "no_answer", 1),
        (["error", "error"], "error", 0),
        (["no_answer", "truncated"], "no_answer", 0),
    ],
)
def test_where_no_sample_answered_the_vote_says_how_most_of_them_ended(fates, status, index):
    chosen = voted([sample(i, None, status=fate) for i, fate in enumerate(fates)], RULE)
    assert (chosen.status, chosen.sample_index, chosen.answer) == (status, index, None)


def test_one_sample_a_question_votes_for_itself():
    questions = {name: question(name) for name in ("q0", "q1")}
    metrics = vote_metrics("v", questions, {"q0": [sample(0, 0)], "q1": [sample(0, 1, name="q1")]})
    assert (metrics.acc_mean, metrics.acc_vote, metrics.pass_at_n, metrics.tied) == (0.5, 0.5, 0.5, 0.0)
    assert [row.k for row in metrics.curve] == [1]
    (comparison,) = metrics.comparison
    assert (comparison.difference, comparison.p) == (0.0, 1.0)


def test_all_errors_are_wrong_and_counted():
    metrics = vote_metrics("v", {"q0": question("q0")}, {"q0": [sample(i, None, status="error") for i in range(3)]})
    assert (metrics.acc_vote, metrics.pass_at_n, metrics.unanswered) == (0.0, 0.0, 1.0)
    assert metrics.n == 1 and metrics.samples == 3
    assert metrics.curve[0].vote_low == 0.0 and metrics.curve[0].vote_high == 1.0  # one clip tells nothing


def test_a_mean_of_ones_has_an_interval_like_wilsons_and_one_mean_has_one_interval():
    questions = {f"q{i}": question(f"q{i}", f"g{i // 2}") for i in range(20)}
    right = {name: [sample(0, 0, name=name), sample(1, 0, name=name)] for name in questions}
    metrics = vote_metrics("v", questions, right)
    for row in metrics.curve:
        assert (row.pass_low, row.pass_high) == (pytest.approx(wilson(20, 20)[0], rel=1e-5), 1)
    mixed = {name: [sample(0, i % 2, name=name), sample(1, i % 3, name=name)] for i, name in enumerate(questions)}
    metrics = vote_metrics("v", questions, mixed)
    for end, row in zip(metrics.detail, (metrics.curve[0], metrics.curve[-1]), strict=True):
        assert (end.acc, end.low, end.high) == (row.vote, row.vote_low, row.vote_high)
    assert [end.acc for end in metrics.detail] == [metrics.acc_mean, metrics.acc_vote]


def several(rng, agreement, n=60, samples=8):
    """Questions of which `agreement(rng)` is the chance that a sample gives the right answer."""
    found = {}
    for i in range(n):
        chance = agreement(rng)
        found[f"q{i}"] = [sample(k, 0 if rng.random() < chance else 1, name=f"q{i}") for k in range(samples)]
    return {name: question(name, f"g{i // 2}") for i, name in enumerate(found)}, found


def test_ece_and_brier_score_have_the_interval_of_resampling_clips_and_binning_anew():
    questions, found = several(random.Random(1), lambda rng: rng.random())
    method = Method(resamples=1_000, seed=3)
    metrics = vote_metrics("v", questions, found, method)
    votes = {name: count_votes(found[name], 0) for name in questions}
    clips = sorted({q.group for q in questions.values()})
    drawn = np.random.default_rng(3).integers(len(clips), size=(1_000, len(clips)))
    of_clip = [[votes[name] for name, q in questions.items() if q.group == clip] for clip in clips]
    resampled = [[one for index in row for one in of_clip[index]] for row in drawn]
    for key, figure in (("ece", lambda some: calibration_error(calibration(some))), ("brier", brier_by_hand)):
        expected = np.quantile([figure(some) for some in resampled], [0.025, 0.975])
        assert [getattr(metrics, f"{key}_low"), getattr(metrics, f"{key}_high")] == pytest.approx(expected, rel=1e-5)
        assert getattr(metrics, f"{key}_low") < getattr(metrics, key) < getattr(metrics, f"{key}_high")


def brier_by_hand(some):
    confidence = np.array([one.most / one.n for one in some])
    won = np.array([vote_score(one) for one in some])
    return np.mean(won * (1 - confidence) ** 2 + (1 - won) * confidence**2)


def test_perfect_agreement_on_right_answers_is_no_proof_of_perfect_calibration():
    metrics = vote_metrics("v", *several(random.Random(2), lambda rng: 1.0, n=20))
    assert (metrics.ece, metrics.ece_low, metrics.brier, metrics.brier_low) == (0, 0, 0, 0)
    assert metrics.ece_high == metrics.brier_high == pytest.approx(1.96 * 2**0.5 / 22, rel=1e-3)


def test_one_clip_tells_nothing_of_calibration():
    metrics = vote_metrics("v", {"q0": question("q0")}, {"q0": [sample(0, 0), sample(1, 0)]})
    assert [metrics.ece_low, metrics.ece_high, metrics.brier_low, metrics.brier_high] == [0, 1, 0, 1]


# ── The stages ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_jsonl(Path("data/questions/test.jsonl"), (to_dict(question(f"q{i}", f"g{i // 2}")) for i in range(6)))
    write_samples([[0, 0, 1], [0, 1, 2], [None, None, None], [1, 1, 0], [0, 0, 0], [None, 0, 2]])
    write_json(Path(f"data/samples/base/{VARIANT}@samples.run.json"), {"prompt": {"name": VARIANT}})
    return tmp_path


def write_samples(answers):
    rows = [
        to_dict(sample(i, a, f"trace {i}", name=f"q{q}"))
        for q, drawn in enumerate(answers)
        for i, a in enumerate(drawn)
    ]
    write_jsonl(Path(f"data/samples/base/{VARIANT}@samples.jsonl"), rows)


def run(monkeypatch, stage, *arguments):
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    stage.main()


def test_the_stage_writes_answers_and_figures_where_runs_are_looked_for(project, monkeypatch, capsys):
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    metrics = read_json(Path(f"metrics/votes/base/{VARIANT}.json"))
    assert metrics["acc_vote"] == pytest.approx((1 + 1 / 3 + 0 + 0 + 1 + 1 / 2) / 6, abs=1e-6)
    assert metrics["acc_mean"] == pytest.approx((2 + 1 + 0 + 1 + 3 + 1) / 18, abs=1e-6)
    assert (metrics["tied"], metrics["unanswered"]) == (pytest.approx(2 / 6, abs=1e-6), pytest.approx(1 / 6, abs=1e-6))
    printed = capsys.readouterr().out
    assert "tied 33.3%, unanswered 16.7%" in printed
    vote = metrics["detail"][1]
    assert f"vote 47.2% ({100 * vote['low']:.1f}–{100 * vote['high']:.1f})" in printed
    assert f"ECE {metrics['ece']:.3f} ({metrics['ece_low']:.3f}–{metrics['ece_high']:.3f}), Brier" in printed
    runs = load_project().runs()
    questions = read_question_set(Path("data/questions/test.jsonl"))
    for name, n in ((f"{VARIANT}@samples", 3), (f"{VARIANT}@vote", 1)):
        found = find_run(name, runs)
        assert {len(s) for s in read_samples(answers_file(found), questions, complete=True).values()} == {n}
        assert read_json(metrics_file(found))["n"] == 6
    assert read_json(metrics_file(find_run(f"{VARIANT}@vote", runs)))["acc_strict"] == pytest.approx(4 / 6, abs=1e-4)
    manifest = read_json(manifest_file(find_run(f"{VARIANT}@vote", runs)))
    assert manifest["prompt"] == {"name": VARIANT} and manifest["vote"]["trace"] == load_project().vote.trace


def test_the_comparison_pairs_vote_and_mean_of_each_question(project, monkeypatch):
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    (comparison,) = read_json(Path(f"metrics/votes/base/{VARIANT}.json"))["comparison"]
    assert (comparison["a"], comparison["b"]) == (f"{VARIANT}@samples", f"{VARIANT}@vote")
    assert (comparison["only_a"], comparison["only_b"]) == (1, 2)  # q3 loses by the vote, q0 and q5 win


def test_resamples_and_seed_are_those_of_compare(project, monkeypatch):
    written = []
    for seed in (3, 4):
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["compare"].update(resamples=1200, seed=seed)
        Path("params.yaml").write_text(yaml.safe_dump(params))
        run(monkeypatch, vote_stage, "--variant", VARIANT)
        written.append(read_json(Path(f"metrics/votes/base/{VARIANT}.json")))
        assert f"1200 resamples, seed {seed}" in written[-1]["comparison"][0]["method"]
    assert written[0]["acc_vote"] == written[1]["acc_vote"]


def test_the_same_samples_give_the_same_bytes(project, monkeypatch):
    files = []
    for _ in range(2):
        run(monkeypatch, vote_stage, "--variant", VARIANT)
        files.append({p: p.read_bytes() for d in ("metrics", "data/votes") for p in Path(d).rglob("*.json*")})
    assert files[0] == files[1] and len(files[0]) == 5


def test_the_order_of_lines_does_not_decide_a_vote(project, monkeypatch):
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    before = Path(f"data/votes/base/{VARIANT}@vote.jsonl").read_bytes()
    path = Path(f"data/samples/base/{VARIANT}@samples.jsonl")
    write_jsonl(path, reversed(list(read_jsonl(path))))
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    assert Path(f"data/votes/base/{VARIANT}@vote.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([[0, 0], [0, 1, 2], [0, 0], [0, 0], [0, 0], [0, 0]], "the same number of samples"),
        ([[0, 0]] * 5, "1 of 6 questions have no prediction"),
    ],
)
def test_incomplete_samples_are_refused_with_the_question_named(project, monkeypatch, capsys, answers, message):
    write_samples(answers)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, vote_stage, "--variant", VARIANT)
    told = capsys.readouterr().err
    assert caught.value.code == 2 and message in told and f"data/samples/base/{VARIANT}@samples.jsonl" in told
    assert not Path("metrics").exists() and not Path("data/votes").exists()


def test_the_tables_hold_each_sampled_variant(project, monkeypatch):
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    run(monkeypatch, vote_tables)
    curve, bins = read_json(vote_tables.CURVE), read_json(vote_tables.CALIBRATION)
    assert [(row["what"], row["k"]) for row in curve] == [(what, k) for what in ("vote", "pass@k") for k in (1, 2, 3)]
    assert all(row["low"] <= row["acc"] <= row["high"] for row in curve)
    assert all(row["ece_low"] <= row["ece"] <= row["ece_high"] for row in bins)
    assert sum(row["n"] for row in bins) == 6 and {row["variant"] for row in [*curve, *bins]} == {VARIANT}


def test_without_sampled_variants_the_tables_are_empty(project, monkeypatch):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["vote"]["variants"] = []
    Path("params.yaml").write_text(yaml.safe_dump(params))
    run(monkeypatch, vote_tables)
    assert read_json(vote_tables.CURVE) == read_json(vote_tables.CALIBRATION) == []


def test_a_voted_response_reads_back_as_it_was(project, monkeypatch):
    run(monkeypatch, vote_stage, "--variant", VARIANT)
    samples = [json.loads(line) for line in Path(f"data/samples/base/{VARIANT}@samples.jsonl").read_text().splitlines()]
    for row in read_jsonl(Path(f"data/votes/base/{VARIANT}@vote.jsonl")):
        assert row in samples and to_dict(response_from(row)) == row
