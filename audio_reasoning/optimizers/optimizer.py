"""From a prompt and questions to another prompt, and what there is to say of how it was found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean

from audio_reasoning.conditions.silence import silenced
from audio_reasoning.core.records import NO_AUDIO, Question
from audio_reasoning.engines.answer import check_clips
from audio_reasoning.engines.engine import Setup
from audio_reasoning.metrics.optimize_results import (
    Candidate,
    HeldOut,
    Optimization,
    Outcome,
    Selected,
    Trial,
    Usage,
    Validation,
)
from audio_reasoning.metrics.paired import Method, Pair, compared, rounded, whole
from audio_reasoning.metrics.results import to_json
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.optimizers import gepa, mipro
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.border import in_dspy
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.params import SearchParams
from audio_reasoning.optimizers.proposers.proposer import Proposer
from audio_reasoning.optimizers.search import Search
from audio_reasoning.optimizers.sets import Sets
from audio_reasoning.prompts import provenance
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.reward import correct

OPTIMIZERS: dict[str, Callable[[Search], None]] = {"mipro": mipro.run, "gepa": gepa.run}
TITLES = {"mipro": "MIPROv2", "gepa": "GEPA"}
OPTIMISTIC = "the validation scores are of the questions that the result was selected by, and so flatter it"


@dataclass(frozen=True)
class Task:
    """A search that is to be made: the name of its result, how it is made, from where and on which questions."""

    name: str
    params: SearchParams
    start: Prompt
    sets: Sets
    model: str  # whose answers are asked for, in words
    method: Method  # of the comparison on the held-out questions


def optimize(task: Task, answers: Answers, proposer: Proposer, setup: Setup) -> tuple[Prompt, Optimization]:
    """The prompt that a search ends with, and how it went; the start's texts again where nothing was better.

    Raises UserError where a clip is missing or has changed, and as engine and proposer do.
    """
    search = searched(task, answers, proposer, setup)
    usage = _usage(answers, proposer)
    chosen, trials = search.trials.best(), search.trials.trials
    instruction = search.trials.instructions[chosen]
    prompt = _prompt(task, search, instruction, usage)
    whole_trials = {trial.candidate: trial for trial in trials if trial.whole}
    outcome = _outcome(chosen, search)
    return prompt, Optimization(
        name=task.name,
        optimizer=task.params.optimizer,
        start=task.start.name,
        proposer=proposer.label,
        seed=task.params.seed,
        outcome=outcome,
        chosen=chosen,
        candidates=[
            Candidate(
                label=proposer.label_of(text) if place else "start",
                instruction=search.rendering.prompt(text).system.strip(),
                demonstrations=[],
            )
            for place, text in enumerate(search.trials.instructions)
        ],
        trials=trials,
        validation=Validation(start=_selected(whole_trials[0]), result=_selected(whole_trials[chosen])),
        heldout=_held_out(task, prompt, answers),
        usage=usage,
        refused=dict(sorted(search.proposals.refused.items())),
        notes=[OPTIMISTIC],
    )


def searched(task: Task, answers: Answers, proposer: Proposer, setup: Setup) -> Search:
    """The search, done; raises as `optimize` does."""
    sets = task.sets
    check_clips([*sets.train, *sets.validation, *sets.heldout], setup.media_root)
    outcomes = answers.responses(sets.train, task.start)
    in_silence: dict[str, int | None] = {}
    if task.params.silence_feedback:
        silent = [_silent(question, setup) for question in sets.train]
        in_silence = {one.question_id: one.answer for one in answers.responses(silent, task.start)}
    search = Search(task.params, task.start, sets.train, sets.validation, answers, proposer, outcomes, in_silence)
    with in_dspy(), dspy.context(lm=search.model, callbacks=[search.trials], disable_history=True):
        OPTIMIZERS[task.params.optimizer](search)
    return search


def _silent(question: Question, setup: Setup) -> Question:
    return question if question.audio is NO_AUDIO else silenced(question, setup.media_root)


def _outcome(chosen: int, search: Search) -> Outcome:
    if chosen:
        return "found"
    return "kept" if len(search.proposals.known) > 1 else "no proposal"


def _usage(answers: Answers, proposer: Proposer) -> Usage:
    return Usage(
        answers=answers.asked,
        prompt_tokens=answers.prompt_tokens,
        completion_tokens=answers.completion_tokens,
        proposer_calls=proposer.usage.calls,
        proposer_prompt_tokens=proposer.usage.prompt_tokens,
        proposer_completion_tokens=proposer.usage.completion_tokens,
        cost=None,
    )


def _selected(trial: Trial) -> Selected:
    low, high = wilson(trial.score * trial.questions, trial.questions)
    return rounded(Selected(acc=trial.score, low=low, high=high, n=trial.questions))


def _prompt(task: Task, search: Search, instruction: str, usage: Usage) -> Prompt:
    trials = [trial for trial in search.trials.trials if trial.whole]
    best = _selected(next(t for t in trials if search.trials.instructions[t.candidate] == instruction))
    title = TITLES[task.params.optimizer]
    same = instruction == search.rendering.shown
    return replace(
        search.rendering.prompt(instruction),
        name=task.name,
        title=f"{task.start.title}, {title}",
        strategy=f"The system text that {title} found for {task.start.name}, with the audio heard in its search.",
        version=1,
        aliases=(),
        parent=task.start.name,
        change="none: no other system text did better"
        if same
        else f"the system text, by {search.proposals.proposer.label}",
        provenance=provenance.Provenance(
            optimizer=task.params.optimizer,
            start=task.start.name,
            proposer=search.proposals.proposer.label,
            seed=task.params.seed,
            trials=len(search.trials.trials),
            answers=usage.answers,
            validation=provenance.Validation(score=best.acc, low=best.low, high=best.high, optimistic=True),
            model=task.model,
        ),
    )


def _held_out(task: Task, prompt: Prompt, answers: Answers) -> HeldOut:
    """The result against the start on questions that the search never saw, asked once at its end."""
    questions = task.sets.heldout
    before, after = (
        [float(correct(q, r)) for q, r in zip(questions, answers.responses(questions, one), strict=True)]
        for one in (task.start, prompt)
    )
    comparison = whole(Pair(task.start.name, task.name, before, after), questions, task.method)
    figures = to_json(compared(comparison))
    return rounded(HeldOut(**figures, acc_a=fmean(before), acc_b=fmean(after)))
