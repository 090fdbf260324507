"""Stage `vote_tables`: the vote curves and calibrations of all sampled variants, as tables for plots.

    python -m stages.vote_tables

Writes metrics/vote_curve.json (variant, what, k, acc, low, high; `what` is "vote" or "pass@k") and
metrics/calibration.json (variant, confidence, accuracy, accuracy_low, accuracy_high, n, and of the whole
variant ece, ece_low, ece_high).
"""

import argparse

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.run_names import VoteNames
from audio_reasoning.core.runs import BASE
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.results import read_result, write_result
from audio_reasoning.metrics.vote_results import CalibrationRow, CurveRow, VoteFigures
from stages.layout import METRICS
from stages.params import load_params

CURVE, CALIBRATION = METRICS / "vote_curve.json", METRICS / "calibration.json"


class Params(Strict):
    """What the stage reads."""

    vote: VoteNames


def curve_rows(variant: str, metrics: VoteFigures) -> list[CurveRow]:
    """One row for each number of samples, of the vote and of pass@k."""
    votes = [
        CurveRow(variant=variant, what="vote", k=row.k, acc=row.vote, low=row.vote_low, high=row.vote_high)
        for row in metrics.curve
    ]
    return votes + [
        CurveRow(variant=variant, what="pass@k", k=row.k, acc=row.pass_at_k, low=row.pass_low, high=row.pass_high)
        for row in metrics.curve
    ]


def calibration_rows(variant: str, metrics: VoteFigures) -> list[CalibrationRow]:
    """One row for each bin that holds questions."""
    error = metrics.model_dump(include={"ece", "ece_low", "ece_high"})
    return [
        CalibrationRow(variant=variant, **row.model_dump(exclude={"low", "high"}), **error)
        for row in metrics.calibration
    ]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    variants = load_params(Params, "vote.variants").vote.variants
    metrics = {variant: read_result(METRICS / "votes" / BASE / f"{variant}.json", VoteFigures) for variant in variants}
    write_result(CURVE, [row for variant, values in metrics.items() for row in curve_rows(variant, values)])
    write_result(CALIBRATION, [row for variant, values in metrics.items() for row in calibration_rows(variant, values)])
    print(f"{CURVE}, {CALIBRATION}: {len(variants)} variants")


if __name__ == "__main__":
    main()
