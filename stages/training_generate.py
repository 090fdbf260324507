"""Stage `training_generate`: sample answers to train problems from the model that a model starts from.

    python -m stages.training_generate --model iter1

Writes data/training/<model>/samples.parquet: n samples of each problem with their token ids, some of each with
silence in place of its clip, and some of dev questions, which the stage training_check compares with. An interrupted
run goes on where it stopped: answers are cached outside DVC's outs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from audio_reasoning.algorithms.params import Generate
from audio_reasoning.algorithms.recipe import GeneratePart
from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.records import Question, Rollout, read_questions
from audio_reasoning.core.rollouts import DEV, HEARD, SILENCE, Sample, write_records
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding
from audio_reasoning.engines.params import Asking
from audio_reasoning.prompts.registry import Prompt
from stages.layout import AUDIO, QUESTIONS, TRAINING
from stages.params import load_params
from stages.recipe import read_part
from stages.setup import setup_of
from stages.training_models import depth_of
from stages.training_prompt import training_prompt

Asked = tuple[Question, tuple[int, ...]]  # a question with its choices in the order they are asked in, and that order


def chosen_problems(questions: Sequence[Question], generate: Generate, seed: int, depth: int) -> list[Question]:
    """The problems of the model after `depth` others, drawn at random: fresh ones, or always the same.

    Raises UserError when there are too few.
    """
    start = depth * generate.problems if generate.fresh else 0
    if start + generate.problems > len(questions):
        raise UserError(
            f"{QUESTIONS / 'train.jsonl'} has {len(questions)} questions; model {depth + 1} needs "
            f"{start + generate.problems}: add a source with split train to data.sources, lower "
            "generate.problems, or set generate.fresh to false"
        )
    order = np.random.default_rng(seed).permutation(len(questions))
    return [questions[i] for i in order[start : start + generate.problems]]


def asked(question: Question, shuffle: bool, rng: Generator) -> Asked:
    """The question with its choices in a random order, or as they are."""
    order = tuple(int(i) for i in (rng.permutation if shuffle else np.arange)(len(question.choices)))
    choices = tuple(question.choices[i] for i in order)
    return replace(question, choices=choices, answer=order.index(question.answer)), order


def sample(
    problems: Sequence[Asked], condition: str, n: int, requests: int, prompt: Prompt, part: GeneratePart, params: Asking
) -> list[Sample]:
    """`n` samples of each problem from the starting model, over `requests` requests with seeds of their own."""
    questions = [silenced(question, AUDIO) if condition == SILENCE else question for question, _ in problems]
    size, setup = n // requests, setup_of(part.start, params.infer.backend, params.serve, params.runtime)
    samples: list[Sample] = []
    for request in range(requests):
        decoding = _decoding(part, size, first=request * size)
        rollouts, _ = answer_questions(
            questions,
            prompt,
            setup,
            decoding,
            params.infer.max_error_rate,
            keep_ids=True,
        )
        for position, rollout in enumerate(rollouts):
            question, order = problems[position // size]
            shifted = replace(rollout, sample_index=rollout.sample_index + request * size)
            samples.append(_sample(question, order, condition, shifted))
    places = {question.id: place for place, (question, _) in enumerate(problems)}
    return sorted(samples, key=lambda s: (places[s.problem_id], s.sample_index))


def _decoding(part: GeneratePart, n: int, first: int) -> Decoding:
    """Decoding for samples `first` to `first + n`; vLLM gives sample i of a request the request's seed + i."""
    generate = part.generate
    return Decoding(
        temperature=generate.temperature,
        top_p=generate.top_p,
        max_tokens=generate.max_tokens,
        n=n,
        seed=part.seed * 1_000_000 + depth_of(part.start) * 1_000 + first,
    )


def _sample(question: Question, order: tuple[int, ...], condition: str, rollout: Rollout) -> Sample:
    ids, completion = rollout.prompt_token_ids, rollout.completion_token_ids
    if not rollout.error and (ids is None or completion is None):
        raise UserError(f"{question.id}: the backend gives no token ids, which training needs; use infer.backend vllm")
    return Sample(
        problem_id=question.id,
        condition=condition,
        sample_index=rollout.sample_index,
        order=order,
        text=rollout.text,
        finish_reason=rollout.finish_reason,
        error=rollout.error,
        prompt_token_ids=ids or (),
        completion_token_ids=completion or (),
    )


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="its name in models")
    name = parser.parse_args().model
    params = load_params(Asking, "infer.backend", "infer.max_error_rate", "serve")
    if params.infer.backend == "openai":
        raise UserError("infer.backend is openai: an endpoint serves no adapters; training needs vllm")
    part = read_part(GeneratePart, name)
    start, generate, controls = part.start, part.generate, part.controls
    rng = np.random.default_rng([part.seed, depth_of(start)])
    chosen = chosen_problems(read_questions(QUESTIONS / "train.jsonl"), generate, part.seed, depth_of(start))
    problems = [asked(question, generate.shuffle_choices, rng) for question in chosen]
    dev = read_questions(QUESTIONS / "dev.jsonl")[: controls.control_questions]
    if not dev:
        raise UserError(
            f"{QUESTIONS / 'dev.jsonl'} has no questions, which training_check and training_gate need: add a source "
            "with split dev to data.sources"
        )
    if len(dev) < controls.control_questions:
        print(f"{name}: check.control_questions is {controls.control_questions}, and dev has {len(dev)} questions")
    trying = [asked(question, generate.shuffle_choices, rng) for question in dev]
    prompt = training_prompt(part.prompt)
    samples = [] if not problems else sample(problems, HEARD, generate.n, generate.requests, prompt, part, params)
    samples += sample(trying, DEV, controls.control_n, 1, prompt, part, params)
    if problems and generate.silence_n:
        samples += sample(problems, SILENCE, generate.silence_n, 1, prompt, part, params)
    write_records(TRAINING / name / "samples.parquet", Sample, samples)
    print(
        f"{name}: {len(problems)} problems x {generate.n} samples from {start}; failed "
        f"{sum(bool(s.error) for s in samples)} of {len(samples)}, silence and dev included"
    )


if __name__ == "__main__":
    main()
