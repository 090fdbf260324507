"""Stage `training_gate`: decide on dev whether a trained adapter becomes the model's model.

    python -m stages.training_gate --model iter1

Tries the candidate at each strength of gate.scales on dev and takes the best one. It is accepted if the
interval of its difference to the model it started from stays above -epsilon, unless accuracy on mastered problems
that it was not trained on falls by more than gate.max_retention_loss with an interval below zero (a few dozen
problems cannot tell one point from chance); else the model it started from is kept. Then sees that the server and
the trainer's code write the same tokens with the model that was chosen, and other ones than without its adapter.
Writes models/<model> and metrics/training/gates/<model>.json. A model that was refused before, or whose
adapter cannot be trusted to be served as it was trained, is neither accepted nor rejected: it is refused, and keeps the
model that it started from, with that model's bank.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from audio_reasoning.algorithms.asking import Judge, Model
from audio_reasoning.algorithms.params import Gate
from audio_reasoning.algorithms.parity import parity
from audio_reasoning.algorithms.recipe import GatePart
from audio_reasoning.algorithms.refusal import FILE, KEY, Refusal, RefusedError, announce, passed_on
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_dir, read_json, sha256_file, write_json
from audio_reasoning.core.models import WEIGHTS, adapter_of, base_identity
from audio_reasoning.core.records import Comparison, Question, read_questions, to_dict
from audio_reasoning.core.rollouts import Trace, read_records, write_records
from audio_reasoning.core.typed import Strict
from audio_reasoning.engines.engine import Setup
from audio_reasoning.engines.params import Runtime, Serve
from audio_reasoning.families.adapters import scale_adapter
from audio_reasoning.metrics.stats import compare_runs
from audio_reasoning.prompts.registry import load_prompt
from stages.layout import (
    AUDIO,
    BASE_MODEL,
    CANDIDATES,
    PROMPTS,
    QUESTIONS,
    TRAINING,
    TRAINING_METRICS,
    cache_dir,
    model_dir,
)
from stages.params import load_params
from stages.recipe import read_part
from stages.training_models import TRAINED, bank_of, depth_of, trained_problems


class Params(Strict):
    """What the stage reads."""

    serve: Serve
    runtime: Runtime


def verdict(dev: Comparison, retention: Comparison | None, gate: Gate) -> tuple[bool, str]:
    """Whether the candidate is accepted, and why."""
    if not gate.enabled:
        return True, "the gate is off: whatever was trained is accepted"
    if dev.low < -gate.epsilon:
        return False, f"on dev it may be worse by more than epsilon: {_points(dev)}, epsilon {100 * gate.epsilon:.1f}"
    if retention is not None and retention.difference < -gate.max_retention_loss and retention.high < 0:
        return False, f"it forgets: {_retained(retention)}, allowed are {-100 * gate.max_retention_loss:+.1f}"
    if retention is None:
        return True, f"on dev {_points(dev)}; no mastered problem was left out of training to tell what it forgets"
    return True, f"on dev {_points(dev)}; {_retained(retention)}"


def _points(comparison: Comparison) -> str:
    return f"{100 * comparison.difference:+.1f} points [{100 * comparison.low:+.1f}, {100 * comparison.high:+.1f}]"


def _retained(comparison: Comparison) -> str:
    return f"{_points(comparison)} on {comparison.n} mastered problems"


def strengths(judge: Judge, name: str, dev: Sequence[Question], folder: Path) -> dict[float, tuple[Model, list[float]]]:
    """The candidate at each scale, and its scores on dev."""
    tried = {}
    for scale in judge.part.gate.scales:
        # The last folder names the model for the server; one of each scale, since their weights differ.
        adapter = folder / str(scale) / name
        adapter.mkdir(parents=True)
        scale_adapter(CANDIDATES / name, adapter, scale)
        model = Model(f"{name} x {scale:g}", adapter)
        tried[scale] = model, judge.scores(model, dev, 0.0, 1)
    return tried


def write_model(name: str, start: str, adapter: Path | None, record: dict[str, Any], refused: bool = False) -> None:
    """Write the model's model folder: the adapter if there is one, its manifest, and what it was made from.

    That is its bank, and the ids of all problems that it or a model before it was trained on. A refused model adds
    nothing to those of the model that it started from: its traces may be what is wrong.
    """
    trained, bank = trained_problems(start), TRAINING / name / "bank.parquet"
    if not refused:
        trained |= {trace.problem_id for trace in read_records(bank, Trace)}
    with atomic_dir(model_dir(name)) as folder:
        if adapter is not None:
            shutil.copytree(adapter, folder / "adapter")
        if refused:
            write_records(folder / bank.name, Trace, bank_of(start))
        else:
            shutil.copyfile(bank, folder / bank.name)
        write_json(folder / TRAINED, sorted(trained))
        manifest = {
            "model": name,
            "from": start,
            "depth": depth_of(start) + 1,
            "base": base_identity(BASE_MODEL),
            "adapter": sha256_file(adapter / WEIGHTS) if adapter is not None else None,
            **record,
        }
        write_json(folder / "model.json", manifest)


def refuse(name: str, previous: Model, refusal: Refusal, measured: dict[str, Any]) -> None:
    """Keep the model that the model started from, and record why, beside what was `measured` if anything was."""
    verdict_of = {"accepted": False, "scale": None}
    write_model(name, previous.name, previous.adapter, verdict_of, refused=True)
    nothing = dict.fromkeys(("dev_before", "dev_after", "dev", "retention", "scales", "parity"))
    record = {**verdict_of, "reason": refusal.reason, KEY: refusal.model_dump(), **nothing, **measured}
    write_json(TRAINING_METRICS / "gates" / f"{name}.json", record)


def judge_candidate(name: str, previous: Model, part: GatePart, params: Params) -> str:
    """Try the candidate on dev and on mastered problems, write the model that is chosen, and tell the verdict."""
    gate, start = part.gate, previous.name
    setup = Setup(gate.backend, BASE_MODEL, None, params.serve, params.runtime, AUDIO, work=cache_dir())
    judge = Judge(setup, part, load_prompt(part.prompt, PROMPTS))
    dev = read_questions(QUESTIONS / "dev.jsonl")
    mastered = read_questions(TRAINING / name / "retention.jsonl")
    if len(dev) < gate.parity_questions:
        print(f"{name}: gate.parity_questions is {gate.parity_questions}, and dev has {len(dev)} questions")
    (cache_dir() / "gate").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir() / "gate") as folder:
        before = judge.scores(previous, dev, 0.0, 1)
        tried = strengths(judge, name, dev, Path(folder))
        scale = max(tried, key=lambda s: (fmean(tried[s][1]), s))  # the strongest among equals
        candidate, after = tried[scale]
        on_dev = compare_runs(start, candidate.name, before, after, [q.group for q in dev])
        on_mastered = None
        if mastered:
            temperature = part.generate.temperature
            was, now = (judge.scores(m, mastered, temperature, gate.retention_n) for m in (previous, candidate))
            on_mastered = compare_runs(start, candidate.name, was, now, [q.group for q in mastered])
        accepted, reason = verdict(on_dev, on_mastered, gate)
        chosen = candidate if accepted else previous
        measured = {
            "dev_before": round(fmean(before), 4),
            "dev_after": round(fmean(after), 4),
            "dev": to_dict(on_dev),
            "retention": to_dict(on_mastered) if on_mastered else None,
            "scales": [{"scale": s, "acc_strict": round(fmean(scores), 4)} for s, (_, scores) in tried.items()],
        }
        try:
            agreement = parity(judge, Model(name, chosen.adapter), dev)
        except RefusedError as error:
            refusal = error.by("training_gate")
            refuse(name, previous, refusal, measured)
            announce(name, start, refusal)
            return f"{candidate.name}: refused, {start} is kept: {refusal.reason}"
        record = {"accepted": accepted, "scale": scale if accepted else None}
        write_model(name, start, chosen.adapter, record)
    gates = TRAINING_METRICS / "gates" / f"{name}.json"
    write_json(gates, {**record, "reason": reason, **measured, "parity": agreement})
    return f"{candidate.name}: {'accepted' if accepted else f'rejected, {start} is kept'}: {reason}"


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="its name in models")
    name = parser.parse_args().model
    part = read_part(GatePart, name)
    previous = Model(part.start, adapter_of(model_dir(part.start), BASE_MODEL))
    refused = CANDIDATES / name / FILE
    if refused.is_file():
        refusal = Refusal.model_validate(read_json(refused))
        refuse(name, previous, refusal, {})
        print(passed_on(name, refusal))
    else:
        print(judge_candidate(name, previous, part, load_params(Params, "serve")))


if __name__ == "__main__":
    main()
