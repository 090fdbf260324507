"""Measure trained models on `mini` and write benchmarks/models.json.

    make bench-models                                # everything: more than an hour
    make bench-models ARGS="--presets rest_em --seeds 2"
    make bench-models ARGS="--presets"               # training speed alone
    make bench-models ARGS="--busy --seeds 2 3"      # beside other work: what is gained, and no seconds
    python -m benchmarks.models --table              # the last results as Markdown

For each preset and seed, every stage of training is run in a temporary clone of HEAD, from the base model
that DVC's cache holds (made if it does not), with empty caches of answers: what it gave, with paired intervals, and
the seconds of each model. `make bench ARGS=cold` does so for the preset and seed of params.yaml. Training speed is
tokens a second of the stage's trainer beside a bare loop over the same batches, collated beforehand, in turn; the
ratio is the median of the pairs'. Nothing else should run meanwhile, or say `--busy`: then nothing is timed.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from audio_reasoning.core.files import write_json
from benchmarks.run import by_model, environment, machine, repro, temporary_clone
from stages.layout import AUDIO, BASE_MODEL, TRAINING
from stages.models import recipes
from stages.project import load_project

RESULTS = Path("benchmarks/models.json")
OF_MODELS = ("training_", "answer_models@", "score_models@")
BATCHES, REPEATS = 500, 3  # a training has more; in fewer, half a second of start would weigh


def run(clone: Path, preset: str, seed: int) -> dict[str, Any]:
    """One preset with one seed: its summary, its gates, and the seconds of each model."""
    compose = [sys.executable, "-m", "stages.compose", "--write", f"models={preset}", f"rest.seed={seed}"]
    subprocess.run(compose, cwd=clone, env=environment(), check=True, capture_output=True)
    subprocess.run(["dvc", "repro", "score"], cwd=clone, env=environment(), check=True, capture_output=True)
    _forget_models(clone)
    return outcome(clone, repro(clone, "--no-run-cache", "score_models", "compare_models")["stages"])


def outcome(clone: Path, stages: dict[str, float]) -> dict[str, Any]:
    """What self-training gave in `clone`, and the seconds of each model, from those of the stages that ran."""
    summary = json.loads((clone / "metrics/training/summary.json").read_text())
    models = yaml.safe_load((clone / "params.yaml").read_text())["models"]
    return {
        "versus_base": summary["versus_base"],
        "gate": summary["gate"],
        "model_seconds": by_model(stages, models),
        "stage_seconds": {name: seconds for name, seconds in stages.items() if name.startswith(OF_MODELS)},
        "on": machine(),
    }


def keep(preset: str, seed: int, found: dict[str, Any]) -> None:
    """Write one outcome to the results, beside those that are there."""
    results = _results()
    results["presets"].setdefault(preset, {})[str(seed)] = found
    write_json(RESULTS, results)


def _results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"presets": {}}


def _forget_models(clone: Path) -> None:
    """As if no model had been run: nothing in the lock, no answers, no checkpoints."""
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if not name.startswith(OF_MODELS)}
    (clone / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    for name in ("responses.sqlite", "responses.sqlite-wal", "responses.sqlite-shm"):
        (clone / ".cache" / name).unlink(missing_ok=True)
    shutil.rmtree(clone / ".cache/merged", ignore_errors=True)


def training() -> dict[str, Any]:
    """Tokens a second of the trainer and of a bare loop over the same batches, and the share of padding."""
    import torch

    from audio_reasoning.core.rollouts import Trace, read_records
    from audio_reasoning.families.family import family_of
    from audio_reasoning.training.adapter import batches_of, train_adapter
    from audio_reasoning.training.dataset import Clips, Rows, collate, padding_share
    from stages.training_fit import adapted_model

    params = load_project()
    name, recipe = list(recipes(params).items())[-1]
    train = recipe.train.model_copy(update={"reset_to_base": True})
    processor = family_of(BASE_MODEL).processor(BASE_MODEL)
    data = Rows(read_records(TRAINING / name / "bank.parquet", Trace), Clips(processor, AUDIO), train.share_prompts)
    rate = recipe.learning_rate * train.learning_rate_scale
    ours, bare = [], []
    for _ in range(REPEATS):
        model = adapted_model(train, BASE_MODEL, 0)
        made = batches_of(data, processor, train, 0)
        share = padding_share(data.lengths(), made.indices)
        batches = made.indices[:BATCHES]
        tokens = sum(data.lengths()[i] for batch in batches for i in batch)
        started = time.monotonic()
        for _ in train_adapter(model, replace(made, indices=batches), train, rate):
            pass
        ours.append(tokens / (time.monotonic() - started))
        collated = [collate(processor, [data[i] for i in batch]) for batch in batches]
        bare.append(tokens / _bare_loop(adapted_model(train, BASE_MODEL, 0), collated, rate, torch))
    return {
        "tokens_per_s": round(statistics.median(ours)),
        "bare_loop_tokens_per_s": round(statistics.median(bare)),
        "ratio": round(statistics.median(one / other for one, other in zip(ours, bare, strict=True)), 3),
        "padding_share": round(share, 4),
    }


def _bare_loop(model: Any, batches: list[dict[str, Any]], rate: float, torch: Any) -> float:
    from audio_reasoning.training.loss import completion_loss

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate)
    model.train()
    started = time.monotonic()
    for batch in batches:
        completion_loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return time.monotonic() - started


def table(results: dict[str, Any]) -> str:
    """What each model gave over the base model, as Markdown."""
    lines = [
        "| preset | seed | model | prompt | points over base [95 %] | sub-categories fallen | gate | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for preset, seeds in results["presets"].items():
        for seed, row in seeds.items():
            gates = {gate["model"]: gate for gate in row["gate"]}
            for c in sorted(row["versus_base"], key=lambda c: (c["b"], c["prompt"])):
                gate, name = gates[c["b"]], c["b"]
                kept = "refused" if "refused" in gate else "rejected"
                said = f"accepted × {gate['scale']:g}" if gate["accepted"] else kept
                points = f"{100 * c['difference']:+.1f} [{100 * c['low']:+.1f}, {100 * c['high']:+.1f}]"
                seconds = f"{row['model_seconds'][name]:.0f}" if row["model_seconds"] else "–"
                cells = [preset, seed, name, c["prompt"], points, str(len(c["fall"])), said, seconds]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for; the rest keeps its last figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="*", default=["rest_em", "reference"], help="files of conf/models/")
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3], help="values of rest.seed")
    parser.add_argument("--busy", action="store_true", help="other work runs beside it: time nothing")
    parser.add_argument("--table", action="store_true", help="print the last results and measure nothing")
    args = parser.parse_args()
    if args.table:
        print(table(_results()))
        return
    if args.busy:
        print("training: skipped, its speed says nothing beside other work")
    elif any(Path("data/training").glob("*/bank.parquet")):
        speed = {**training(), "on": machine()}
        print("training", json.dumps(speed), flush=True)
        write_json(RESULTS, {**_results(), "training": speed})
    else:
        print("training: skipped, it trains on this folder's traces and there are none; `make repro` makes them")
    if args.presets and args.seeds:
        with temporary_clone() as clone:
            cache = Path(".dvc/cache").absolute()
            subprocess.run(["dvc", "cache", "dir", "--local", str(cache)], cwd=clone, check=True, env=environment())
            subprocess.run(["dvc", "checkout", "-q"], cwd=clone, check=False, env=environment())
            for preset in args.presets:
                for seed in args.seeds:
                    found = run(clone, preset, seed)
                    if args.busy:
                        found |= {"model_seconds": None, "stage_seconds": None}
                    keep(preset, seed, found)
                    print(preset, seed, json.dumps(found["model_seconds"]), flush=True)
    print(table(_results()))


if __name__ == "__main__":
    main()
