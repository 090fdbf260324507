"""Copy the metrics of the variant to quote to one path, where `dvc metrics diff` can compare it between commits.

python -m stages.headline
"""

import argparse

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.run_names import Headline
from audio_reasoning.core.runs import Run
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.results import HeadlineMetrics, Metrics, read_result, to_json, write_result
from stages.layout import METRICS, metrics_file
from stages.params import load_params


class Params(Strict):
    """What the stage reads."""

    headline: Headline


@stage_main
def main() -> None:
    """Write metrics/headline.json: the metrics of `headline.variant`, and its name."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    variant = load_params(Params, "headline.variant").headline.variant
    metrics = read_result(metrics_file(Run(variant)), Metrics)
    write_result(METRICS / "headline.json", HeadlineMetrics(variant=variant, **to_json(metrics)))
    print(f"{METRICS / 'headline.json'}: {variant}")


if __name__ == "__main__":
    main()
