"""Stage `vote_tables`: the vote curves and calibrations of all sampled variants, as tables for plots.

    python -m stages.vote_tables

Writes metrics/vote_curve.json (variant, what, k, acc, low, high; `what` is "vote" or "pass@k") and
metrics/calibration.json (variant, confidence, accuracy, accuracy_low, accuracy_high, n, and of the whole
variant ece, ece_low, ece_high).
"""

import argparse
from typing import Any

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import METRICS, read_json, write_json
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.vote_params import Vote
from stages.params import load_params

CURVE, CALIBRATION = METRICS / "vote_curve.json", METRICS / "calibration.json"
SERIES = {"vote": ("vote", "vote"), "pass@k": ("pass_at_k", "pass")}  # a curve's columns: value, prefix of its bounds


class Params(Strict):
    """What the stage reads."""

    vote: Vote


def curve_rows(variant: str, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each number of samples, of the vote and of pass@k."""
    return [
        {
            "variant": variant,
            "what": what,
            "k": row["k"],
            "acc": row[value],
            "low": row[f"{prefix}_low"],
            "high": row[f"{prefix}_high"],
        }
        for what, (value, prefix) in SERIES.items()
        for row in metrics["curve"]
    ]


def calibration_rows(variant: str, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each bin that holds questions."""
    kept = ("confidence", "accuracy", "accuracy_low", "accuracy_high", "n")
    error = {key: metrics[key] for key in ("ece", "ece_low", "ece_high")}
    return [{"variant": variant, **{key: row[key] for key in kept}, **error} for row in metrics["calibration"]]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    variants = load_params(Params, "vote.variants").vote.variants
    metrics = {variant: read_json(METRICS / "votes" / BASE / f"{variant}.json") for variant in variants}
    write_json(CURVE, [row for variant, values in metrics.items() for row in curve_rows(variant, values)])
    write_json(CALIBRATION, [row for variant, values in metrics.items() for row in calibration_rows(variant, values)])
    print(f"{CURVE}, {CALIBRATION}: {len(variants)} variants")


if __name__ == "__main__":
    main()
