"""Stage `training_check`: see that a training can work before it starts, and refuse the model where it cannot.

    python -m stages.training_check --model iter1

Checks that every prompt holds its clip's audio tokens, that labels decode to the sampled completions, that
nothing of dev or test is in the bank, that right answers on dev are less surprising with the true clip than with
another one or silence (by the path that training takes), and that the adapter can learn eight traces by heart.
Writes metrics/training/check_<model>.json. A model that fails a check is refused: the metrics say `refused` with
the reasons and the ways out, nothing is trained, and it keeps the model that it started from.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio_reasoning.algorithms import integrity
from audio_reasoning.algorithms.grading import graded
from audio_reasoning.algorithms.recipe import CheckPart
from audio_reasoning.algorithms.refusal import KEY, Refusal, RefusedError, announce, passed_on, refusal_in
from audio_reasoning.algorithms.traces import trace_of, well_formed
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import write_json
from audio_reasoning.core.models import adapter_of
from audio_reasoning.core.records import Question, read_questions
from audio_reasoning.core.rollouts import DEV, Graded, Sample, Trace, read_records
from audio_reasoning.core.threads import limit_threads
from audio_reasoning.engines.server.server import stop
from audio_reasoning.families.adapters import attach
from audio_reasoning.families.family import Processor, family_of
from audio_reasoning.training.dataset import Clips, Example, Rows
from stages.layout import AUDIO, BASE_MODEL, QUESTIONS, TRAINING, TRAINING_METRICS, cache_dir, model_dir
from stages.recipe import read_part
from stages.training_fit import adapted_model, check_machine
from stages.training_models import depth_of

_BY_HEART = 8
_FEWEST = 10  # source clips, over which the interval of what hearing is worth is made
_SHOWN = 3


def control_traces(samples: Sequence[Sample], dev: Sequence[Question]) -> list[Trace]:
    """The first right and well-formed answer to each dev question, as traces."""
    questions = {question.id: question for question in dev}
    right: dict[str, Graded] = {}
    for sample in graded((s for s in samples if s.condition == DEV), questions):
        if sample.correct and well_formed(sample):
            right.setdefault(sample.problem_id, sample)
    return [trace_of(sample, questions[name], 0.0, 1.0, "") for name, sample in right.items()]


_DATA = (  # each check of the traces: what is wrong, and what can be done about it
    (
        "audio_tokens",
        "prompts without all of their clip's audio tokens",
        "sample with the versions of requirements/*.lock (`make setup`): another server counts audio otherwise",
    ),
    (
        "labels",
        "traces whose labels are not the sampled completion",
        "sample again with this tokenizer: `dvc repro --force --single-item training_generate@{name}`, then all",
    ),
    (
        "contamination",
        "traces of questions that belong to dev or test",
        "keep each id, group and clip in one split: mend the questions in data.sources",
    ),
)
_HEARING = (
    "start from a model that hears these clips (model.*), or take clips with sounds that this one knows",
    "ask dev and train questions that need hearing: what is answered as well on silence teaches nothing about audio",
)


def failures(metrics: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What is wrong, in words, with the ways out of it; the checks by model may be still to come."""
    wrong: dict[str, tuple[str, ...]] = {}
    for name, fault, way_out in _DATA:
        if name in metrics and metrics[name]["wrong"]:
            wrong[f"{metrics[name]['wrong']} {fault}: {'; '.join(metrics[name]['first'])}"] = (way_out,)
    if "hearing" not in metrics:
        return wrong
    for name in ("shuffled", "silence"):
        gain = metrics["hearing"][name]
        if gain["low"] <= 0:
            reason = (
                f"right answers are not less surprising with the true clip than with {name} audio: "
                f"{gain['difference']:+.4f} nats a token [{gain['low']:+.4f}, {gain['high']:+.4f}]"
            )
            wrong[reason] = _HEARING
    overfit = metrics["overfit"]
    if overfit["loss_last"] is None:
        reason = f"learning {overfit['examples']} traces by heart diverged after {overfit['steps']} steps"
        wrong[reason] = ("lower check.overfit_learning_rate",)
    elif not overfit["learnt"]:
        reason = (
            f"{overfit['examples']} traces cannot be learnt by heart: loss {overfit['loss_first']} to "
            f"{overfit['loss_last']} in {overfit['steps']} steps"
        )
        wrong[reason] = (
            "raise check.overfit_learning_rate or overfit_steps",
            "see what the adapter adapts (train.lora)",
        )
    return wrong


def _refused(name: str, wrong: dict[str, tuple[str, ...]]) -> RefusedError:
    ways_out = dict.fromkeys(way.format(name=name) for ways in wrong.values() for way in ways)
    return RefusedError(list(wrong), list(ways_out))


def _listed(wrong: list[str]) -> dict[str, Any]:
    return {"wrong": len(wrong), "first": wrong[:_SHOWN]}


def check_traces(
    bank: Rows,
    controls: Sequence[Example],
    held_out: dict[str, Sequence[Question]],
    processor: Processor,
) -> dict[str, Any]:
    """What the traces show without a model; labels only if the audio tokens are right, or no batch can be made."""
    traces = [trace for row in bank.rows for trace in row]
    prompted = [*traces, *(trace for trace, _ in controls)]
    checks: dict[str, Any] = {
        "traces": len(traces),
        "audio_tokens": _listed(integrity.audio_tokens(prompted, processor)),
        "contamination": _listed(integrity.contamination(traces, held_out)),
    }
    if not checks["audio_tokens"]["wrong"]:
        checks["labels"] = _listed(integrity.labels([bank[i] for i in range(len(bank))], processor))
    return checks


def check_model(
    bank: Rows,
    controls: Sequence[Example],
    part: CheckPart,
    start: Path,
    seed: int,
    processor: Processor,
) -> dict[str, Any]:
    """Whether the model in `start` hears, and whether the adapter that is to be trained can learn."""
    train, check, size = part.train, part.check, part.train.micro_batch_size
    model = family_of(BASE_MODEL).load(BASE_MODEL, train.dtype, train.quantization)
    adapter = adapter_of(start, BASE_MODEL)
    sampler = attach(model, adapter) if adapter else model
    hearing = integrity.hearing(sampler, processor, controls, seed, size)
    del model, sampler  # there may be room for one only
    learner = adapted_model(train, start, seed)
    examples = [example for index in range(len(bank)) for example in bank[index]]
    chosen = np.random.default_rng(seed).permutation(len(examples))[:_BY_HEART]
    rate = check.overfit_learning_rate * train.learning_rate_scale
    overfit = integrity.overfit(learner, processor, [examples[i] for i in chosen], check.overfit_steps, rate, size)
    return {"hearing": hearing, "overfit": overfit}


def check_training(name: str, part: CheckPart, metrics: dict[str, Any]) -> None:
    """Make all checks of a training, and write into `metrics` what they find.

    Raises RefusedError with everything that is wrong, and UserError for a file that is missing, damaged or changed.
    """
    seed = part.seed * 1_000 + depth_of(part.start)
    held_out: dict[str, Sequence[Question]] = {
        split: read_questions(QUESTIONS / f"{split}.jsonl") for split in ("dev", "test")
    }
    samples = read_records(TRAINING / name / "samples.parquet", Sample)
    asked = len({sample.problem_id for sample in samples if sample.condition == DEV})
    controls = control_traces(samples, held_out["dev"])
    clips_heard = len({trace.group for trace in controls})
    metrics["controls"] = {"asked": asked, "answered": len(controls), "source_clips": clips_heard}
    if clips_heard < _FEWEST:
        raise RefusedError(
            [
                f"of {asked} dev questions, those that were answered right are about {clips_heard} source clips; "
                f"{_FEWEST} are needed to see whether audio is heard"
            ],
            ["raise check.control_questions or control_n, or add dev questions"],
        )
    processor = family_of(BASE_MODEL).processor(BASE_MODEL)
    clips = Clips(processor, AUDIO)
    bank = Rows(read_records(TRAINING / name / "bank.parquet", Trace), clips, part.train.share_prompts)
    heard = [(trace, clips.features(trace.audio_path, trace.audio_sha256)) for trace in controls]
    metrics |= check_traces(bank, heard, held_out, processor)
    if not failures(metrics):
        metrics |= check_model(bank, heard, part, model_dir(part.start), seed, processor)
    if wrong := failures(metrics):
        raise _refused(name, wrong)


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="its name in models")
    name = parser.parse_args().model
    part = read_part(CheckPart, name)
    check_machine(part.train, torch.cuda.is_available())
    metrics: dict[str, Any] = {}
    refusal: Refusal | None = refusal_in(TRAINING_METRICS / f"generation_{name}.json")
    if refusal:
        print(passed_on(name, refusal))
    else:
        stop(cache_dir())  # a GPU cannot hold the served model and another one
        limit_threads()
        try:
            check_training(name, part, metrics)
        except RefusedError as error:
            refusal = error.by("training_check")
            announce(name, part.start, refusal)
    record = {KEY: refusal.model_dump()} if refusal else {}
    write_json(TRAINING_METRICS / f"check_{name}.json", {"passed": refusal is None, **record, **metrics})
    if refusal:
        return
    gain, overfit = metrics["hearing"], metrics["overfit"]
    print(
        f"{name}: {metrics['traces']} traces are sound; on {gain['n']} dev answers the true clip is worth "
        f"{gain['shuffled']['difference']:.3f} nats a token against shuffled, {gain['silence']['difference']:.3f} "
        f"against silence; {overfit['examples']} traces learnt by heart in {overfit['steps']} steps"
    )


if __name__ == "__main__":
    main()
