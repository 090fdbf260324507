"""Draw accuracy and mean thinking length against a parameter that experiments have swept.

    python -m stages.sweep --param infer.max_tokens --out reports/sweep.svg
    python -m stages.sweep --param infer.temperature --variants baseline --out sweep.png

Takes the commit that is checked out and its experiments (`dvc exp show`), and of each the metrics of all prompt
variants, or of those named. An experiment that ran other stages only still holds this commit's metrics of the rest:
a variant is drawn where its metrics say that they were made with the swept value, which they do for the groups infer,
serve and thinking, so only these can be drawn. docs/thinking-budget.md has recipes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.parse import parse_json
from audio_reasoning.core.runs import BASE
from audio_reasoning.render.table import Table, to_text
from audio_reasoning.render.tables import percent, percent_range
from stages.draw import render
from stages.layout import METRICS

PROMPTS = METRICS / "scores" / BASE
MADE_BY = {"infer": "decoding", "serve": "serve", "thinking": "thinking"}  # where a manifest tells a group's values
OFF = {
    "force_answer": False,
    "reask_truncated": False,
    "reask_over_chars": None,
}  # `thinking` of a manifest that has none, since nothing was done


def experiments(shown: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Name and parameters of the commit and its finished experiments in what `dvc exp show --json` gives.

    Those that failed or have not run are told on stderr.
    """
    (commit,) = [row for row in shown if row["rev"] != "workspace"]
    rows = [commit, *(entry["revs"][0] if entry["revs"] else entry for entry in commit["experiments"] or [])]
    done = [row for row in rows if row.get("data") and not row.get("error") and row["data"].get("metrics")]
    if len(done) < len(rows):
        count = f"{len(rows) - len(done)} of {len(rows) - 1} experiments"
        print(f"warning: {count} have no results and are left out (`dvc queue status`)", file=sys.stderr)
    return [(row["rev"], row["data"]["params"]["params.yaml"]["data"]) for row in done]


def look_up(values: Any, key: str) -> Any:
    """The value of a dotted key; UserError with the nearest one if there is none."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            valid = values if isinstance(values, dict) else ()
            raise UserError(f"--param {key}: no stage reads a parameter {part!r} there; {nearest(part, valid)}")
        values = values[part]
    return values


def made_with(metrics: dict[str, Any], param: str, value: Any) -> bool:
    """Whether metrics come from answers that were made with that value, as the manifest in them tells.

    Raises UserError for a parameter that it tells nothing of.
    """
    group, _, name = param.partition(".")
    manifest = metrics["run"][0]
    settings = manifest.get(MADE_BY.get(group, "")) or (OFF if group == "thinking" else {})
    if name not in settings:
        groups = ", ".join(f"{key}.*" for key in MADE_BY)
        raise UserError(
            f"--param {param}: metrics do not tell by which value of it their answers were made, so an experiment's "
            f"own figures cannot be told from those it carries along; they tell {groups}"
        )
    return bool(settings[name] == value)


def sweep_rows(
    param: str, variants: Sequence[str], finished: Sequence[tuple[str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """One row for each variant and experiment, by rising value; see the module's text for what is left out.

    Raises UserError when no experiment knows the parameter, or there is nothing to draw.
    """
    rows, stale = [], 0
    for rev, values in finished:
        value = look_up(values, param)
        for variant in variants or _variants(rev):
            metrics = _metrics(rev, variant)
            if metrics is None:
                continue
            if not made_with(metrics, param, value):
                stale += 1
                continue
            whole = metrics["detail"][0]
            rows.append(
                {"variant": variant, "value": value, "acc": metrics["acc_strict"]}
                | {key: whole[key] for key in ("low", "high", "n")}
                | {"thinking_chars": metrics.get("thinking_chars"), "truncated": metrics["truncated"]}
            )
    if not rows and stale:
        raise UserError(
            f"none of {stale} files of metrics in {PROMPTS} was made with its experiment's own {param}: the "
            "experiments ran other stages; name the stage score when you queue them"
        )
    if not rows:
        raise UserError(f"no experiment has metrics of {', '.join(variants) or 'any variant'} in {PROMPTS}")
    numeric = all(isinstance(row["value"], int | float) for row in rows)
    return sorted(rows, key=lambda row: (row["variant"], row["value"] if numeric else str(row["value"])))


def _variants(rev: str) -> list[str]:
    listed = _git("ls-tree", "--name-only", rev, f"{PROMPTS}/") or ""
    return [Path(name).stem for name in listed.split()]


def _metrics(rev: str, variant: str) -> dict[str, Any] | None:
    path = PROMPTS / f"{variant}.json"
    text = _git("show", f"{rev}:{path}")
    if not text:
        return None
    metrics = parse_json(text, f"{rev}: {path}")
    if not isinstance(metrics, dict):
        raise UserError(f"{rev}: {path}: expected a JSON object, found {type(metrics).__name__}")
    return metrics


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def picture(param: str, rows: Sequence[dict[str, Any]], log: bool = False) -> dict[str, Any]:
    """The Vega-Lite specification of two panels over the swept parameter: accuracy, and mean thinking length."""
    numeric = all(isinstance(row["value"], int | float) for row in rows)
    x: dict[str, Any] = {"field": "value", "type": "ordinal", "title": param}
    if numeric:
        scale = {"type": "log"} if log else {"zero": False}
        ticks = {"values": sorted({row["value"] for row in rows}), "labelOverlap": True, "grid": False}
        x |= {"type": "quantitative", "scale": scale, "axis": ticks}
    color = {"field": "variant", "type": "nominal", "title": None}

    def panel(field: str, title: str, axis: dict[str, Any], extra: list[dict[str, Any]]) -> dict[str, Any]:
        y = {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}, "axis": axis}
        line = {"mark": {"type": "line", "point": True}, "encoding": {"y": y}}
        return {"width": 340, "height": 240, "encoding": {"x": x, "color": color}, "layer": [line, *extra]}

    ends = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    bars = {"mark": {"type": "rule", "opacity": 0.5}, "encoding": ends}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": f"Sweep of {param}", "subtitle": "Line: 95 % Wilson interval", "anchor": "start"},
        "data": {"values": list(rows)},
        "hconcat": [
            panel("acc", "accuracy", {"format": ".0%"}, [bars]),
            panel("thinking_chars", "mean thinking length (characters)", {}, []),
        ],
        "config": {"font": "Helvetica, Arial, sans-serif", "view": {"stroke": None}, "legend": {"orient": "top"}},
    }


def _shown() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "show", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    if done.returncode != 0:
        raise UserError(f"`dvc exp show` failed: {done.stderr.strip()}")
    rows: list[dict[str, Any]] = parse_json(done.stdout, "what `dvc exp show --json` printed")
    return rows


@stage_main
def main() -> None:
    """Write the picture, and print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--param", required=True, help="the swept parameter, such as infer.max_tokens")
    parser.add_argument("--variants", nargs="+", default=[], help="prompt variants (default: all)")
    parser.add_argument("--log", action="store_true", help="a logarithmic axis")
    parser.add_argument("--out", type=Path, required=True, help="the picture: a name that ends in .svg or .png")
    args = parser.parse_args()
    if args.out.suffix not in (".svg", ".png"):
        raise UserError(f"{args.out}: the name must end in .svg or .png")
    rows = sweep_rows(args.param, args.variants, experiments(_shown()))
    image = render(json.dumps(picture(args.param, rows, args.log)), args.out.suffix)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(image)
    header = ["variant", args.param, "strict", "95 %", "thinking", "cut"]
    print(to_text(Table(header, [_cells(row) for row in rows])))
    print(args.out)


def _cells(row: dict[str, Any]) -> list[str]:
    thinking = "" if row["thinking_chars"] is None else f"{row['thinking_chars']:.0f}"
    accuracy = [percent(row["acc"]), percent_range(row["low"], row["high"])]
    return [row["variant"], str(row["value"]), *accuracy, thinking, percent(row["truncated"])]


if __name__ == "__main__":
    main()
