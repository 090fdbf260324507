"""Whether the server and the trainer's code write the same with an adapter, and what neither writes without it."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from audio_reasoning.algorithms.asking import Judge, Model, Tokens
from audio_reasoning.algorithms.refusal import RefusedError
from audio_reasoning.core.records import Question
from audio_reasoning.core.runs import BASE
from audio_reasoning.engines.server.server import stop


def parity(judge: Judge, model: Model, questions: Sequence[Question]) -> dict[str, Any]:
    """Compare the greedy tokens of the served model with those of transformers and the adapter.

    Servers skip parts of an adapter that they do not know, and answer all the same; this is where it shows.
    As many questions are compared as `answers_in_process` takes.
    Raises RefusedError when fewer agree than gate.parity_share, and as `answers_in_process` does.
    """
    stop(judge.setup.work)  # a GPU cannot hold both
    here, plain = answers_in_process(judge, model, questions)
    served = judge.tokens(model, questions[: len(here)], "vllm")
    agree = _alike(here, served)
    if fmean(agree) < judge.part.gate.parity_share:
        first = agree.index(False)
        raise RefusedError(
            [
                f"{model.name}: the server and transformers write different tokens for {agree.count(False)} of "
                f"{len(agree)} questions (the first: {questions[first].id}, {list(served[first])[:12]} against "
                f"{list(here[first])[:12]}), so the adapter is not served as it was trained"
            ],
            [
                "adapt what the server serves (train.lora.targets), or serve another way (serve.adapters)",
                "train and serve in one precision (train.dtype, serve.dtype); where kernels alone differ in the "
                "last digits, lower gate.parity_share",
            ],
        )
    differing = _alike(here, plain).count(False)
    return {"questions": len(agree), "agree": round(fmean(agree), 4), "differ_from_base": differing}


def answers_in_process(judge: Judge, model: Model, questions: Sequence[Question]) -> tuple[list[Tokens], list[Tokens]]:
    """What transformers writes with the model's adapter and without it, for the first of `questions`.

    A weak adapter changes few greedy answers, and a server that leaves it out gives all the others. So
    gate.parity_questions are asked at a time, until gate.parity_share would not forgive such a server.

    Raises RefusedError when it would, after all questions.
    """
    gate, here, plain = judge.part.gate, list[Tokens](), list[Tokens]()
    for start in range(0, len(questions), gate.parity_questions):
        batch = questions[start : start + gate.parity_questions]
        here += judge.tokens(model, batch, "transformers")
        if model.adapter is None:
            return here, here
        plain += judge.tokens(Model(BASE, None), batch, "transformers")
        if fmean(_alike(here, plain)) < gate.parity_share:
            return here, plain
    raise RefusedError(
        [
            f"{model.name}: its adapter changes too little to tell whether it is served: "
            f"{_alike(here, plain).count(False)} of {len(here)} greedy answers to dev differ from the base model's, "
            f"and gate.parity_share {gate.parity_share:g} forgives as many"
        ],
        [
            "train it further (learning rate, train.epochs), or list larger gate.scales",
            "compare more of each answer (gate.parity_tokens), or add dev questions",
        ],
    )


def _alike(a: Sequence[Tokens], b: Sequence[Tokens]) -> list[bool]:
    return [one == other for one, other in zip(a, b, strict=True)]
