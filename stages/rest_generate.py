"""Stage `rest_generate`: sample answers to train problems from the model that an iteration starts from.

    python -m stages.rest_generate --iteration iter1

Writes data/rest/<iteration>/samples.parquet: n samples of each problem with their token ids, some of each with
silence in place of its clip, and some of dev questions, which the stage rest_check compares with. An interrupted
run goes on where it stopped: answers are cached outside DVC's outs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from audio_reasoning.algorithms.rest.params import Generate, Rest
from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.records import Question, Rollout, read_questions
from audio_reasoning.core.rollouts import DEV, HEARD, SILENCE, Sample, write_records
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding
from audio_reasoning.engines.params import Asking
from audio_reasoning.prompts.registry import Prompt
from stages.layout import AUDIO, QUESTIONS, REST
from stages.params import load_params
from stages.rest_models import depth_of
from stages.rest_prompt import training_prompt
from stages.setup import setup_of

Asked = tuple[Question, tuple[int, ...]]  # a question with its choices in the order they are asked in, and that order


class Params(Asking):
    """What the stage reads."""

    rest: Rest


def chosen_problems(questions: Sequence[Question], generate: Generate, seed: int, depth: int) -> list[Question]:
    """The problems of the iteration after `depth` others, drawn at random: fresh ones, or always the same.

    Raises UserError when there are too few.
    """
    start = depth * generate.problems if generate.fresh else 0
    if start + generate.problems > len(questions):
        raise UserError(
            f"{QUESTIONS / 'train.jsonl'} has {len(questions)} questions; iteration {depth + 1} needs "
            f"{start + generate.problems}: add a source with split train to data.sources, lower "
            "rest.generate.problems, or set rest.generate.fresh to false"
        )
    order = np.random.default_rng(seed).permutation(len(questions))
    return [questions[i] for i in order[start : start + generate.problems]]


def asked(question: Question, shuffle: bool, rng: Generator) -> Asked:
    """The question with its choices in a random order, or as they are."""
    order = tuple(int(i) for i in (rng.permutation if shuffle else np.arange)(len(question.choices)))
    choices = tuple(question.choices[i] for i in order)
    return replace(question, choices=choices, answer=order.index(question.answer)), order


def sample(
    problems: Sequence[Asked], condition: str, n: int, requests: int, prompt: Prompt, start: str, params: Params
) -> list[Sample]:
    """`n` samples of each problem from the model `start`, over `requests` requests with seeds of their own."""
    questions = [silenced(question, AUDIO) if condition == SILENCE else question for question, _ in problems]
    size, setup = n // requests, setup_of(start, params.infer.backend, params.serve, params.runtime)
    samples: list[Sample] = []
    for request in range(requests):
        decoding = _decoding(params.rest, size, depth_of(start), first=request * size)
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


def _decoding(rest: Rest, n: int, depth: int, first: int) -> Decoding:
    """Decoding for samples `first` to `first + n`; vLLM gives sample i of a request the request's seed + i."""
    generate = rest.generate
    return Decoding(
        temperature=generate.temperature,
        top_p=generate.top_p,
        max_tokens=generate.max_tokens,
        n=n,
        seed=rest.seed * 1_000_000 + depth * 1_000 + first,
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
    parser.add_argument("--iteration", required=True, help="its name in rest.iterations")
    name = parser.parse_args().iteration
    params = load_params(
        Params,
        "infer.backend",
        "infer.max_error_rate",
        "serve",
        "rest.check.control_n",
        "rest.check.control_questions",
        "rest.generate",
        f"rest.iterations.{name}.from",
        "rest.prompt",
        "rest.seed",
    )
    if params.infer.backend == "openai":
        raise UserError("infer.backend is openai: an endpoint serves no adapters; self-training needs vllm")
    rest = params.rest
    start = rest.iterations[name].start
    rng = np.random.default_rng([rest.seed, depth_of(start)])
    chosen = chosen_problems(read_questions(QUESTIONS / "train.jsonl"), rest.generate, rest.seed, depth_of(start))
    problems = [asked(question, rest.generate.shuffle_choices, rng) for question in chosen]
    dev = read_questions(QUESTIONS / "dev.jsonl")[: rest.check.control_questions]
    if not dev:
        raise UserError(
            f"{QUESTIONS / 'dev.jsonl'} has no questions, which rest_check and rest_gate need: add a source with "
            "split dev to data.sources"
        )
    if len(dev) < rest.check.control_questions:
        print(
            f"{name}: rest.check.control_questions is {rest.check.control_questions}, and dev has {len(dev)} questions"
        )
    controls = [asked(question, rest.generate.shuffle_choices, rng) for question in dev]
    prompt = training_prompt(rest.prompt)
    samples = sample(problems, HEARD, rest.generate.n, rest.generate.requests, prompt, start, params)
    samples += sample(controls, DEV, rest.check.control_n, 1, prompt, start, params)
    if rest.generate.silence_n:
        samples += sample(problems, SILENCE, rest.generate.silence_n, 1, prompt, start, params)
    write_records(REST / name / "samples.parquet", Sample, samples)
    print(
        f"{name}: {len(problems)} problems x {rest.generate.n} samples from {start}; failed "
        f"{sum(bool(s.error) for s in samples)} of {len(samples)}, silence and dev included"
    )


if __name__ == "__main__":
    main()
