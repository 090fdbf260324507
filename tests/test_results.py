"""Metrics files as typed results: what is committed is read and written again to the byte; mistakes are told by key."""

import json
from pathlib import Path
from typing import Any

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.metrics.arms_results import ArmsSummary, AudioGain
from audio_reasoning.metrics.errors.results import ErrorAnalysis
from audio_reasoning.metrics.judge_results import JudgeSummary
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import (
    HeadlineMetrics,
    Metrics,
    Summary,
    parse_result,
    read_result,
    to_json,
    write_result,
)
from audio_reasoning.metrics.training_results import Gate, TrainingSummary
from audio_reasoning.metrics.vote_results import CalibrationRow, CurveRow, VoteFigures
from audio_reasoning.render.submission.results import SubmissionManifest

METRICS = Path(__file__).parents[1] / "metrics"
KINDS: dict[str, Any] = {
    "summary.json": Summary,
    "headline.json": HeadlineMetrics,
    "arms.json": ArmsSummary,
    "audio_gain.json": list[AudioGain],
    "errors.json": ErrorAnalysis,
    "judge.json": JudgeSummary,
    "submission.json": SubmissionManifest,
    "vote_curve.json": list[CurveRow],
    "calibration.json": list[CalibrationRow],
    "training/summary.json": TrainingSummary,
    "optimize/*.json": Optimization,
    "votes/*/structured_reasoning.json": VoteFigures,
    "votes/*/*@*.json": Metrics,
    "scores/*/*.json": Metrics,
    "controls/*/*@*.json": Metrics,
}
COMMITTED = [(path, kind) for pattern, kind in KINDS.items() for path in sorted(METRICS.glob(pattern))]


@pytest.mark.parametrize(("path", "kind"), COMMITTED, ids=[str(path.relative_to(METRICS)) for path, _ in COMMITTED])
def test_what_is_committed_is_read_and_written_to_the_byte(path: Path, kind: Any, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    write_result(copy, read_result(path, kind))
    assert copy.read_bytes() == path.read_bytes()


def test_every_kind_of_file_is_committed() -> None:
    assert {kind for _, kind in COMMITTED if isinstance(kind, type)} >= {
        Summary,
        HeadlineMetrics,
        Metrics,
        VoteFigures,
        ArmsSummary,
    }
    assert len(COMMITTED) >= 25


def summary(**changed: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((METRICS / "summary.json").read_text())
    value["contrasts"][0] |= changed
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (summary(p="0.5"), 'm.json: contrasts[0].p must be a number, found "0.5"'),
        (summary(only_a=1.5), "m.json: contrasts[0].only_a must be a whole number, found 1.5"),
        (summary(verdict=3), "m.json: contrasts[0].verdict must be"),
        ({**summary(), "notes": 3}, "m.json: notes must be a list, found 3"),
        ({"best": "baseline"}, "m.json: profile is missing; `dvc repro` writes the file anew"),
        ([], "m.json: must hold an object, found []"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_its_key(value: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_result(value, Summary, "m.json")
    assert message in str(error.value)


def test_a_comparison_told_the_other_way_round_tells_the_same() -> None:
    row = parse_result(summary(verdict="better", verdict_text="better; no harm"), Summary, "m.json").contrasts[0]
    turned = row.mirrored()
    assert (turned.a, turned.b, turned.difference, turned.low) == (row.b, row.a, -row.difference, -row.high)
    assert (turned.only_a, turned.verdict, turned.verdict_text) == (row.only_b, "worse", "worse; no harm")
    assert to_json(turned.mirrored()) == to_json(row)


def test_what_is_rarely_told_has_a_key_only_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    metrics = read_result(METRICS / "headline.json", HeadlineMetrics)
    assert not {"dropped_ids", "forced", "reasked"} & to_json(metrics).keys()
    write_result(path, metrics.model_copy(update={"dropped_ids": ["q7"]}))
    assert read_result(path, HeadlineMetrics).dropped_ids == ["q7"]
    assert [*json.loads(path.read_text())][-2:] == ["dropped_ids", "run"]

    refused = {"stage": "training_check", "reasons": ["it is deaf"], "ways_out": ["other clips"]}
    gate = {"model": "iter1", "from": "base", "accepted": False, "scale": None, "reason": "it is deaf"}
    assert to_json(parse_result(gate, Gate, "m.json")) == gate
    assert to_json(parse_result({**gate, "refused": refused}, Gate, "m.json")) == {**gate, "refused": refused}
