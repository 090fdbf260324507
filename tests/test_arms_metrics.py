"""What the control arms are found to say: audio gain, its tests, consistency, and a liking for places."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvc_render.vega import VegaRenderer
from scipy.stats import chisquare

from audio_reasoning.conditions.orders import asked_orders
from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Audio, Question, Response, to_dict
from audio_reasoning.metrics import places
from audio_reasoning.metrics.arms_results import ArmComparison, ArmsSummary, AudioGain
from audio_reasoning.metrics.paired import Method
from audio_reasoning.metrics.stats import wilson
from stages import arms, score
from stages.arms import plot_rows
from tests.commands import command

ROOT = Path(__file__).parents[1]
N, SEED, K = 60, 23, 4


def question(i: int, n: int = 4) -> Question:
    return Question(
        id=f"q{i}",
        audio=Audio(f"mini/q{i}.flac", "0" * 64, 1.5),
        question="What is it?",
        choices=tuple(f"sound {c}" for c in range(n)),
        answer=i % n,
        category="Semantic Layer",
        sub_category="Lonely" if i == 0 else "Content Analysis" if i % 2 else "Music Theory",
        modality="sound",
        language="en",
        source="mini",
        group=f"g{i // 2}",
    )


QUESTIONS = [question(i, (2, 3, 4, 4)[i % 4]) for i in range(N)]


def response(asked: Question, answer: int | None, sample_index: int = 0) -> Response:
    status = "no_answer" if answer is None else "ok"
    return Response(asked.id, sample_index, status, "", "", answer, "verbatim", "stop", 5, 5)


def answers(right: set[int]) -> list[Response]:
    """Right answers to the questions in `right`, wrong ones to the others."""
    return [response(q, q.answer if i in right else (q.answer + 1) % len(q.choices)) for i, q in enumerate(QUESTIONS)]


def write(monkeypatch, arm: str, responses: list[Response], **manifest: object) -> None:
    """The predictions of an arm (empty: the ordinary run) of the variant `v`, and their metrics."""
    path = Path(f"data/controls/base/v@{arm}.jsonl" if arm else "data/answers/base/v.jsonl")
    write_jsonl(path, map(to_dict, responses))
    write_json(path.with_suffix(".run.json"), {"arm": {"kind": arm, **manifest}})
    run(monkeypatch, score, f"v@{arm}" if arm else "v")


def run(monkeypatch, stage, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["stage", *arguments])
    stage.main()


def set_params(**changes: object) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["arms"] |= changes
    Path("params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """The ordinary run has 40 of 60 right; with silence 20 of these, with another clip 10, in text alone none.

    `permuted` has the ordinary run's choices in every order.
    """
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prompts"]["variants"] = ["v"]
    params["judge"]["runs"], params["submission"]["run"] = [], "v"
    params["arms"]["variants"] = params["vote"]["variants"] = params["training"]["eval_prompts"] = ["v"]
    params["headline"]["variant"] = "v"
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_jsonl(Path("data/questions/test.jsonl"), map(to_dict, QUESTIONS))
    normal = answers(set(range(40)))
    write(monkeypatch, "", normal)
    for arm, right in (("silence", 20), ("mismatched", 10), ("text_only", 0)):
        write(monkeypatch, arm, answers(set(range(right))))
    permuted = [replace(one, sample_index=k) for one in normal for k in range(K)]
    write(monkeypatch, "permuted", permuted, seed=SEED, permutations=K)
    return tmp_path


def summary() -> dict:
    return json.loads(Path("metrics/arms.json").read_text())


def fails(monkeypatch, capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, arms, *arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


# ── Scores of an arm ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_arm_is_scored_into_a_file_of_its_own_with_what_made_it(workplace):
    metrics = json.loads(Path("metrics/controls/base/v@silence.json").read_text())
    assert metrics["acc_strict"] == round(20 / 60, 4) and metrics["n"] == N
    assert metrics["run"] == [{"arm": {"kind": "silence"}}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("iter1/v@silence",), "data/controls/iter1/v@silence.jsonl: no such file"),
        ((), "one of the arguments run --model --controls is required"),
        (("v@deaf",), "data/controls/base/v@deaf.jsonl: no such file"),
        (("v@Silence",), "'v@Silence' names no run"),
    ],
)
def test_arms_are_of_a_variant_and_of_the_base_model(workplace, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, score, *arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err


# ── Audio gain ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_audio_gain_is_the_accuracy_with_the_clip_minus_that_of_the_arm(workplace, monkeypatch):
    run(monkeypatch, arms)
    found = summary()["variants"]["v"]
    assert found["acc"] == pytest.approx(40 / 60, abs=1e-5)
    assert found["chance"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4 + 1 / 4) / 4, abs=1e-5)
    gains = {arm: found[arm]["audio_gain"] for arm in ("silence", "mismatched", "text_only")}
    assert gains == pytest.approx({"silence": 20 / 60, "mismatched": 30 / 60, "text_only": 40 / 60}, abs=1e-5)
    assert "audio_gain" not in found["permuted"] and found["permuted"]["acc"] == found["acc"]
    silence = summary()["comparisons"][0]
    assert (silence["a"], silence["b"], silence["only_a"], silence["only_b"]) == ("v@silence", "v", 0, 20)
    assert 0 < silence["low"] < silence["difference"] < silence["high"] and silence["p"] == pytest.approx(
        2 / 2**10, rel=1e-5
    )


def test_each_sub_category_has_its_gain_and_a_p_adjusted_over_them(workplace, monkeypatch):
    run(monkeypatch, arms)
    rows = [row for row in summary()["sub_categories"] if row["arm"] == "silence"]
    assert [row["name"] for row in rows] == ["Content Analysis", "Lonely", "Music Theory"]
    assert sum(row["n"] * row["difference"] for row in rows) == pytest.approx(20, abs=1e-3)
    assert all(row["q"] >= row["p"] for row in rows)
    lonely = rows[1]  # one clip tells nothing of any spread
    assert (lonely["n"], lonely["low"], lonely["high"], lonely["p"]) == (1, -1.0, 1.0, 1.0)


def test_the_same_inputs_give_the_same_bytes_and_the_table_can_be_shown_again(workplace, monkeypatch, capsys):
    run(monkeypatch, arms)
    first, files = capsys.readouterr().out, [Path(f"metrics/{name}.json") for name in ("arms", "audio_gain")]
    before = [file.read_bytes() for file in files]
    run(monkeypatch, arms)
    assert capsys.readouterr().out == first and [file.read_bytes() for file in files] == before
    for file in Path("data").rglob("*.jsonl"):
        file.unlink()
    command("show", "arms")
    assert capsys.readouterr().out == first
    for told in ("silence", "+33.3", "mismatched", "+50.0", "guessing", "Content Analysis", "chi-square"):
        assert told in first


def test_without_variants_there_is_nothing_to_tell(workplace, monkeypatch, capsys):
    set_params(variants=[])
    run(monkeypatch, arms)
    assert "no control arms" in capsys.readouterr().out
    assert summary()["variants"] == {} and json.loads(Path("metrics/audio_gain.json").read_text()) == []


def test_arms_that_are_not_asked_are_left_out(workplace, monkeypatch, capsys):
    set_params(kinds=["text_only"])
    run(monkeypatch, arms)
    assert set(summary()["variants"]["v"]) == {"n", "chance", "acc", "truncated", "no_answer", "error", "text_only"}
    assert summary()["places"] == [] and "chi-square" not in capsys.readouterr().out


def failed(times: int = 1) -> list[Response]:
    return [
        Response(q.id, k, "error", "", "", None, "none", "error", 0, 0, "gone") for q in QUESTIONS for k in range(times)
    ]


def line_of(printed: str, arm: str) -> list[str]:
    return next(line.split() for line in printed.splitlines() if line.startswith(f"{arm} "))


def test_an_arm_in_which_every_request_failed_shows_no_gain(workplace, monkeypatch, capsys):
    write(monkeypatch, "silence", failed())
    write(monkeypatch, "permuted", failed(K), seed=SEED, permutations=K)
    run(monkeypatch, arms)
    found = summary()["variants"]["v"]
    assert found["silence"] == {"acc": 0, "truncated": 0, "no_answer": 0, "error": 1}
    assert (found["permuted"]["consistency"], found["permuted"]["unanswered"]) == (0, 1)
    assert summary()["unanswered"] == [{"variant": "v", "arm": "silence"}, {"variant": "v", "arm": "permuted"}]
    compared = {row["arm"] for key in ("comparisons", "sub_categories") for row in summary()[key]}
    gains = {row["arm"] for row in json.loads(Path("metrics/audio_gain.json").read_text())}
    assert compared == gains == {"mismatched", "text_only"}
    printed = capsys.readouterr().out
    assert line_of(printed, "silence") == ["silence", "0.0", "0.0–6.0", "100.0", *["–"] * 4]
    assert "no gain is told of silence, permuted" in printed and "\n4, 1" in printed


def test_an_ordinary_run_in_which_every_request_failed_is_compared_with_no_arm(workplace, monkeypatch, capsys):
    write(monkeypatch, "", failed())
    run(monkeypatch, arms)
    assert summary()["comparisons"] == [] and len(summary()["unanswered"]) == 4
    assert json.loads(Path("metrics/audio_gain.json").read_text()) == []
    assert "no gain is told of silence, mismatched, text_only, permuted" in capsys.readouterr().out


def test_an_arm_that_often_refuses_shows_how_often_beside_its_gain(workplace, monkeypatch, capsys):
    normal = answers(set(range(40)))
    refused = [response(q, None) if i < 15 else normal[i] for i, q in enumerate(QUESTIONS)]
    write(monkeypatch, "text_only", refused)
    run(monkeypatch, arms)
    found = summary()["variants"]["v"]
    assert found["text_only"]["no_answer"] == found["text_only"]["audio_gain"] == 0.25 and found["no_answer"] == 0
    printed = capsys.readouterr().out
    assert line_of(printed, "text_only")[3:5] == ["25.0", "+25.0"] and line_of(printed, "with the clip")[5] == "0.0"


def test_several_samples_of_the_ordinary_run_are_compared_by_their_mean(workplace, monkeypatch):
    first, second = answers(set(range(40))), answers(set(range(20)))
    write(monkeypatch, "", [*first, *(replace(one, sample_index=1) for one in second)])
    run(monkeypatch, arms)
    assert summary()["variants"]["v"]["acc"] == pytest.approx(0.5)
    assert summary()["comparisons"][0]["method"].startswith("randomisation p")
    assert summary()["variants"]["v"]["permuted"]["consistency"] == 1.0  # with the first sample


def test_an_arm_that_was_not_run_is_told(workplace, monkeypatch, capsys):
    Path("data/controls/base/v@text_only.jsonl").unlink()
    assert "data/controls/base/v@text_only.jsonl: no such file" in fails(monkeypatch, capsys)
    assert not Path("metrics/arms.json").exists()


def test_answers_to_other_orders_than_the_manifest_tells_of_are_refused(workplace, monkeypatch, capsys):
    write_json(
        Path("data/controls/base/v@permuted.run.json"), {"arm": {"kind": "permuted", "seed": SEED, "permutations": 3}}
    )
    assert "has 4 answers to q0" in fails(monkeypatch, capsys)


def test_the_table_says_that_its_p_values_are_exploratory(workplace, monkeypatch, capsys):
    run(monkeypatch, arms)
    printed = capsys.readouterr().out
    assert "p, expl." in printed.splitlines()[0] and "p is exploratory: of each comparison alone, unadjusted" in printed


def test_an_overall_gain_is_drawn_as_significant_only_if_it_holds_among_those_of_all_arms_and_variants():
    def gain(variant: str, arm: str, p: float) -> ArmComparison:
        figures = {"n": 9, "low": 0.0, "high": 0.2, "difference": 0.1, "p": p, "only_a": 0, "only_b": 1, "method": ""}
        figures |= {"p_holm": None, "detectable": 0.1, "p_equivalence": None, "verdict_text": "", "a": "a", "b": "b"}
        return ArmComparison(variant=variant, arm=arm, verdict="exploratory", **figures)

    def rows_of(comparisons: list[ArmComparison]) -> list[AudioGain]:
        lists = {"variants": {}, "sub_categories": [], "consistency": [], "places": [], "comparisons": comparisons}
        return plot_rows(ArmsSummary(profile="mini", false_discovery_rate=0.1, **lists))

    # 0.012 is below 0.05 / 4, and the only one that Holm's first step lets through
    found = [
        gain(v, arm, 0.012 if (v, arm) == ("v", "silence") else 0.02) for v in "vw" for arm in ("silence", "mismatched")
    ]
    permuted = [gain("v", "permuted", 1e-9)]  # is not drawn, and takes no part
    rows = rows_of([*found, *permuted])
    assert [(row.variant, row.arm) for row in rows if row.significant] == [("v", "silence")]
    assert len(rows) == 4
    assert [row.significant for row in rows_of([found[1]])] == [True]


def test_the_plot_draws_every_arm_and_marks_what_is_significant(workplace, monkeypatch):
    run(monkeypatch, arms)
    rows = json.loads(Path("metrics/audio_gain.json").read_text())
    assert [(row["arm"], row["name"]) for row in rows][:4] == [
        ("silence", name) for name in ("all", "Content Analysis", "Lonely", "Music Theory")
    ]
    assert {row["arm"] for row in rows} == {"silence", "mismatched", "text_only"}
    assert [row["significant"] for row in rows if row["name"] == "Lonely"] == [False] * 3
    renderer = VegaRenderer(
        [{**row, "rev": "workspace"} for row in rows],
        "plot", template="audio_gain", template_dir=ROOT / ".dvc/plots", x="gain", y="name", title="T",
    )  # fmt: skip
    spec = renderer.get_filled_template()
    assert "DVC_METRIC" not in json.dumps(spec)
    vl_convert = pytest.importorskip("vl_convert")
    picture = vl_convert.vegalite_to_svg(spec)
    assert all(text in picture for text in ("v: text only", "Content Analysis", "Profile mini"))


@pytest.mark.parametrize("variants", [[], ["baseline", "structured_reasoning"]])
def test_the_pipeline_has_an_entry_for_each_variant_and_arm(tmp_path, monkeypatch, variants):
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    set_params(variants=variants)
    names = [stage.addressing for stage in Repo.init(no_scm=True).index.stages]
    arms = ("silence", "mismatched", "text_only", "permuted")
    wanted = {f"answer_controls@{variant}-{arm}" for variant in variants for arm in arms}
    assert {name for name in names if name.startswith("answer_controls")} == wanted
    assert "arms" in names


# ── Orders of the choices ────────────────────────────────────────────────────────────────────────────────────────────


def asked(questions: list[Question], pick) -> list[places.Asked]:
    """Questions asked in their own order and K others; `pick(question, order)` gives the place that is picked."""
    found = []
    for one in questions:
        orders = [tuple(range(len(one.choices))), *asked_orders(one, SEED, K)]
        chosen = [None if (place := pick(one, order)) is None else order[place] for order in orders]
        own, *others = (response(one, choice, k) for k, choice in enumerate(chosen))
        found.append(places.asked_in_orders(one, own, others, SEED))
    return found


MANY = [question(i, (2, 3, 4, 5)[i % 4]) for i in range(400)]


def p_of(found: list[places.Asked], resamples: int = 199, seed: int = 0) -> float:
    p = places.place_test(found, Method(resamples=resamples, seed=seed))["p"]
    assert p is not None
    return p


def test_a_model_that_goes_by_the_choices_is_consistent_and_likes_no_place():
    found = asked(MANY, lambda one, order: order.index(0))
    assert [row["consistency"] for row in places.consistency_rows(found, Method())] == [1.0] * 4
    assert all(abs(row["share"] - row["expected"]) < 0.02 for row in places.place_rows(found))
    assert p_of(found) > 0.05


def test_a_model_that_goes_by_the_place_is_found_out():
    found = asked(MANY, lambda one, order: 0)
    assert [row["consistency"] for row in places.consistency_rows(found, Method())] == [0.0] * 4
    rows = places.place_rows(found)
    assert [(row["acc"], row["share"]) for row in rows if row["place"] == 1] == [(1.0, 1.0)] * 4
    assert {(row["acc"], row["share"]) for row in rows if row["place"] > 1} == {(0.0, 0.0)}
    assert p_of(found, 999) == 1 / 1000  # the smallest that so many permutations can show


def held(rng: random.Random, clip: int, choices: int, place: int, orders: int = 5) -> places.Asked:
    """A question with `place` picked in nearly all orders."""
    picked = tuple(place if rng.random() < 0.9 else rng.randrange(choices) for _ in range(orders))
    return places.Asked(f"clip {clip}", choices, (0,) * orders, picked, picked)


SIMULATED = {
    "a guess in each order": lambda rng: asked(MANY[:120], lambda one, order: rng.randrange(len(order))),
    "the same choice in all orders": lambda rng: asked(
        [question(rng.randrange(10**9), 4) for _ in range(60)], lambda one, order: order.index(one.answer)
    ),
    "a place of its own for each question": lambda rng: [held(rng, i, 4, rng.randrange(4)) for i in range(200)],
    "a place of its own for each clip": lambda rng: [
        held(rng, i, 4, place) for i in range(60) for place in [rng.randrange(4)] for _ in range(3)
    ],
    "places of its own for each clip, whose questions differ in their choices": lambda rng: [
        held(rng, i, choices, next(place for place in liked if place < choices))
        for i in range(60)
        for liked in [rng.sample(range(4), 4)]
        for choices in (3, 3, 4)
    ],
}


@pytest.mark.parametrize("model", SIMULATED.values(), ids=SIMULATED.keys())
def test_five_in_a_hundred_models_without_a_liking_are_taken_for_one_with_it(model):
    rng = random.Random(5)
    p = [p_of(model(rng), 99, seed) for seed in range(100)]
    assert sum(value <= 0.05 for value in p) <= 11  # 5 expected; more than 11 in one of 200 such simulations
    assert min(p) < 0.3 < 0.7 < max(p), "neither is the test too cautious to find anything"


@pytest.mark.parametrize("clip_of", [lambda i: i, lambda i: i // 3])
def test_a_liking_is_found_in_a_model_that_holds_to_the_place_of_each_clip(clip_of):
    rng = random.Random(2)
    drawn = [0 if rng.random() < 0.3 else rng.randrange(4) for _ in range(200)]
    assert p_of([held(rng, clip_of(i), 4, drawn[clip_of(i)]) for i in range(200)], 999) < 0.02


def test_a_slight_liking_for_the_last_place_is_seen_over_many_questions():
    rng = random.Random(1)
    last = asked(MANY, lambda one, order: len(order) - 1 if rng.random() < 0.15 else order.index(0))
    assert p_of(last, 999) < 0.01


def test_the_permutation_p_is_seeded_and_the_same_however_many_are_drawn_at_once(monkeypatch):
    rng = random.Random(4)
    found = asked(MANY[:80], lambda one, order: rng.randrange(len(order)))
    first = p_of(found, 250)
    assert p_of(found, 250) == first != p_of(found, 250, seed=1)
    monkeypatch.setattr(places, "PERMUTED_AT_ONCE", 7)
    assert p_of(found, 250) == first


def test_with_one_number_of_choices_the_statistic_is_pearsons():
    rng = random.Random(3)
    found = asked([question(i, 4) for i in range(100)], lambda one, order: rng.choice((0, 0, 1, 2, 3)))
    theirs = chisquare([row["picks"] for row in places.place_rows(found)])
    ours = places.place_test(found, Method(resamples=999))
    assert (ours["statistic"], ours["freedom"]) == (pytest.approx(theirs.statistic), 3)
    assert ours["picks"] == 500 and ours["left_out"] == 0


def test_where_picks_are_independent_the_p_is_that_of_the_chi_square_distribution():
    rng = random.Random(8)
    places_picked = [rng.choice((0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)) for _ in range(400)]
    found = [places.Asked(str(i), 4, (0,), (place,), (place,)) for i, place in enumerate(places_picked)]
    theirs = chisquare([places_picked.count(place) for place in range(4)]).pvalue
    assert 0.001 < theirs < 0.5 and p_of(found, 4_000) == pytest.approx(theirs, abs=0.03)


def test_too_few_questions_of_a_kind_are_left_out_of_the_test_and_counted():
    few = asked([question(0, 2), question(1, 5)], lambda one, order: 0)
    assert places.place_test(few, Method()) == {
        "statistic": 0, "freedom": 0, "p": None, "picks": 0, "left_out": 2 + 5,
    }  # fmt: skip
    nothing = places.place_rows(asked([question(0, 3)], lambda one, order: None))
    assert [(row["share"], row["picks"]) for row in nothing] == [(None, 0)] * 3
    assert places.place_test([], Method())["p"] is None


def test_consistency_has_an_interval_by_clips_that_is_never_of_no_width(workplace, monkeypatch, capsys):
    run(monkeypatch, arms)
    figures, rows = summary()["variants"]["v"]["permuted"], summary()["consistency"]
    assert figures["consistency"] == figures["consistency_high"] == 1
    assert figures["consistency_low"] == pytest.approx(wilson(N, N)[0], abs=1e-5)
    assert all(row["consistency_low"] < row["consistency"] <= row["consistency_high"] for row in rows)
    assert f"100.0  {100 * figures['consistency_low']:.1f}–100.0" in capsys.readouterr().out
    half = [replace(one, group=f"g{i // 30}") for i, one in enumerate(QUESTIONS)]
    by_clip = asked(half, lambda one, order: order.index(0) if one.group == "g0" else 0)
    found = places.shares(by_clip, Method(resamples=1_000))
    assert (found["consistency_low"], found["consistency"], found["consistency_high"]) == (0.0, 0.5, 1.0)


def test_a_place_where_the_right_answer_never_stood_has_no_accuracy():
    one = places.Asked("g", choices=3, right=(0, 1), picked=(0, None), chosen=(0, None))
    assert [(row["right_here"], row["acc"]) for row in places.place_rows([one])] == [(1, 1.0), (1, 0.0), (0, None)]


def test_an_order_asked_twice_counts_once():
    (pair,) = asked([question(0, 2)], lambda one, order: 0)
    assert (pair.right, pair.picked, pair.chosen) == ((0, 1), (0, 0), (0, 1))


def test_a_question_without_an_answer_in_one_order_is_not_consistent():
    quiet = asked([question(0, 3)], lambda one, order: None if order[0] == 2 else order.index(1))
    (row,) = places.consistency_rows(quiet, Method())
    assert (row["consistency"], row["unanswered"], row["orders"]) == (0.0, 1.0, 5)
    assert (row["consistency_low"], row["consistency_high"]) == (0.0, 1.0)  # one clip tells nothing
