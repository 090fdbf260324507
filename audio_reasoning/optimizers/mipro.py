"""The optimiser `mipro`: MIPROv2 (Opsahl-Ong et al. 2024, https://arxiv.org/abs/2406.11695), zero-shot unless asked."""

from typing import Any

from audio_reasoning.optimizers.border import at_home
from audio_reasoning.optimizers.budget import FULL_EVAL_STEPS, mipro_trials
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.metric import response_in
from audio_reasoning.optimizers.proposers.fields import FieldWriter
from audio_reasoning.optimizers.search import Search
from audio_reasoning.tasks.reward import correct

NOTHING_LEFT = "No valid program found"  # MIPROv2 would evaluate another candidate in full, and has tried none besides


def run(search: Search) -> None:
    """Propose instructions, then find the best by Bayesian optimisation over minibatches of validation questions.

    Train questions ground the proposals, each with what the start made of it; demonstrations are right answers to some.
    """
    params = search.params
    optimizer = dspy.MIPROv2(
        metric=_accuracy(search),
        prompt_model=dspy.LM("proposer", engine=FieldWriter(search.proposals), cache=False, num_retries=0),
        task_model=search.model,
        auto=None,
        num_candidates=params.candidates,
        max_bootstrapped_demos=params.demonstrations.count,
        max_labeled_demos=0,
        num_threads=1,  # answers are known before they are asked for, see trials.py
        seed=params.seed,
        init_temperature=params.proposer.temperature,
        track_stats=False,
    )
    try:
        optimizer.compile(
            search.program,
            trainset=search.train_examples,
            valset=search.validation_examples,
            num_trials=mipro_trials(params.budget - params.asked_first, params.validation, params.minibatch),
            minibatch=params.minibatch < params.validation,
            minibatch_size=params.minibatch,
            minibatch_full_eval_steps=FULL_EVAL_STEPS,
        )
    except ValueError as error:
        if NOTHING_LEFT not in str(error):
            raise


def _accuracy(search: Search) -> Any:
    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        """1 for a right answer; a question that could not be asked leaves the mean of the others as it is."""
        with at_home():
            question = search.question_of(example)
            response = response_in(question, prediction)
            if response.status == "error" and trace is None:
                return search.trials.accuracy
            return float(correct(question, response))

    return metric
