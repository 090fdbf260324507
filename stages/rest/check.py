"""Stage `rest_check`: see that a training can work before it starts, and fail where it cannot.

    python -m stages.rest.check --iteration iter1

Checks that every prompt holds its clip's audio tokens, that labels decode to the sampled completions, that
nothing of dev or test is in the bank, that right answers on dev are less surprising with the true clip than with
another one or silence (by the path that training takes), and that the adapter can learn eight traces by heart.
Writes metrics/rest/check_<iteration>.json.
"""

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stages.common.errors import UserError, stage_main
from stages.common.files import BASE_MODEL, QUESTIONS, write_json
from stages.common.params import load_params
from stages.common.records import Question, read_questions
from stages.model.checkpoint import load_thinker
from stages.model.lora import adapter_of, attach
from stages.model.processor import AudioTextProcessor
from stages.rest import integrity
from stages.rest.dataset import Clips
from stages.rest.layout import DATA, DEV, REST_METRICS, Sample, Trace, depth_of, model_dir, read_records
from stages.rest.traces import distinct, well_formed
from stages.rest.train import adapted_model
from stages.serve.server import stop

_BY_HEART = 8
_SHOWN = 3


def control_traces(samples: Sequence[Sample], dev: Sequence[Question]) -> list[Trace]:
    """The right answers to dev questions, one of each question, as traces."""
    questions = {question.id: question for question in dev}
    right: dict[str, Sample] = {}
    for sample in distinct([s for s in samples if s.condition == DEV and s.correct and well_formed(s)]):
        right.setdefault(sample.problem_id, sample)
    found = []
    for name, sample in right.items():
        question = questions[name]
        found.append(
            Trace(
                problem_id=name,
                iteration="",
                sample_index=sample.sample_index,
                pass_rate=0.0,
                weight=1.0,
                sub_category=question.sub_category,
                group=question.group,
                audio_path=question.audio.path,
                audio_sha256=question.audio.sha256,
                duration_s=question.audio.duration_s,
                text=sample.text,
                prompt_token_ids=sample.prompt_token_ids,
                completion_token_ids=sample.completion_token_ids,
            )
        )
    return found


def failures(metrics: dict[str, Any]) -> list[str]:
    """What is wrong, in words."""
    found = []
    for name, said in (
        ("audio_tokens", "prompts without all of their clip's audio tokens"),
        ("labels", "traces whose labels are not the sampled completion"),
        ("contamination", "traces of questions that belong to dev or test"),
    ):
        if metrics[name]["wrong"]:
            found.append(f"{metrics[name]['wrong']} {said}: {'; '.join(metrics[name]['first'])}")
    for name in ("shuffled", "silence"):
        gain = metrics["hearing"][name]
        if gain["low"] <= 0:
            found.append(
                f"right answers are not less surprising with the true clip than with {name} audio: "
                f"{gain['difference']:+.4f} nats a token [{gain['low']:+.4f}, {gain['high']:+.4f}]"
            )
    overfit = metrics["overfit"]
    if not overfit["learnt"]:
        found.append(
            f"{overfit['examples']} traces cannot be learnt by heart: loss {overfit['loss_first']} to "
            f"{overfit['loss_last']} in {overfit['steps']} steps; raise rest.check.overfit_learning_rate or "
            "overfit_steps, or see what the adapter adapts"
        )
    return found


def _listed(wrong: list[str]) -> dict[str, Any]:
    return {"wrong": len(wrong), "first": wrong[:_SHOWN]}


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iteration", required=True, help="its name in rest.iterations")
    name = parser.parse_args().iteration
    params = load_params("rest.check", "rest.train", "rest.seed", f"rest.iterations.{name}.from")
    rest = params.rest
    start = rest.iterations[name].start
    seed = rest.seed * 1_000 + depth_of(start)
    stop()  # a GPU cannot hold the served model and another one
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    held_out: dict[str, Sequence[Question]] = {
        split: read_questions(QUESTIONS / f"{split}.jsonl") for split in ("dev", "test")
    }
    bank = read_records(DATA / name / "bank.parquet", Trace)
    controls = control_traces(read_records(DATA / name / "samples.parquet", Sample), held_out["dev"])
    if len(controls) < 2:
        raise UserError(
            f"{DATA / name / 'samples.parquet'}: {len(controls)} dev questions were answered right, too few to see "
            "whether audio is heard; raise rest.check.control_questions"
        )
    processor = AudioTextProcessor.from_checkpoint(BASE_MODEL)
    clips = Clips(processor)

    def examples(traces: list[Trace]) -> list[integrity.Example]:
        return [(trace, clips.features(trace.audio_path, trace.audio_sha256)) for trace in traces]

    model = load_thinker(BASE_MODEL, dtype=rest.train.dtype, quantization=rest.train.quantization)
    adapter = adapter_of(model_dir(start), BASE_MODEL)
    sampler = attach(model, adapter) if adapter else model
    metrics: dict[str, Any] = {
        "traces": len(bank),
        "audio_tokens": _listed(integrity.audio_tokens(bank, processor.audio_token_id)),
        "contamination": _listed(integrity.contamination(bank, held_out)),
        "labels": _listed(integrity.labels(examples(bank), processor)),
        "hearing": integrity.hearing(sampler, processor, examples(controls), seed),
    }
    del model, sampler
    chosen = np.random.default_rng(seed).permutation(len(bank))[:_BY_HEART]
    learner = adapted_model(rest.train, model_dir(start), seed)
    rate = rest.check.overfit_learning_rate * rest.train.learning_rate_scale
    by_heart = examples([bank[i] for i in chosen])
    metrics["overfit"] = integrity.overfit(learner, processor, by_heart, rest.check.overfit_steps, rate)
    found = failures(metrics)
    write_json(REST_METRICS / f"check_{name}.json", {"passed": not found, **metrics})
    if found:
        raise UserError(
            f"{name}: {len(found)} check(s) failed, nothing is trained\n" + "\n".join(f"  - {f}" for f in found)
        )
    heard = metrics["hearing"]
    print(
        f"{name}: {len(bank)} traces are sound; the true clip is worth {heard['shuffled']['difference']:.3f} nats "
        f"a token against shuffled, {heard['silence']['difference']:.3f} against silence, on {heard['n']} dev answers; "
        f"{metrics['overfit']['examples']} traces learnt by heart in {metrics['overfit']['steps']} steps"
    )


if __name__ == "__main__":
    main()
