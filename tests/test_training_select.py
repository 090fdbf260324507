"""Selection: which problems, which of their right samples, how much each counts; and the stage `training_select`."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.algorithms.pass_rates import CATEGORIES, Problem, categories, category, histogram, problems_of
from audio_reasoning.algorithms.rest.params import Select
from audio_reasoning.algorithms.rest.selection import chosen_traces, merged, select_problems, traces_of
from audio_reasoning.algorithms.traces import distinct, ranked, well_formed
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.core.records import Audio, read_questions
from audio_reasoning.core.rollouts import DEV, SILENCE, Sample, Trace, read_records, write_records
from stages import training_select as stage
from tests.training_records import ROOT, question, sample, samples, trace, write_parameters, write_questions

ALL = Select(
    band="all", traces="all", k=2, rank="shortest", max_per_sub_category=None,
    mastered_share=0.0, max_silence_rate=None, accumulate=True,
)  # fmt: skip


def rng():
    return np.random.default_rng(0)


def problem(name, right, n=16, silent_rate=None, **other):
    return Problem(name, tuple(samples(name, right, n, **other)), silent_rate)


def selected(problems, seed=0, sub_categories=None, trained=(), **select):
    names = sub_categories or {p.id: "Content Analysis" for p in problems}
    return select_problems(problems, names, ALL.model_copy(update=select), seed, trained)


# ── Pass rates ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 256).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_category_is_an_interval_of_the_pass_rate(counts):
    right, n = counts
    rate = Fraction(right, n)
    intervals = {
        "too_hard": rate == 0,
        "challenging": 0 < rate <= Fraction(1, 4),
        "learning_zone": Fraction(1, 4) < rate <= Fraction(3, 4),
        "almost_mastered": Fraction(3, 4) < rate < 1,
        "mastered": rate == 1,
    }
    assert [name for name, holds in intervals.items() if holds] == [category(right, n)]
    assert tuple(intervals) == CATEGORIES


@pytest.mark.parametrize(("right", "n"), [(-1, 4), (5, 4), (0, 0)])
def test_counts_that_cannot_be_are_refused(right, n):
    with pytest.raises(ValueError, match=f"{right} right of {n}"):
        category(right, n)


def test_problems_are_the_heard_samples_with_the_silent_pass_rate_beside_them():
    rows = samples("b", 1, 4) + samples("a", 4, 4)
    rows += samples("b", 3, 4, condition=SILENCE) + samples("dev", 2, 2, condition=DEV)
    problems, failed = problems_of(rows)
    assert [(p.id, p.pass_rate, p.silent_rate, p.category) for p in problems] == [
        ("b", 0.25, 0.75, "challenging"),
        ("a", 1.0, None, "mastered"),
    ]
    assert [s.sample_index for s in problems[0].right] == [0] and not failed


@pytest.mark.parametrize("condition", ["heard", "silence"])
def test_a_problem_of_which_a_sample_failed_is_left_out_and_named(condition):
    rows = samples("a", 2, 4) + samples("b", 2, 4) + samples("a", 0, 2, condition=SILENCE)
    failure = sample("a", 9, False, status="error", condition=condition)
    problems, failed = problems_of([failure, *rows])
    assert [p.id for p in problems] == ["b"] and failed == ["a"]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_histogram_has_every_rate_and_the_categories_every_name(rights):
    problems = [problem(f"q{i}", right, 5) for i, right in enumerate(rights)]
    rows = histogram(problems)
    assert [row["pass_rate"] for row in rows] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert [row["problems"] for row in rows] == [rights.count(right) for right in range(6)]
    shares = categories(problems)
    assert tuple(shares) == CATEGORIES
    for name, row in shares.items():
        assert row["problems"] == sum(r["problems"] for r in rows if r["category"] == name)
        assert row["share"] == pytest.approx(row["problems"] / len(rights), abs=1e-4)


# ── Traces of one problem ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("<think>it rings</think> a bell", True),
        ("it rings</think> a bell", True),  # the prompt opened it
        ("a bell", False),
        ("<think>it rings a bell", False),
        ("<think>it</think> no <think>rings</think> a bell", False),
        ("<think>it <think>rings</think> a bell", False),
        ("it rings</think> a bell <think>", False),
        ("<think>it rings</think></think> a bell", False),
    ],
)
def test_thinking_is_opened_and_closed_once(text, good):
    assert well_formed(sample("q", text=text)) is good


def test_malformed_thinking_is_not_trained_on():
    right = [sample("q", 0, text="a bell", ids=(1,)), sample("q", 1, ids=(1, 2))]
    assert [s.sample_index for s in chosen_traces(right, ALL, rng())] == [1]


def test_the_same_tokens_are_one_trace_the_first_in_their_order():
    rows = [sample("q", i, ids=ids) for i, ids in enumerate([(1, 2), (3,), (1, 2), (4,), (3,)])]
    assert [s.sample_index for s in distinct(rows)] == [0, 1, 3]


@pytest.mark.parametrize(("traces", "count"), [("all", 5), ("best", 1), ("top_k", 2)])
@pytest.mark.parametrize("rank", ["shortest", "random", "diverse"])
def test_as_many_traces_as_asked_for_the_first_of_the_rank(traces, count, rank):
    right = samples("q", 5, 5)
    select = ALL.model_copy(update={"traces": traces, "rank": rank})
    assert chosen_traces(right, select, rng()) == ranked(right, rank, rng())[:count]
    assert len(chosen_traces(right, select, rng())) == count


def test_fewer_traces_than_asked_for_are_all_of_them():
    assert len(chosen_traces(samples("q", 2, 2), ALL.model_copy(update={"traces": "top_k", "k": 9}), rng())) == 2


def test_shortest_is_by_tokens_and_then_by_index():
    rows = [sample("q", i, ids=tuple(range(length))) for i, length in ((3, 4), (2, 4), (1, 9), (0, 5))]
    assert [s.sample_index for s in ranked(rows, "shortest", rng())] == [2, 3, 0, 1]


@given(st.lists(st.lists(st.integers(0, 3), max_size=8).map(tuple), unique=True, max_size=8), st.integers(0, 9))
def test_a_rank_keeps_every_sample_and_depends_on_its_seed_alone(ids, seed):
    rows = [sample("q", i, ids=row) for i, row in enumerate(ids)]
    for rank in ("shortest", "random", "diverse"):
        order = ranked(rows, rank, np.random.default_rng(seed))
        assert sorted(order, key=rows.index) == rows
        assert order == ranked(rows, rank, np.random.default_rng(seed))


def test_random_depends_on_the_seed():
    rows = samples("q", 8, 8)
    orders = {tuple(s.sample_index for s in ranked(rows, "random", np.random.default_rng(i))) for i in range(9)}
    assert len(orders) > 5


@pytest.mark.parametrize("seed", range(12))
def test_diverse_takes_one_of_each_kind_before_a_second_of_any(seed):
    kinds = [(base, base + 1, base + 2, base + 3, base + 4) for base in (10, 20, 30)]
    rows = [sample("q", 10 * k + i, ids=(*ids, 100 + i)) for k, ids in enumerate(kinds) for i in range(4)]
    order = ranked(rows, "diverse", np.random.default_rng(seed))
    assert {s.sample_index // 10 for s in order[:3]} == {0, 1, 2}


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=9).map(tuple), unique=True, min_size=2, max_size=7))
def test_diverse_takes_the_one_whose_nearest_is_farthest(ids):
    def distance(a, b):
        a, b = ({s.completion_token_ids[i : i + 3] for i in range(len(s.completion_token_ids) - 2)} for s in (a, b))
        return 1 - len(a & b) / len(a | b)

    order = ranked([sample("q", i, ids=row) for i, row in enumerate(ids)], "diverse", rng())
    for position in range(1, len(order)):
        nearest = [min(distance(s, taken) for taken in order[:position]) for s in order[position:]]
        assert nearest[0] == max(nearest)


# ── Problems ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("band", "taken"),
    [
        ("learning_zone", {"learning_zone"}),
        ("wide", {"challenging", "learning_zone", "almost_mastered"}),
        ("all", {"challenging", "learning_zone", "almost_mastered", "mastered"}),
    ],
)
def test_a_band_is_a_set_of_categories(band, taken):
    problems = [problem(f"q{right}", right) for right in range(17)]
    found = selected(problems, band=band)
    assert set(found.taken) == {p.id for p in problems if p.category in taken}
    assert found.dropped["outside_band"] == 16 - len(found.taken)


def test_what_is_answered_without_hearing_is_dropped_above_the_limit_only():
    problems = [problem("a", 8, silent_rate=0.75), problem("b", 8, silent_rate=0.76), problem("c", 8)]
    found = selected(problems, max_silence_rate=0.75)
    assert set(found.taken) == {"a", "c"} and found.dropped["answered_without_hearing"] == 1
    assert set(selected(problems).taken) == {"a", "b", "c"}


def test_a_cap_bounds_each_sub_category_and_draws_by_the_seed():
    problems = [problem(f"q{i}", 8) for i in range(30)]
    names = {p.id: "rare" if i < 2 else f"s{i % 2}" for i, p in enumerate(problems)}
    draws = set()
    for seed in range(5):
        found = selected(problems, seed, names, max_per_sub_category=3)
        assert sorted(names[name] for name in found.taken) == ["rare"] * 2 + ["s0"] * 3 + ["s1"] * 3
        assert found.dropped["over_cap"] == 22
        draws.add(tuple(found.taken))
    assert len(draws) > 1


@pytest.mark.parametrize(("share", "replayed"), [(0.0, 0), (0.1, 2), (0.5, 18), (0.9, 20)])
def test_mastered_problems_are_replayed_as_a_share_of_what_is_trained_on(share, replayed):
    problems = [problem(f"q{i}", 8) for i in range(18)] + [problem(f"m{i}", 16) for i in range(20)]
    found = selected(problems, band="wide", mastered_share=share)
    assert len(found.replayed) == replayed and len(found.taken) == 18 + replayed
    assert all(name.startswith("m") for name in found.replayed)
    if replayed < 20:
        assert replayed / len(found.taken) == pytest.approx(share)


def test_retention_is_what_is_mastered_and_never_trained_on():
    problems = [problem(f"q{i}", 8) for i in range(9)] + [problem(f"m{i}", 16) for i in range(10)]
    found = selected(problems, band="wide", mastered_share=0.25, trained={"m1", "m2", "q1"})
    asked = {p.id for p in found.retention}
    assert asked and not asked & found.taken.keys() and not asked & {"m1", "m2"}
    assert asked | found.replayed | {"m1", "m2"} == {f"m{i}" for i in range(10)}
    assert selected(problems, band="all").retention == []


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), min_size=1, max_size=25),
    st.sampled_from(["learning_zone", "wide", "all"]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([0.0, 0.3]),
)
def test_every_problem_with_a_right_sample_is_taken_or_dropped_for_one_reason(rows, band, cap, share):
    problems = [
        problem(f"q{i}", right, 4, silent / 4, **({} if fine else {"text": "malformed"}))
        for i, (right, silent, fine) in enumerate(rows)
    ]
    found = selected(problems, band=band, max_per_sub_category=cap, mastered_share=share, max_silence_rate=0.5)
    assert len(found.taken) + sum(found.dropped.values()) == sum(bool(p.right) for p in problems)
    assert all(traces and all(s.correct for s in traces) for traces in found.taken.values())


# ── Weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def weighted(problems, band, **select):
    found = selected(problems, band=band, **select)
    questions = {p.id: question(p.id) for p in problems}
    return traces_of(found, {p.id: p for p in problems}, questions, "iter1", band), found


def by_problem(traces):
    sums = {}
    for row in traces:
        sums[row.problem_id] = sums.get(row.problem_id, 0.0) + row.weight
    return sums


RATES = st.lists(st.integers(1, 8), min_size=1, max_size=12)


@given(RATES, st.sampled_from(["wide", "all", "learning_zone"]), st.sampled_from([0.0, 0.4]))
def test_weights_are_1_on_average(rights, band, share):
    traces, _ = weighted(
        [problem("q", 4, 8), *(problem(f"q{i}", r, 8) for i, r in enumerate(rights))], band, mastered_share=share
    )
    assert fmean(t.weight for t in traces) == pytest.approx(1)
    assert all(t.weight > 0 for t in traces)


def test_in_the_wide_band_a_problem_counts_by_p_times_1_minus_p_shared_by_its_traces():
    traces, _ = weighted([problem("a", 1, 8), problem("b", 4, 8), problem("c", 6, 8)], "wide")
    sums = by_problem(traces)
    assert sums["b"] / sums["a"] == pytest.approx(16 / 7) and sums["b"] / sums["c"] == pytest.approx(16 / 12)
    assert len({t.weight for t in traces if t.problem_id == "b"}) == 1


@pytest.mark.parametrize("band", ["learning_zone", "all"])
def test_elsewhere_each_trace_counts_the_same(band):
    traces, _ = weighted([problem("a", 3, 8), problem("b", 6, 8)], band)
    assert len(traces) == 9 and {t.weight for t in traces} == {1.0}


def test_a_replayed_problem_counts_like_the_mean_of_the_others():
    traces, found = weighted(
        [problem("a", 1, 8), problem("b", 4, 8), problem("m", 8, 8)], "wide", mastered_share=1 / 3, traces="top_k"
    )
    sums = by_problem(traces)
    assert found.replayed == {"m"} and sums["m"] == pytest.approx((sums["a"] + sums["b"]) / 2)


def test_a_trace_holds_its_sample_its_question_and_its_pass_rate():
    (row,), _ = weighted([problem("a", 1, 4)], "all")
    assert row == trace("a", ids=(0, 1, 2, 3), pass_rate=0.25, audio_path="mini/a.flac")


def test_merging_drops_what_the_bank_has():
    bank = [trace("a", (1,)), trace("b", (2,))]
    new = [trace("a", (1,), model="iter2", weight=2.0), trace("a", (3,), model="iter2")]
    assert merged(bank, new) == [*bank, new[1]]


@pytest.mark.parametrize(
    "other", [{"audio_sha256": "f" * 64}, {"prompt_token_ids": (7,)}, {"completion_token_ids": (1, 9)}], ids=str
)
def test_another_clip_prompt_or_completion_is_another_trace(other):
    assert len(merged([trace("a", (1,))], [replace(trace("a", (1,)), **other)])) == 2


# ── The stage ────────────────────────────────────────────────────────────────────────────────────────────────────────

RIGHT = {"never": 0, "seldom": 1, "half": 4, "half2": 4, "often": 7, "always": 8, "always2": 8, "always3": 8}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the train questions and the samples of iter1."""
    monkeypatch.chdir(tmp_path)
    configure()
    write_questions("train", [question(name) for name in [*RIGHT, "not asked"]])
    write_samples("iter1", [s for name, right in RIGHT.items() for s in samples(name, right, 8)])
    return tmp_path


def configure(**select):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"] = {
        "iter1": {"from": "base", "method": "rest", "learning_rate": 1e-5},
        "iter2": {"from": "iter1", "method": "rest", "learning_rate": 1e-5},
    }
    params["rest"]["select"] = ALL.model_dump() | {"band": "wide", "mastered_share": 0.2} | select
    write_parameters(params)


def without_tags(sample):
    return replace(sample, text=sample.text.removeprefix("<think>").replace("</think>", ""))


def write_samples(name, rows):
    extra = [sample("never", i, i < 1, condition=SILENCE) for i in range(4)] + [sample("dev question", condition=DEV)]
    write_records(Path(f"data/training/{name}/samples.parquet"), Sample, [*rows, *extra])


def run(monkeypatch, name="iter1"):
    monkeypatch.setattr("sys.argv", ["select", "--model", name])
    stage.main()


def bank(name="iter1"):
    return read_records(Path(f"data/training/{name}/bank.parquet"), Trace)


def metrics(name="iter1"):
    return read_json(Path(f"metrics/training/generation_{name}.json"))


def accepted(name, traces, before=()):
    """A model folder as a model leaves it, which started from a model that was trained on problems `before`."""
    write_json(Path(f"models/{name}/model.json"), {"depth": 1})
    write_records(Path(f"models/{name}/bank.parquet"), Trace, traces)
    write_json(Path(f"models/{name}/trained.json"), sorted({*before, *(t.problem_id for t in traces)}))


def test_the_stage_writes_the_bank_the_retention_questions_and_what_it_counted(project, monkeypatch, capsys):
    run(monkeypatch)
    found = metrics()
    assert found.pop("dropped") == {
        "answered_without_hearing": 0, "over_cap": 0, "outside_band": 2, "without_usable_trace": 0,
    }  # fmt: skip
    rates = read_json(Path("metrics/training/pass_rates/iter1.json"))
    assert [row["problems"] for row in rates] == [1, 1, 0, 0, 2, 0, 0, 1, 3]
    shares = found.pop("categories")
    assert {name: row["problems"] for name, row in shares.items()} == dict(
        too_hard=1, challenging=1, learning_zone=2, almost_mastered=1, mastered=3
    )
    assert found == {
        "problems": 8, "problems_failed": 0, "candidates": 64, "candidates_correct": 40, "candidates_truncated": 0,
        "candidates_without_answer": 0, "correct_duplicates": 0, "correct_malformed": 0, "pass_rate": 0.625,
        "pass_rate_silence": 0.25, "problems_with_correct": 7, "problems_learning_zone": 2, "problems_selected": 5,
        "problems_replayed": 1, "problems_retention": 2, "samples_selected": 24, "bank": 24,
    }  # fmt: skip
    traces = bank()
    assert len(traces) == 24 and {t.model for t in traces} == {"iter1"}
    retention = read_questions(Path("data/training/iter1/retention.jsonl"))
    assert {q.id for q in retention} | {t.problem_id for t in traces} == RIGHT.keys() - {"never"}
    assert not {q.id for q in retention} & {t.problem_id for t in traces}
    printed = capsys.readouterr().out
    assert all(f"{name} " in printed for name in CATEGORIES)
    assert "mastered                3  37.5%" in printed
    assert "iter1: 24 traces of 5 problems; the bank holds 24" in printed


def test_retention_questions_are_asked_again_as_they_were_sampled(project, monkeypatch):
    run(monkeypatch)
    for again in read_questions(Path("data/training/iter1/retention.jsonl")):
        own = question(again.id)
        assert again.choices == own.choices[::-1]
        assert again.choices[again.answer] == own.choices[own.answer]


def test_what_failed_is_counted_apart(project, monkeypatch):
    rows = samples("half", 4, 8) + samples("often", 0, 8, status="error")
    fates = ["ok", "truncated", *["no_answer", "truncated"] * 3]
    rows += [sample("seldom", i, i == 0, status=status) for i, status in enumerate(fates)]
    rows += [sample("half2", i, text="ANSWER: a bell" if i else "a</think>ANSWER: a bell") for i in range(3)]
    write_samples("iter1", rows)
    run(monkeypatch)
    found = metrics()
    counts = {k: found[k] for k in ("problems", "problems_failed", "candidates", "candidates_truncated")}
    assert counts == {"problems": 4, "problems_failed": 1, "candidates": 27, "candidates_truncated": 4}
    assert (found["correct_malformed"], found["correct_duplicates"]) == (2, 2)
    assert found["dropped"]["outside_band"] == 1


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([s for name in RIGHT for s in samples(name, 0, 8)], "no sample of 8 problems is right"),
        (
            [s for name in RIGHT for s in samples(name, 8, 8)],
            "leaves no trace of 8 problems (left out: outside_band 8;",
        ),
        (
            [without_tags(s) for name in RIGHT for s in samples(name, 4, 8)],
            "(left out: without_usable_trace 8;",
        ),
    ],
    ids=["none right", "all mastered", "all malformed"],
)
def test_nothing_to_train_on_is_a_recorded_refusal(project, monkeypatch, capsys, rows, reason):
    accepted("iter1", [trace("before")])
    write_samples("iter2", rows)
    run(monkeypatch, "iter2")
    refused = metrics("iter2")["refused"]
    assert refused["stage"] == "training_select" and reason in refused["reasons"][0] and refused["ways_out"]
    told = capsys.readouterr().err
    assert "REFUSED: iter2 is not trained (training_select); it stays the model iter1" in told
    assert all(line in told for line in [*refused["reasons"], *refused["ways_out"]])
    assert sum(row["problems"] for row in read_json(Path("metrics/training/pass_rates/iter2.json"))) == 8
    assert bank("iter2") == [trace("before")]


def test_problems_that_all_failed_say_nothing_and_stop_the_stage(project, monkeypatch, capsys):
    write_samples("iter1", [s for name in RIGHT for s in samples(name, 0, 8, status="error")])
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch)
    assert caught.value.code == 2
    assert "data/training/iter1/samples.parquet: a sample of each of its 8 problems failed" in capsys.readouterr().err
    assert not Path("metrics").exists() and [p.name for p in Path("data/training/iter1").iterdir()] == [
        "samples.parquet"
    ]


def test_two_runs_write_the_same_bytes(project, monkeypatch):
    files = [Path("data/training/iter1/bank.parquet"), Path("data/training/iter1/retention.jsonl")]
    configure(rank="diverse", traces="top_k", max_per_sub_category=3)
    runs = []
    for _ in range(2):
        run(monkeypatch)
        runs.append([file.read_bytes() for file in files])
        for file in files:
            file.unlink()
    assert runs[0] == runs[1]


@pytest.fixture
def second(project):
    """iter1 was trained on `half` and on a problem that is not asked again; iter2 samples the same problems."""
    known = replace(
        trace("half", ids=(0, 1, 2, 3)), audio_sha256=question("half").audio.sha256, weight=0.25, model="iter1"
    )
    accepted("iter1", [known, trace("not asked"), trace("always2")])
    write_samples("iter2", [s for name, right in RIGHT.items() for s in samples(name, right, 8)])
    return known


def test_a_later_iteration_adds_to_the_bank_of_the_model_it_starts_from(second, monkeypatch):
    configure(mastered_share=0.0)
    run(monkeypatch, "iter2")
    traces = bank("iter2")
    assert [t.problem_id for t in traces[:3]] == ["half", "not asked", "always2"] and traces[0] == second
    assert {t.model for t in traces[3:]} == {"iter2"}
    assert metrics("iter2")["samples_selected"] == 16
    assert len(traces) == metrics("iter2")["bank"] == 3 + 16 - 1, "one of them was in the bank already"


def test_a_later_iteration_trains_on_its_own_traces_alone_where_asked_to(second, monkeypatch):
    configure(mastered_share=0.0, accumulate=False)
    run(monkeypatch, "iter2")
    assert len(bank("iter2")) == 16 and {t.model for t in bank("iter2")} == {"iter2"}


@pytest.mark.parametrize("accumulate", [True, False])
def test_retention_leaves_out_what_an_earlier_iteration_was_trained_on(second, monkeypatch, accumulate):
    configure(mastered_share=0.0, accumulate=accumulate)
    run(monkeypatch, "iter2")
    assert [q.id for q in read_questions(Path("data/training/iter2/retention.jsonl"))] == ["always", "always3"]


def test_retention_leaves_out_what_the_adapter_before_the_last_was_trained_on(project, monkeypatch):
    """Where banks do not accumulate and one adapter is trained on and on, the last bank does not tell."""
    accepted("iter1", [trace("always2")], before=["always3"])
    write_samples("iter2", [s for name, right in RIGHT.items() for s in samples(name, right, 8)])
    configure(mastered_share=0.0, accumulate=False)
    run(monkeypatch, "iter2")
    assert [q.id for q in read_questions(Path("data/training/iter2/retention.jsonl"))] == ["always"]


def test_one_question_about_two_clips_of_one_length_is_two_traces(second, monkeypatch):
    configure(mastered_share=0.0)
    other = question("half", audio=Audio("mini/other.flac", "e" * 64, 1.5))
    write_questions("train", [other if name == "half" else question(name) for name in RIGHT])
    run(monkeypatch, "iter2")
    assert len(bank("iter2")) == 3 + 16


def test_the_model_that_an_iteration_starts_from_must_be_there(project, monkeypatch, capsys):
    write_samples("iter2", samples("half", 4, 8))
    with pytest.raises(SystemExit):
        run(monkeypatch, "iter2")
    assert "models/iter1/" in capsys.readouterr().err
