"""Searches for a prompt in the real pipeline at micro size, real server included."""

import json
from collections.abc import Iterator

import pytest
import yaml

from audio_reasoning.prompts.registry import load_prompt
from tests.pipeline import Pipeline, prepared

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEARCH = {
    "start": "structured_reasoning",
    "seed": 3,
    "train": 12,
    "validation": 12,
    "heldout": 16,
    "minibatch": 4,
    "candidates": 3,
    "budget": 100,
    "demonstrations": {"count": 0, "audio": False},
    "silence_feedback": False,
}
BANK = {"kind": "bank", "model": "", "temperature": 1.0, "max_tokens": 32}
SEARCHES = {
    "by_bank": {**SEARCH, "optimizer": "mipro", "proposer": BANK, "demonstrations": {"count": 1, "audio": False}},
    "by_model": {**SEARCH, "optimizer": "gepa", "proposer": {**BANK, "kind": "served"}, "silence_feedback": True},
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    pipeline = prepared(tmp_path_factory, "searches")
    params = yaml.safe_load((pipeline.root / "params.yaml").read_text())
    params["optimize"] = SEARCHES
    (pipeline.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        yield pipeline
    finally:
        pipeline.python("-m", "cli", "server", "stop")


def test_prompts_are_found_once_and_asked_like_any_other(pipeline: Pipeline) -> None:
    stages = [f"optimize_prompt@{name}" for name in SEARCHES]
    pipeline.run("dvc", "repro", *stages)
    for name, search in SEARCHES.items():
        result = pipeline.json(f"metrics/optimize/{name}.json")
        assert result["outcome"] in ("found", "kept", "no proposal")
        assert result["usage"]["answers"] <= search["budget"] + 20  # GEPA ends the round it is in
        assert load_prompt(name, pipeline.root / "prompts").provenance
    assert pipeline.json("metrics/optimize/by_model.json")["usage"]["proposer_calls"] > 0
    again = pipeline.run("dvc", "repro", *stages).stdout
    assert "Running stage" not in again

    params = yaml.safe_load((pipeline.root / "params.yaml").read_text())
    params["prompts"]["variants"].append("by_bank")
    (pipeline.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    ran = pipeline.run("dvc", "repro", "answer@by_bank").stdout
    assert "Running stage 'answer@by_bank'" in ran and "Running stage 'optimize_prompt" not in ran
    plots = json.loads(pipeline.run("dvc", "plots", "show", "--json").stdout)
    assert any("Best prompt by answers taken" in name for name in plots["data"])
