"""Stages `answer`, `answer_controls`, `answer_samples`, `answer_models`: answer every test question in one run.

    python -m stages.answer baseline
    python -m stages.answer iter1/baseline
    python -m stages.answer baseline@silence
    python -m stages.answer baseline@samples

A run is a model, a prompt and a condition (core/runs.py says how it is called, layout.py where its files are). Writes
its answers, one Rollout a sample, and beside them a .run.json which says what made them. An interrupted run goes on
where it stopped: answers are cached outside DVC's outs.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_reasoning.conditions.condition import Condition, condition_of
from audio_reasoning.core.asked import Sampling, Tampering
from audio_reasoning.core.errors import UserError, nearest, stage_main
from audio_reasoning.core.files import read_json, write_json, write_jsonl
from audio_reasoning.core.records import Question, Rollout, read_questions, to_dict
from audio_reasoning.core.runs import BASE, SAMPLES, VOTE, Run, named_run
from audio_reasoning.core.thinking import is_cut
from audio_reasoning.engines.demonstrations import check_apart
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.engines.params import Asking
from audio_reasoning.engines.thinking import answer_in_budget
from audio_reasoning.families.params import Model
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages.layout import MODELS, PROMPTS, QUESTIONS, answers_file
from stages.params import load_params
from stages.setup import setup_of

ENGINE = ("serve", "thinking", "model.id", "model.revision")
OF_SAMPLES = ("infer.backend", "infer.endpoint_model", "infer.max_error_rate", "infer.max_tokens")


class Params(Asking):
    """What the stages read."""

    model: Model
    arms: Tampering
    vote: Sampling


def reads(run: Run) -> tuple[str, ...]:
    """The parameters that decide a run's answers."""
    if run.condition == SAMPLES:
        return (*OF_SAMPLES, *ENGINE, "vote.n", "vote.seed", "vote.temperature", "vote.top_p")
    if run.condition:
        return ("infer", *ENGINE, "arms.others", "arms.permutations", "arms.seed")
    return ("infer", *ENGINE)


def condition_in(run: Run, params: Params) -> Condition | None:
    """The condition that a run is asked in, None without one; UserError for one that is not known."""
    return condition_of(run.condition, params.arms) if run.condition not in ("", SAMPLES) else None


def decoding_of(run: Run, params: Params, condition: Condition | None) -> Decoding:
    """How a run's answers are sampled: `vote` says how many and how varied samples are, `infer` all else."""
    if run.condition == SAMPLES:
        vote = params.vote
        return Decoding(
            temperature=vote.temperature,
            top_p=vote.top_p,
            max_tokens=params.infer.max_tokens,
            n=vote.n,
            seed=vote.seed,
        )
    decoding = params.infer.decoding()
    return decoding.model_copy(update={"n": 1}) if condition and condition.each_once else decoding


def read_manifest(model: str) -> dict[str, Any]:
    """What identifies `model` beside its base: the `adapter`'s hash and the `model`, both None for the base.

    Raises UserError when models/<model> is no model that was trained here.
    """
    if model == BASE:
        return {"adapter": None, "model": None}
    path = MODELS / model / "model.json"
    if not path.is_file():
        models = [BASE, *(manifest.parent.name for manifest in MODELS.glob("*/model.json"))]
        raise UserError(
            f"{path}: no such file, so {model!r} is not a model to ask; {nearest(model, models)} "
            "(`dvc repro` trains those of `models`)"
        )
    manifest = read_json(path)
    return {"adapter": manifest["adapter"], "model": manifest["model"]}


def answer(
    run: Run, prompt: Prompt, questions: Sequence[Question], setup: Setup, params: Params
) -> tuple[list[Rollout], dict[str, Any]]:
    """The answers of a run to the questions, and what its manifest says of how they came to be.

    Raises UserError as `answer_in_budget` does, and for a prompt that shows the clip of one of the questions.
    """
    check_apart(prompt, questions)
    condition = condition_in(run, params)
    presented = condition.ask(questions, params.arms, setup.media_root) if condition else questions
    decoding = decoding_of(run, params, condition)
    rollouts, backend, budget = answer_in_budget(
        presented, prompt, setup, decoding, params.thinking, params.infer.max_error_rate
    )
    hosted = params.infer.backend == "openai"
    served = {"id": params.model.id, "revision": params.model.revision, **read_manifest(run.model)}
    manifest = {
        "prompt": {"name": prompt.name, "version": prompt.version, "text_hash": prompt.text_hash},
        "model": None if hosted else served,
        "backend": backend,  # with the hash or commit of what it served
        "decoding": decoding.model_dump(),
        "serve": None if hosted else params.serve.model_dump(),
        "questions": len(questions),
        "tokens": tokens_of(rollouts),
        **budget,
    }
    if condition:
        rollouts = condition.read(questions, params.arms, rollouts)
        manifest["arm"] = {"kind": run.condition, **condition.describe(questions, params.arms)}
    return rollouts, manifest


def tokens_of(rollouts: Sequence[Rollout]) -> dict[str, int]:
    """What was read and written: prompts count once a question. Times are in .cache/runs.jsonl; no two are the same."""
    prompts = {rollout.question_id: rollout.prompt_tokens for rollout in rollouts}
    return {"prompt": sum(prompts.values()), "completion": sum(rollout.completion_tokens for rollout in rollouts)}


def write_run(path: Path, rollouts: Sequence[Rollout], manifest: dict[str, Any]) -> None:
    """Write answers to `path`, and beside them what made them; print how they fared."""
    write_jsonl(path, map(to_dict, rollouts))
    write_json(path.with_suffix(".run.json"), manifest)
    statuses = Counter("error" if r.error else "cut" if is_cut(r) else "finished" for r in rollouts)
    counts = ", ".join(f"{status} {number}" for status, number in sorted(statuses.items()))
    print(f"{path}: {manifest['questions']} questions; {counts}")
    for rollout in [r for r in rollouts if r.error][:3]:
        print(f"warning: {rollout.question_id}: {rollout.error}", file=sys.stderr)


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="<prompt>, <model>/<prompt>, <prompt>@<condition> or <model>/<prompt>@<condition>")
    run = named_run(parser.parse_args().run)
    if run.condition == VOTE:
        raise UserError(f"{run.name}: votes are counted, not asked; `python -m stages.vote` makes them of samples")
    params = load_params(Params, *reads(run))
    read_manifest(run.model)  # an unknown model is told before its folder is looked into
    setup = setup_of(run.model, params.infer.backend, params.serve, params.runtime, params.infer.endpoint_model)
    prompt = load_prompt(run.variant, PROMPTS)
    rollouts, manifest = answer(run, prompt, read_questions(QUESTIONS / "test.jsonl"), setup, params)
    write_run(answers_file(run), rollouts, manifest)


if __name__ == "__main__":
    main()
