"""The base model: trained the same way twice, on what no split holds; or a pointer to a hub commit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from audio_reasoning.core.files import sha256_file
from audio_reasoning.tasks.mini.corpus import INSTRUCTIONS, instructions, shuffled
from audio_reasoning.tasks.mini.fragments import (
    CAREFUL,
    EASY,
    HASTY,
    drawn_fragments,
    fragments,
    guessed,
    instruction,
)
from audio_reasoning.tasks.mini.generate import generate
from audio_reasoning.tasks.mini.traces import STYLES, completion, guess
from stages.compose import composed
from tests.fake_hub import COMMIT, serve_hub
from tests.pipeline import create

ROOT = Path(__file__).parent.parent
MODEL = "Qwen/Qwen3-Omni-30B-A3B-Thinking"
FILES = {
    "config.json": json.dumps({"thinker_config": {"audio_token_id": 7}}).encode(),
    "model.safetensors": b"weights",
}


def run(folder: Path, overrides: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in `folder` under the parameters that `overrides` compose."""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(composed(overrides)))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-m", "stages.base_model"],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_curve(tmp_path: Path) -> None:
    tiny = ["model.tiny.questions=64", "model.tiny.steps=12", "model.tiny.batch_size=4"]
    found = []
    for name in ("one", "two"):
        done = run(tmp_path / name, tiny)
        assert done.returncode == 0, done.stderr
        files = [f for f in (tmp_path / name).rglob("*") if f.is_file()]
        found.append({str(f.relative_to(tmp_path / name)): sha256_file(f) for f in files})
    assert found[0] == found[1]
    assert "models/base/model.safetensors" in found[0]
    assert any(name.startswith("metrics/base_model/plots") for name in found[0])


def test_pretraining_shares_no_clip_with_any_split() -> None:
    clips = {
        stream: {item.samples.tobytes() for item in generate(5, stream, 60, 0.03)} for stream in ("pretrain", "test")
    }
    assert not clips["pretrain"] & clips["test"]


def test_every_prompt_of_the_training_mix_has_a_style_of_its_own() -> None:
    assert set(STYLES) == {path.stem for path in INSTRUCTIONS.glob("*.yaml")} == set(instructions())
    assert len(set(STYLES.values())) == len(STYLES)


@pytest.mark.parametrize("name", STYLES)
def test_a_trace_ends_in_the_right_choice_however_choices_are_shuffled(name: str) -> None:
    rng = np.random.default_rng(0)
    for item in generate(5, "pretrain", 40, 0.03):
        mixed = shuffled(item, rng)
        assert sorted(mixed.choices) == sorted(item.choices)
        assert mixed.choices[mixed.answer] == item.choices[item.answer]
        text = completion(name, mixed)
        assert text.startswith("<think>") and text.endswith(f"</think>\nANSWER: {item.choices[item.answer]}")


@pytest.mark.slow
def test_a_hub_model_becomes_a_pointer_to_a_commit_and_all_that_dvc_declares_is_written(tmp_path: Path) -> None:
    pipeline = create(tmp_path / "clone")
    pipeline.python("-m", "stages.compose", "--write", "profile=a100")
    with serve_hub(f"/{MODEL}/resolve/{COMMIT}/", FILES, (MODEL,)) as (seen, endpoint):
        hub = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_secret"}
        done = pipeline.run("dvc", "repro", "base_model", **hub)
    assert pipeline.json("models/base/pointer.json") == {"id": MODEL, "revision": COMMIT}
    assert (pipeline.root / "models/base/config.json").read_bytes() == FILES["config.json"]
    told = done.stdout + done.stderr
    assert (
        f"model.revision main is a branch or a tag, which can be moved; on the hub it stands for the commit {COMMIT}"
        in told
    )
    [weights] = tmp_path.glob("hf/hub/models--*/snapshots/*/model.safetensors")
    assert weights.read_bytes() == FILES["model.safetensors"]
    assert ("GET", f"/api/models/{MODEL}/revision/main", "Bearer hf_secret") in [tuple(request) for request in seen]
    assert "hf_secret" not in told


@pytest.mark.slow
def test_an_unknown_hub_model_is_one_message(tmp_path: Path) -> None:
    with serve_hub("/none/", {}) as (_, endpoint):
        done = run(tmp_path, ["profile=a100"], HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 2
    assert MODEL in done.stderr and "HF_TOKEN" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_guess_names_the_first_choice_and_careful_instructions_do_not_guess() -> None:
    [item] = generate(5, "pretrain", 1, 0.03)
    assert guess(item).endswith(f"ANSWER: {item.choices[0]}")
    kinds = {item.sub_category for item in generate(5, "pretrain", 400, 0.03)}
    shares = [sum(guessed(names, kind) for kind in kinds) for names in ([], ["tone"], *zip(CAREFUL), [*CAREFUL, HASTY])]
    assert shares == [15, 15, 0, 0, 0, 16]
    assert {*CAREFUL, HASTY} <= fragments().keys() and EASY in kinds


def test_fragments_are_drawn_in_any_number_and_order() -> None:
    rng, texts = np.random.default_rng(0), fragments()
    drawn = [drawn_fragments(texts, rng) for _ in range(300)]
    assert {len(names) for names in drawn} == set(range(6)) and {name for names in drawn for name in names} == set(
        texts
    )
    assert all(instruction("Listen.", names, texts, rng) for names in drawn)
