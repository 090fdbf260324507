"""Samples as traces: which are well formed, which are alike, which come first."""

from collections.abc import Sequence

from numpy.random import Generator

from audio_reasoning.core.records import Question
from audio_reasoning.core.rollouts import Graded, Trace

_NGRAM = 3


def well_formed(sample: Graded) -> bool:
    """Whether the thinking was opened and closed, once.

    The opening tag may be in the prompt, where some chat templates put it.
    """
    text = sample.text
    return text.count("</think>") == 1 and text.count("<think>") <= 1 and "<think>" not in text.partition("</think>")[2]


def distinct(samples: Sequence[Graded]) -> list[Graded]:
    """The first of each set of samples of one problem with the same tokens, in their order."""
    first: dict[tuple[int, ...], Graded] = {}
    for sample in samples:
        first.setdefault(sample.completion_token_ids, sample)
    return list(first.values())


def ranked(samples: Sequence[Graded], rank: str, rng: Generator) -> list[Graded]:
    """The samples, best first: the shortest, any, or each as unlike those before it as can be."""
    if rank == "shortest":
        return sorted(samples, key=lambda sample: (len(sample.completion_token_ids), sample.sample_index))
    order = [samples[i] for i in rng.permutation(len(samples))]
    return order if rank == "random" else _spread(order)


def _spread(samples: Sequence[Graded]) -> list[Graded]:
    """Greedy farthest-first order (Gonzalez 1985) by Jaccard distance of token n-grams, from the first sample on."""
    grams = [_ngrams(sample.completion_token_ids) for sample in samples]
    if not grams:
        return []
    order, left = [0], list(range(1, len(samples)))
    nearest = {i: _distance(grams[i], grams[0]) for i in left}
    while left:
        farthest = max(left, key=nearest.__getitem__)
        left.remove(farthest)
        order.append(farthest)
        for i in left:
            nearest[i] = min(nearest[i], _distance(grams[i], grams[farthest]))
    return [samples[i] for i in order]


def _ngrams(ids: Sequence[int]) -> set[tuple[int, ...]]:
    return {tuple(ids[i : i + _NGRAM]) for i in range(max(1, len(ids) - _NGRAM + 1))}


def _distance(a: set[tuple[int, ...]], b: set[tuple[int, ...]]) -> float:
    return 1 - len(a & b) / len(a | b)


def trace_of(sample: Graded, question: Question, pass_rate: float, weight: float, model: str) -> Trace:
    """One sample of a question as a trace."""
    return Trace(
        problem_id=sample.problem_id,
        model=model,
        sample_index=sample.sample_index,
        pass_rate=pass_rate,
        weight=weight,
        sub_category=question.sub_category,
        group=question.group,
        audio_path=question.audio.path,
        audio_sha256=question.audio.sha256,
        duration_s=question.audio.duration_s,
        text=sample.text,
        prompt_token_ids=sample.prompt_token_ids,
        completion_token_ids=sample.completion_token_ids,
    )
