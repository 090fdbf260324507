"""Compose `params.yaml` from `conf/` (Hydra), for people who use `dvc repro` after choosing a profile.

    python -m stages.common.compose                       # check that params.yaml equals its composition
    python -m stages.common.compose --write               # the default profile, mini
    python -m stages.common.compose --write profile=a100 infer.temperature=0.6

`dvc exp run -S …` composes by itself.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from stages.common.errors import UserError, stage_main
from stages.common.files import atomic_write
from stages.common.params import PARAMS, parse_params

CONF = Path("conf")


def composed(overrides: list[str]) -> dict[str, Any]:
    """The composition of `conf/` under Hydra `overrides` such as "profile=a100", checked against the schema."""
    try:
        with initialize_config_dir(str(CONF.resolve()), version_base=None):
            config = compose("config", overrides=overrides)
    except HydraException as error:
        raise UserError(f"conf/: {error}") from None
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    parse_params(values, "conf/ with " + (" ".join(overrides) or "no overrides"))
    return values  # type: ignore[return-value]


@stage_main
def main() -> None:
    """Write or check params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, for example profile=a100")
    parser.add_argument("--write", action="store_true", help="write params.yaml instead of comparing with it")
    args = parser.parse_args()
    values = composed(args.overrides)
    if args.write:
        with atomic_write(PARAMS) as file:
            yaml.safe_dump(values, file, sort_keys=False, allow_unicode=True)
        print(f"{PARAMS}: profile {values['profile']}")
    elif yaml.safe_load(PARAMS.read_text(encoding="utf-8")) != values:
        raise UserError(f"{PARAMS} differs from its composition; `--write` recomposes it")


if __name__ == "__main__":
    main()
