"""Choosing what to train on: which problems, which of their right samples, and how much each of them counts."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from audio_reasoning.algorithms.pass_rates import Problem
from audio_reasoning.algorithms.rest.params import Select
from audio_reasoning.algorithms.traces import distinct, ranked, trace_of, well_formed
from audio_reasoning.core.records import Question
from audio_reasoning.core.rollouts import Graded, Trace


@dataclass(frozen=True)
class Selection:
    """The problems to train on with their traces, the mastered ones to ask again, and what was left out and why."""

    taken: dict[str, list[Graded]]
    replayed: frozenset[str]
    retention: list[Problem]
    dropped: dict[str, int]


def select_problems(
    problems: Sequence[Problem],
    sub_category: dict[str, str],
    select: Select,
    seed: int,
    trained: Collection[str] = (),
) -> Selection:
    """Apply the band, the audio-contribution filter, the caps and the replay of mastered problems.

    `trained` are the ids of problems that the model was trained on before; like those taken now, they cannot tell
    what it forgets. Every problem with a right sample is taken, or counted as dropped for one reason.
    """
    rng = np.random.default_rng(seed)
    dropped: Counter[str] = Counter()
    answered = [problem for problem in problems if problem.right]
    heard = [problem for problem in answered if not _heard_nothing(problem, select)]
    dropped["answered_without_hearing"] = len(answered) - len(heard)
    band = [problem for problem in heard if _in_band(problem, select.band)]
    kept = _capped(band, sub_category, select.max_per_sub_category, rng)
    chosen = {problem.id for problem in kept}
    mastered = [p for p in heard if p.category == "mastered" and p.id not in chosen]
    replay = min(len(mastered), round(select.mastered_share / (1 - select.mastered_share) * len(kept)))
    replayed = frozenset(mastered[i].id for i in rng.permutation(len(mastered))[:replay])
    in_band = {problem.id for problem in band}
    left = [problem.id for problem in heard if problem.id not in chosen | replayed]
    dropped["over_cap"] = sum(name in in_band for name in left)
    dropped["outside_band"] = len(left) - dropped["over_cap"]
    taken = {}
    for problem in problems:
        if problem.id in chosen | replayed:
            traces = chosen_traces(problem.right, select, rng)
            dropped["without_usable_trace"] += not traces
            if traces:
                taken[problem.id] = traces
    retention = [p for p in problems if p.category == "mastered" and p.id not in taken and p.id not in trained]
    return Selection(taken, replayed, retention, dict(dropped))


def chosen_traces(right: Sequence[Graded], select: Select, rng: Generator) -> list[Graded]:
    """The samples of one problem to train on: distinct, well formed, ranked, and no more than asked for."""
    best_first = ranked(distinct([sample for sample in right if well_formed(sample)]), select.rank, rng)
    if select.traces == "all":
        return best_first
    return best_first[: 1 if select.traces == "best" else select.k]


def _heard_nothing(problem: Problem, select: Select) -> bool:
    limit = select.max_silence_rate
    return limit is not None and problem.silent_rate is not None and problem.silent_rate > limit


def _in_band(problem: Problem, band: str) -> bool:
    if band == "learning_zone":
        return problem.category == "learning_zone"
    return band == "all" or problem.category != "mastered"


def _capped(
    problems: Sequence[Problem], sub_category: dict[str, str], most: int | None, rng: Generator
) -> list[Problem]:
    """At most so many problems of each sub-category, drawn at random."""
    if most is None:
        return list(problems)
    counts: Counter[str] = Counter()
    kept = set()
    for index in rng.permutation(len(problems)):
        name = sub_category[problems[index].id]
        counts[name] += 1
        if counts[name] <= most:
            kept.add(problems[index].id)
    return [problem for problem in problems if problem.id in kept]


def traces_of(
    selection: Selection, problems: dict[str, Problem], questions: dict[str, Question], model: str, band: str
) -> list[Trace]:
    """The selection as traces. In the wide band a problem's weight is p(1 - p), which is where most is to be learnt.

    It is shared evenly by the problem's traces; replayed problems get the mean of the others'. The weight is that of
    each of a trace's tokens, and the loss a mean over tokens: of two traces of one weight, the longer one counts for
    more. `selection` holds at least one problem.
    """
    weights = {}
    for name, chosen in selection.taken.items():
        p = problems[name].pass_rate
        weights[name] = p * (1 - p) if band == "wide" else float(len(chosen))
    usual = [weight for name, weight in weights.items() if name not in selection.replayed]
    weights.update({name: float(np.mean(usual)) if usual else 1.0 for name in selection.replayed & weights.keys()})
    scale = sum(len(chosen) for chosen in selection.taken.values()) / sum(weights.values())
    return [
        trace_of(sample, questions[name], problems[name].pass_rate, weights[name] * scale / len(chosen), model)
        for name, chosen in selection.taken.items()
        for sample in chosen
    ]


def merged(bank: Sequence[Trace], new: Sequence[Trace]) -> list[Trace]:
    """Both, without what is in the bank already: the same clip, prompt and completion, token by token."""
    in_bank = {_identity(trace) for trace in bank}
    return [*bank, *(trace for trace in new if _identity(trace) not in in_bank)]


def _identity(trace: Trace) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    # A prompt has placeholders for its clip: one question about two clips of one length has the same tokens.
    return trace.audio_sha256, trace.prompt_token_ids, trace.completion_token_ids
