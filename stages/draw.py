"""Draw one of DVC's plots into an SVG or PNG file, for a page or a paper. Works offline.

    python -m stages.draw --out docs/accuracy.svg
    python -m stages.draw --out docs/models.svg --plot "Accuracy by model"
    python -m stages.draw --out difference.png main workspace

With revisions, it is the picture of `dvc plots diff`. `dvc plots show` draws the same as a web page, which
loads its renderer from the network.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.files import read_text

PLOT = "Accuracy by sub-category"  # its name in dvc.yaml; the pictures themselves are in .dvc/plots
PNG_SCALE = 2


def plot_names() -> list[str]:
    """The names of the plots in dvc.yaml."""
    definitions = (yaml.safe_load(read_text(Path("dvc.yaml"))) or {}).get("plots", [])
    return [name for definition in definitions for name in definition]


def vega_spec(plot: str, revisions: list[str]) -> str:
    """The Vega-Lite specification, as JSON, that DVC makes of a plot in the workspace or in some revisions.

    Raises UserError when dvc.yaml has no plot of that name, or there is nothing to draw yet.
    """
    if plot not in plot_names():
        raise UserError(f"dvc.yaml has no plot {plot!r}; {nearest(plot, plot_names())}")
    target = ["diff", *revisions, "--targets", plot] if revisions else ["show", plot]
    result = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", *target, "--show-vega"],
        capture_output=True,
        text=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    if result.returncode != 0 or result.stdout.strip() in ("", "{}"):  # DVC takes a missing file for an empty plot
        reason = result.stderr.strip() or "no data in this folder (is `dvc repro` still to run?)"
        raise UserError(f"`dvc plots` made no plot {plot!r}: {reason}")
    return result.stdout


def render(spec: str, suffix: str) -> bytes:
    """A picture of a Vega-Lite specification; `suffix` is ".svg" or ".png"."""
    vl_convert = _vl_convert()
    if suffix == ".svg":
        svg: str = vl_convert.vegalite_to_svg(spec)
        return svg.encode()
    png: bytes = vl_convert.vegalite_to_png(spec, scale=PNG_SCALE)
    return png


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise UserError("pictures need the package vl-convert-python: pip install vl-convert-python") from None
    return vl_convert


@stage_main
def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the picture: a name that ends in .svg or .png")
    parser.add_argument("--plot", default=PLOT, help="its name in dvc.yaml (default: %(default)s)")
    parser.add_argument("revisions", nargs="*", help="Git revisions or experiments; `workspace` is what is here")
    args = parser.parse_args()
    if args.out.suffix not in (".svg", ".png"):
        raise UserError(f"{args.out}: the name must end in .svg or .png")
    picture = render(vega_spec(args.plot, args.revisions), args.out.suffix)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(picture)
    print(f"{args.out}: {len(picture) // 1024} KiB")


if __name__ == "__main__":
    main()
