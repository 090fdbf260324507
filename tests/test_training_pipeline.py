"""Self-training through the real DAG at micro size, real server included: two models, both presets."""

import json
from collections.abc import Iterator
from dataclasses import fields

import pytest
import yaml

from audio_reasoning.core.records import Comparison
from tests.pipeline import VARIANTS, Pipeline, prepared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODELS = ("iter1", "iter2")
SIZES = [
    "rest.generate.problems=96",
    "rest.generate.n=4",
    "rest.generate.silence_n=2",
    "rest.generate.max_tokens=48",
    "rest.check.control_questions=160",
    "rest.train.epochs=2",
    "rest.gate.enabled=false",  # at this size dev cannot tell a gain from noise, and what is refused is not served
    "rest.gate.scales=[0.5,1.0]",
    "rest.gate.parity_questions=8",
]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = prepared(tmp_path_factory, "training")
    pipeline.set_parameters(SIZES)
    pipeline.edit("conf/config.yaml", lambda text: text.replace("models: none", "models: rest_em"))
    for preset in ("rest_em", "reference"):
        path = pipeline.root / f"conf/models/{preset}.yaml"
        path.write_text("".join(line for line in path.open() if not line.startswith("  iter3:")))
    pipeline.python("-m", "stages.compose", "--write")
    pipeline.commit("Two models")
    try:
        pipeline.run("dvc", "repro")
        pipeline.commit("Results")
        yield pipeline
    finally:
        pipeline.python("-m", "cli", "server", "stop")


def planned(pipeline: Pipeline) -> set[str]:
    """The stages that `dvc repro` would run after the recipes, up to the first whose input is still to be made."""
    pipeline.repro("recipes")
    lines = pipeline.run("dvc", "repro", "--dry", check=False).stdout.splitlines()
    return {line.split("'")[1] for line in lines if line.startswith("Running stage")}


def test_a_model_is_measured_before_the_next_one_starts(pipeline: Pipeline) -> None:
    order = list(yaml.safe_load((pipeline.root / "dvc.lock").read_text())["stages"])
    assert order.index("score_models@iter1") < order.index("training_generate@iter2")
    assert pipeline.repro() == []


def test_what_was_sampled_is_counted(pipeline: Pipeline) -> None:
    for name in MODELS:
        metrics = pipeline.json(f"metrics/training/generation_{name}.json")
        assert metrics["problems"] == 96 and metrics["candidates"] == 4 * 96
        assert sum(row["problems"] for row in metrics["categories"].values()) == 96
        assert 0 < metrics["samples_selected"] <= metrics["candidates_correct"]
        rates = json.loads((pipeline.root / f"metrics/training/pass_rates/{name}.json").read_text())
        assert sum(row["problems"] for row in rates) == 96
    banks = [pipeline.json(f"metrics/training/generation_{name}.json") for name in MODELS]
    assert banks[1]["bank"] == banks[0]["bank"] + banks[1]["samples_selected"], "fresh problems accumulate"


def test_the_adapter_that_was_trained_is_the_one_that_answers(pipeline: Pipeline) -> None:
    hashes = set()
    for name in MODELS:
        assert pipeline.json(f"metrics/training/check_{name}.json")["passed"]
        parity = pipeline.json(f"metrics/training/gates/{name}.json")["parity"]
        assert parity["questions"] >= 8 and parity["agree"] == 1.0 and parity["differ_from_base"] > 0
        adapter = pipeline.json(f"models/{name}/model.json")["adapter"]
        for variant in VARIANTS:
            run = pipeline.json(f"data/answers/{name}/{variant}.run.json")
            assert run["backend"]["adapter"] == run["model"]["adapter"] == adapter
            assert run["prompt"]["name"] == variant
        hashes.add(adapter)
        trained = pipeline.json(f"metrics/training/train_{name}.json")
        assert trained["adapted_matrices"] == 8 and all("self_attn" in m for m in trained["adapted"])
        assert trained["padding_share"] < 0.1
    assert len(hashes) == 2


def test_iterations_are_compared_with_the_base_question_by_question(pipeline: Pipeline) -> None:
    summary = pipeline.json("metrics/training/summary.json")
    assert [(c["prompt"], c["a"], c["b"]) for c in summary["versus_base"]] == [
        (variant, "base", name) for variant in VARIANTS for name in MODELS
    ]
    for comparison in summary["versus_base"]:
        assert {f.name for f in fields(Comparison)} <= comparison.keys()
        before = pipeline.json(f"metrics/scores/base/{comparison['prompt']}.json")["acc_strict"]
        path = f"metrics/scores/{comparison['b']}/{comparison['prompt']}.json"
        assert comparison["difference"] == pytest.approx(pipeline.json(path)["acc_strict"] - before, abs=2e-4)
    shown = pipeline.python("-m", "cli", "show", "training").stdout
    assert "iter2" in shown and "mini figures" in shown


@pytest.mark.parametrize(
    ("change", "runs", "stays"),
    [
        (lambda params: params["rest"]["select"].update(k=2), {"training_select@iter1"}, {"training_generate@iter1"}),
        (
            lambda params: params["models"]["iter2"].update(learning_rate=1e-5),
            {"training_fit@iter2"},
            {"training_generate@iter2", "training_fit@iter1", "training_gate@iter1"},
        ),
        (
            lambda params: params["models"].update(branch={"from": "iter1", "method": "rest"}),
            {"training_generate@branch"},
            {"training_generate@iter1", "training_fit@iter2", "training_generate@iter2"},
        ),
        (lambda params: params["rest"]["gate"].update(epsilon=0.5), {"training_gate@iter1"}, {"training_fit@iter1"}),
    ],
    ids=["selection", "the second model", "a branch", "the gate"],
)
def test_a_change_reruns_what_it_touches_and_samples_nothing_anew(pipeline: Pipeline, change, runs, stays) -> None:
    path = pipeline.root / "params.yaml"
    kept = path.read_text()
    params = yaml.safe_load(kept)
    change(params)
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        found = planned(pipeline)
    finally:
        path.write_text(kept)
        pipeline.repro("recipes")
    assert runs <= found
    assert not stays & found
    assert not any(name.startswith(("answer@", "base_model", "acquire")) for name in found)


def test_the_other_preset_is_one_override(pipeline: Pipeline) -> None:
    candidate = pipeline.root / "models/candidates/iter1/adapter_model.safetensors"
    before = candidate.read_bytes()
    out = pipeline.run("dvc", "exp", "run", "-S", "models=reference", "training_fit@iter1").stdout
    assert "Running stage 'training_fit@iter1'" in out and "Running stage 'training_gate@iter1'" not in out
    diff = pipeline.run("dvc", "metrics", "diff", "--targets", "metrics/training").stdout
    assert "metrics/training/generation_iter1.json" in diff and "metrics/training/train_iter1.json" in diff
    assert candidate.read_bytes() != before
    chosen = yaml.safe_load((pipeline.root / "params.yaml").read_text())["rest"]["select"]
    assert (chosen["band"], chosen["rank"], chosen["k"]) == ("learning_zone", "shortest", 3)
