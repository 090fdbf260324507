"""The full-size benchmark: the published model's sizes, and its code at tiny size."""

import json
import sys
from pathlib import Path

import pytest
import torch

from audio_reasoning.families.adapters import expected_inventory
from benchmarks.full_size import (
    LORA,
    NAMES,
    TINY_EXAMPLE,
    check_published,
    empty_thinker,
    full_config,
    main,
    measure,
    small_config,
)

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["full_size", *arguments])
    main()


def test_the_full_model_is_the_published_one_by_its_sizes() -> None:
    model = empty_thinker(full_config())
    check_published(model)
    assert expected_inventory(model, LORA, NAMES).trainable == 53_477_376
    with pytest.raises(AssertionError, match="not the published model's sizes"):
        check_published(empty_thinker(small_config()))


def test_a_step_of_each_mode_at_tiny_size() -> None:
    config = small_config()
    found = {mode: measure(mode, config, TINY_EXAMPLE, 2, "cpu") for mode in ("bf16", "nf4")}
    stored = {mode: {row["part"]: row["stored"] for row in figures["parts"]} for mode, figures in found.items()}
    assert set(stored["bf16"].values()) == {"bfloat16"}
    assert {part for part, kind in stored["nf4"].items() if kind == "nf4"} == {"experts", "attention"}
    trainable = expected_inventory(empty_thinker(config), LORA, NAMES).trainable
    for figures, optimizer in zip(found.values(), ("AdamW", "PagedAdamW8bit"), strict=True):
        assert figures["trainable_parameters"] == trainable
        assert figures["optimizer"] == optimizer
        assert figures["peak_memory_gb"] > 0 and "resident" in figures["memory_is"]
        assert figures["seconds_per_step"] > 0


def test_figures_of_other_modes_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "full_size.json"
    out.write_text(json.dumps({"bf16": {"peak_memory_gb": 70.0}}))
    run(monkeypatch, "--tiny", "--modes", "nf4", "--steps", "1", "--out", str(out))
    written = json.loads(out.read_text())
    assert written["bf16"] == {"peak_memory_gb": 70.0}
    assert written["nf4"]["on"]["torch"] == torch.__version__


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_full_size_without_a_device_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch)
    assert caught.value.code == 2
    assert "no CUDA device" in capsys.readouterr().err
