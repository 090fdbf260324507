"""Copy the metrics of the variant to quote to one path, where `dvc metrics diff` can compare it between commits.

python -m stages.evaluate.headline
"""

import argparse

from stages.common.errors import stage_main
from stages.common.files import METRICS, read_json, write_json
from stages.common.params import load_params


@stage_main
def main() -> None:
    """Write metrics/headline.json: the metrics of `headline.variant`, and its name."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    variant = load_params("headline.variant").headline.variant
    write_json(METRICS / "headline.json", {"variant": variant, **read_json(METRICS / "prompts" / f"{variant}.json")})
    print(f"{METRICS / 'headline.json'}: {variant}")


if __name__ == "__main__":
    main()
