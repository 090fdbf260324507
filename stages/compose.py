"""Compose `params.yaml` from `conf/` (Hydra), for people who use `dvc repro` after choosing a profile.

    python -m stages.compose                       # check that params.yaml equals its composition
    python -m stages.compose --write               # the default profile, mini
    python -m stages.compose --write profile=a100 infer.temperature=0.6

`dvc exp run -S …` composes by itself.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.files import atomic_write
from stages.params import PARAMS
from stages.project import parse_project

CONF = Path("conf")
SHARED = "defaults"  # of a group: what its presets start from, none itself


def composed(overrides: list[str]) -> dict[str, Any]:
    """The composition of `conf/` under Hydra `overrides` such as "profile=a100", checked against the schema."""
    for key, choice in _settings(overrides):
        options = [path.stem for path in (CONF / key).glob("*.yaml") if path.stem != SHARED]
        several = choice.removeprefix("[").removesuffix("]").split(",") if choice.startswith("[") else [choice]
        for name in filter(None, map(str.strip, several)):
            if options and name not in options:
                raise UserError(f"conf/{key}/ has no {name!r}; {nearest(name, options)}")
    try:
        with initialize_config_dir(str(CONF.resolve()), version_base=None):
            config = compose("config", overrides=overrides)
    except HydraException as error:
        raise UserError(f"conf/: {_explain(overrides, error)}") from None
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    parse_project(values, "conf/ with " + (" ".join(overrides) or "no overrides"))
    return values  # type: ignore[return-value]


def _settings(overrides: list[str]) -> list[tuple[str, str]]:
    """The keys that overrides set, and to what; what adds (+) or deletes (~) a key is left to Hydra."""
    pairs = [override.partition("=") for override in overrides if override[:1] not in "+~"]
    return [(key, value) for key, _, value in pairs]


def _explain(overrides: list[str], error: HydraException) -> str:
    """A mistyped key with the nearest valid one: Hydra would have it added. Hydra's own words for all else."""
    valid = _flat(composed([])) if overrides else {}
    for key, _ in _settings(overrides):
        if key not in valid and not (CONF / key).is_dir():
            if key.startswith("models.") and ".".join(key.split(".")[:2]) in valid:
                return f"{key}: this model does not change it yet; a + before it does: '+{key}=…'"
            parent = key.rpartition(".")[0]
            beside = [name for name in valid if name.rpartition(".")[0] == parent]
            return f"unknown parameter {key}; {nearest(key, beside or valid)}"
    return str(error)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted keys such as `infer.temperature`, groups included."""
    flat = {}
    for key, value in values.items():
        flat[prefix + key] = value
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
    return flat


def overridden() -> list[str]:
    """The keys whose value in params.yaml is not that of `conf/` under the same profile, preset and sources.

    Right where overrides were composed, and a trap where someone edited `conf/` and composed nothing.
    """
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    published = {path.stem for path in (CONF / "sources").glob("*.yaml")}
    sources = ",".join(name for name in values["data"]["sources"] if name in published)
    chosen = [f"profile={values['profile']}", f"models={values['training']['preset']}", f"sources=[{sources}]"]
    return _differing(values, composed(chosen))


def _differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    one, other = _flat(first), _flat(second)
    keys = [key for key in one | other if not isinstance(one.get(key, other.get(key)), dict)]
    return [key for key in keys if key not in one or key not in other or one[key] != other[key]]


def compare_or_write(overrides: list[str], write: bool) -> None:
    """Write params.yaml, or raise UserError where it differs from its composition."""
    values = composed(overrides)
    if write:
        with atomic_write(PARAMS) as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(values)))  # the very bytes that `dvc exp run` writes
        print(f"{PARAMS}: profile {values['profile']}")
    elif keys := _differing(yaml.safe_load(PARAMS.read_text(encoding="utf-8")), values):
        raise UserError(f"{PARAMS} differs from its composition in {', '.join(keys)}; `--write` composes it anew")


@stage_main
def main() -> None:
    """Write or check params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, for example profile=a100")
    parser.add_argument("--write", action="store_true", help="write params.yaml instead of comparing with it")
    args = parser.parse_args()
    compare_or_write(args.overrides, args.write)


if __name__ == "__main__":
    main()
