"""Stage `optimize_table`: the best scores of all searches for a prompt, as a table for a plot.

    python -m stages.optimize_table

Writes metrics/optimize_curve.json (name, optimizer, answers, best): for each search a row whenever it had asked all
validation questions, with the best accuracy on them so far.
"""

import argparse
from collections.abc import Mapping

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.run_names import SearchStart
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.metrics.optimize_results import CurveRow, Optimization
from audio_reasoning.metrics.results import read_result, write_result
from stages.layout import METRICS, OPTIMIZE_METRICS
from stages.params import load_params

CURVE = METRICS / "optimize_curve.json"


class Params(Strict):
    """What the stage reads."""

    optimize: Mapping[Name, SearchStart]


def curve_rows(result: Optimization) -> list[CurveRow]:
    """One row for each evaluation of all validation questions."""
    return [
        CurveRow(name=result.name, optimizer=result.optimizer, answers=trial.answers, best=trial.best)
        for trial in result.trials
        if trial.whole
    ]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    names = load_params(Params, "optimize").optimize
    results = [read_result(OPTIMIZE_METRICS / f"{name}.json", Optimization) for name in names]
    write_result(CURVE, [row for result in results for row in curve_rows(result)])
    print(f"{CURVE}: {len(results)} searches")


if __name__ == "__main__":
    main()
