"""What a search has found: the prompt, and what there is to say of it."""

from dataclasses import replace
from statistics import fmean

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
from audio_reasoning.metrics.paired import Pair, compared, rounded, whole
from audio_reasoning.metrics.results import to_json
from audio_reasoning.metrics.stats import wilson
from audio_reasoning.optimizers.answers import Answers
from audio_reasoning.optimizers.optimizer import Task
from audio_reasoning.optimizers.proposers.proposer import Proposer
from audio_reasoning.optimizers.search import Search
from audio_reasoning.prompts import provenance
from audio_reasoning.prompts.registry import Prompt
from audio_reasoning.tasks.reward import correct

TITLES = {"mipro": "MIPROv2", "gepa": "GEPA"}
OPTIMISTIC = "the validation scores are of the questions that the result was selected by, and so flatter it"


def found(task: Task, search: Search, answers: Answers) -> tuple[Prompt, Optimization]:
    """The prompt that a search ended with, and how it went: the start's texts again where nothing was better.

    Asks start and result the held-out questions; raises UserError as the engine does.
    """
    usage = _usage(answers, search.proposals.proposer)
    chosen = search.trials.best()
    scores = {trial.candidate: _selected(trial) for trial in search.trials.trials if trial.whole}
    prompt = _prompt(task, search, chosen, scores[chosen], usage)
    return prompt, Optimization(
        name=task.name,
        optimizer=task.params.optimizer,
        start=task.start.name,
        proposer=search.proposals.proposer.label,
        seed=task.params.seed,
        outcome=_outcome(chosen, search),
        chosen=chosen,
        candidates=_candidates(search),
        trials=search.trials.trials,
        validation=Validation(start=scores[0], result=scores[chosen]),
        heldout=_held_out(task, prompt, answers),
        usage=usage,
        refused=dict(sorted(search.proposals.refused.items())),
        notes=[OPTIMISTIC],
    )


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
        cost=proposer.usage.cost,
    )


def _selected(trial: Trial) -> Selected:
    low, high = wilson(trial.score * trial.questions, trial.questions)
    return rounded(Selected(acc=trial.score, low=low, high=high, n=trial.questions))


def _candidates(search: Search) -> list[Candidate]:
    proposer = search.proposals.proposer
    return [
        Candidate(
            label=proposer.label_of(one.instruction) if place else "start",
            instruction=one.prompt.system.strip(),
            demonstrations=[*one.demonstrations],
        )
        for place, one in enumerate(search.trials.tried)
    ]


def _prompt(task: Task, search: Search, chosen: int, score: Selected, usage: Usage) -> Prompt:
    title, proposer = TITLES[task.params.optimizer], search.proposals.proposer
    tried = search.trials.tried[chosen]
    changed = [f"the system text, by {proposer.label}"] * (tried.instruction != search.rendering.shown)
    changed += [f"{len(tried.demonstrations)} demonstrations"] * bool(tried.demonstrations)
    return replace(
        tried.prompt,
        name=task.name,
        title=f"{task.start.title}, {title}",
        strategy=f"What {title} made of {task.start.name} with the audio heard; the best on its validation questions.",
        version=1,
        aliases=(),
        parent=task.start.name,
        change=" and ".join(changed) or "nothing; no candidate did better",
        provenance=provenance.Provenance(
            optimizer=task.params.optimizer,
            start=task.start.name,
            proposer=proposer.label,
            seed=task.params.seed,
            trials=len(search.trials.trials),
            answers=usage.answers,
            validation=provenance.Validation(score=score.acc, low=score.low, high=score.high, optimistic=True),
            model=task.model,
        ),
    )


def _held_out(task: Task, prompt: Prompt, answers: Answers) -> HeldOut:
    questions = task.sets.heldout
    before, after = (
        [float(correct(q, r)) for q, r in zip(questions, answers.responses(questions, one), strict=True)]
        for one in (task.start, prompt)
    )
    comparison = whole(Pair(task.start.name, task.name, before, after), questions, task.method)
    figures = to_json(compared(comparison))
    return rounded(HeldOut(**figures, acc_a=fmean(before), acc_b=fmean(after)))
