"""Stage `training_fit`: a model's method (ReST's: LoRA fine-tuning) changes the adapter by the model's bank.

    python -m stages.training_fit --model iter1

Writes the candidate adapter to models/candidates/<model>, what was adapted and how it went to
metrics/training/train_<model>.json, and curves beside it. The gate decides whether it becomes the model's
model. An interrupted training goes on from its last checkpoint, in .cache/training, and ends with the same weights.
Of a refused model, and of one whose training diverges, models/candidates/<model> holds refused.json alone.
"""

import argparse
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from dvclive.live import Live

from audio_reasoning.algorithms.algorithm import Fit, How, Policy, fitting_of
from audio_reasoning.algorithms.recipe import FitPart
from audio_reasoning.algorithms.refusal import FILE, KEY, Refusal, RefusedError, announce, passed_on, refusal_in
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import atomic_dir, sha256_file, write_json
from audio_reasoning.core.models import WEIGHTS, adapter_of, base_identity
from audio_reasoning.core.rollouts import Trace, read_records
from audio_reasoning.core.threads import limit_threads
from audio_reasoning.core.typed import Strict
from audio_reasoning.engines.params import Runtime
from audio_reasoning.engines.server.server import stop
from audio_reasoning.families.adapters import adapt, attach, check_inventory, save_adapter
from audio_reasoning.families.family import family_of
from audio_reasoning.training.checkpoints import checkpoint_file
from audio_reasoning.training.loop import DivergedError, Row
from audio_reasoning.training.params import Train
from stages.layout import AUDIO, BASE_MODEL, CANDIDATES, TRAINING, TRAINING_METRICS, cache_dir, model_dir
from stages.params import load_params
from stages.recipe import read_part
from stages.training_models import depth_of

if TYPE_CHECKING:  # to import it first would load transformers before what torchvision misses is declared
    from peft import PeftModel

ROOT = Path(__file__).parents[1]
SOURCES = (
    "audio_reasoning/algorithms/algorithm.py",
    "audio_reasoning/algorithms/rest/fit.py",
    "audio_reasoning/training/*.py",
    "audio_reasoning/families/**/*.py",
    "stages/training_fit.py",
)
PACKAGES = ("accelerate", "bitsandbytes", "peft", "torch", "transformers")


class Params(Strict):
    """What the stage reads."""

    runtime: Runtime


def adapted_model(train: Train, start: Path, seed: int) -> "PeftModel":
    """The base model with the adapter to train: a new one, or that of the model in `start` if it has one.

    It saves memory in the backward pass if so asked, whoever trains it.

    Raises UserError for a combination that this machine cannot run, and for an adapter that does not fit.
    """
    check_machine(train, torch.cuda.is_available())
    family = family_of(BASE_MODEL)
    names = family.adapter_names(train.lora.targets)
    model = family.load(BASE_MODEL, train.dtype, train.quantization)
    if not torch.cuda.is_available():
        limit_threads()
        model.set_experts_implementation("eager")  # a loop over few experts beats a grouped product on a CPU
    if train.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    previous = None if train.reset_to_base else adapter_of(start, BASE_MODEL)
    if previous is None:
        return adapt(model, train.lora, names, seed)
    adapted = attach(model, previous, trainable=True)
    check_inventory(adapted, train.lora, names)
    return adapted


def check_machine(train: Train, cuda: bool) -> None:
    """Raise UserError for what needs a GPU where there is none."""
    if not cuda and train.quantization == "nf4":
        raise UserError("train.quantization nf4 trains on CUDA only; set it to none")
    if not cuda and train.optimizer == "paged_adamw_8bit":
        raise UserError("train.optimizer paged_adamw_8bit needs CUDA; set it to adamw")


def recipe(root: Path = ROOT, method: str = "rest") -> dict[str, str]:
    """What of code and libraries decides the weights: hashes of SOURCES below `root`, and versions of packages.

    With the file of a `method` that is named as module:object. A training never goes on from a checkpoint that others
    made.
    """
    files = sorted(file for pattern in SOURCES for file in root.glob(pattern))
    hashes = {str(file.relative_to(root)): sha256_file(file) for file in files}
    if ":" in method and (file := import_module(method.partition(":")[0]).__file__):
        hashes["method"] = sha256_file(Path(file))
    return hashes | {name: metadata.version(name) for name in PACKAGES}


def train_metrics(model: "PeftModel", rows: list[Row], fit: Fit, traces: int, train: Train) -> dict[str, Any]:
    """What was trained, and how the training ended."""
    adapted = check_inventory(model, train.lora, family_of(BASE_MODEL).adapter_names(train.lora.targets))
    kl = rows[-1].measures.get("kl") if rows else None
    return {
        "traces": traces,
        **fit.record,
        "steps": fit.steps,
        "loss_first": round(rows[0].loss, 5) if rows else None,
        "loss_last": round(rows[-1].loss, 5) if rows else None,
        "kl_last": None if kl is None else round(kl, 5),
        "adapter_parameters": adapted.trainable,
        "adapted_matrices": len(adapted.modules),
        "adapted": list(adapted.modules),
    }


def log(live: Live, row: Row) -> None:
    """Add a row to DVCLive's curves."""
    live.step = row.step
    live.log_metric("loss", row.loss)
    for name, value in row.measures.items():
        live.log_metric(name, value)
    live.log_metric("grad_norm", row.gradient_norm)
    live.log_metric("learning_rate", row.learning_rate)


def fit(name: str, part: FitPart, runtime: Runtime) -> dict[str, Any]:
    """Train the model's adapter, write it to models/candidates, and return what was written to its metrics.

    Raises DivergedError when training does, and UserError for files that are missing, damaged or changed.
    """
    method = fitting_of(part.method, f"models.{name}.method")
    stop(cache_dir())  # a GPU cannot hold the served model and the one in training
    start, seed = model_dir(part.start), part.seed * 1_000 + depth_of(part.start)
    bank = TRAINING / name / "bank.parquet"
    traces = read_records(bank, Trace)
    model = adapted_model(part.train, start, seed)
    processor = family_of(BASE_MODEL).processor(BASE_MODEL)
    previous = adapter_of(start, BASE_MODEL)
    inputs = [sha256_file(bank), base_identity(BASE_MODEL), part.model_dump(), seed]
    inputs += [previous and sha256_file(previous / WEIGHTS), recipe(method=part.method)]
    learning_rate = part.learning_rate * part.train.learning_rate_scale
    curves = TRAINING_METRICS / f"train_{name}"
    with checkpoint_file(name, inputs, cache_dir()) as checkpoint:
        if checkpoint.is_file():
            print(f"{name}: going on from {checkpoint}")
        how = How(part.train, learning_rate, part.options, seed, checkpoint, runtime.checkpoint_steps)
        training, rows = method(Policy(model, processor, AUDIO), traces, how), []
        with Live(str(curves), dvcyaml=None, report=None, save_dvc_exp=False, monitor_system=False) as live:
            for row in training.rows:
                rows.append(row)
                log(live, row)
        (curves / "metrics.json").unlink()  # DVCLive's summary; ours is beside it
        with atomic_dir(CANDIDATES / name) as candidate:
            save_adapter(model, candidate)
        metrics = train_metrics(model, rows, training, len(traces), part.train)
        write_json(TRAINING_METRICS / f"train_{name}.json", metrics)
    return metrics


def refuse(name: str, refusal: Refusal) -> None:
    """Write what DVC expects of a training that was refused or diverged; the curves of one that diverged stay."""
    (TRAINING_METRICS / f"train_{name}" / "metrics.json").unlink(missing_ok=True)  # DVCLive's summary
    with atomic_dir(CANDIDATES / name) as candidate:
        write_json(candidate / FILE, refusal.model_dump())
    write_json(TRAINING_METRICS / f"train_{name}.json", {KEY: refusal.model_dump()})


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="its name in models")
    name = parser.parse_args().model
    part = read_part(FitPart, name)
    check_machine(part.train, torch.cuda.is_available())
    (TRAINING_METRICS / f"train_{name}" / "plots").mkdir(parents=True, exist_ok=True)
    refusal = refusal_in(TRAINING_METRICS / f"check_{name}.json")
    if refusal:
        refuse(name, refusal)
        print(passed_on(name, refusal))
        return
    try:
        metrics = fit(name, part, load_params(Params, "runtime").runtime)
    except DivergedError as error:
        refusal = RefusedError([error.reason], [f"{error.remedy}, or train.max_grad_norm"]).by("training_fit")
        refuse(name, refusal)
        announce(name, part.start, refusal)
        return
    print(
        f"{name}: {metrics['steps']} steps on {metrics['traces']} traces, {metrics['adapter_parameters']:,} parameters "
        f"in {metrics['adapted_matrices']} matrices; loss {metrics['loss_first']} to {metrics['loss_last']}"
    )


if __name__ == "__main__":
    main()
