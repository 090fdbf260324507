"""The optimiser `gepa`: reflective prompt evolution (Agrawal et al. 2025, https://arxiv.org/abs/2507.19457)."""

from collections.abc import Mapping, Sequence
from typing import Any

from gepa.utils.stop_condition import MaxCandidateProposalsStopper

from audio_reasoning.optimizers.border import at_home
from audio_reasoning.optimizers.library import dspy
from audio_reasoning.optimizers.metric import RIGHT, feedback, grade, response_in
from audio_reasoning.optimizers.proposers.proposer import Wanted
from audio_reasoning.optimizers.reflection import SYSTEM, reflection
from audio_reasoning.optimizers.search import Search
from audio_reasoning.tasks.reward import correct


def run(search: Search) -> None:
    """Change an instruction by what it did on a minibatch of train questions; keep what helps there.

    Grades with feedback decide only there. What is kept is asked all validation questions, whose plain accuracy says
    from which instruction to go on, and which is the result.
    """
    params = search.params
    optimizer = dspy.GEPA(
        metric=_graded(search),
        max_metric_calls=params.budget - params.asked_first,
        reflection_minibatch_size=params.minibatch,
        candidate_selection_strategy="pareto",
        instruction_proposer=_proposer(search),
        skip_perfect_score=True,  # a minibatch that is all right has nothing to teach
        perfect_score=RIGHT,
        use_merge=False,  # there is one instruction, and nothing to merge
        num_threads=1,  # answers are known before they are asked for, see trials.py
        warn_on_score_mismatch=False,
        seed=params.seed,
        gepa_kwargs={"stop_callbacks": [MaxCandidateProposalsStopper(params.candidates)]},
    )
    optimizer.compile(search.program, trainset=search.train_examples, valset=search.validation_examples)


def _graded(search: Search) -> Any:
    def metric(
        example: Any, prediction: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> Any:
        """Accuracy on validation questions, a grade on train questions, with words where they are asked for."""
        with at_home():
            question = search.question_of(example)
            response = response_in(question, prediction)
            if response.status == "error":  # leaves the mean of the others as it is
                score = search.trials.accuracy
            elif search.is_validation(question):
                score = float(correct(question, response))
            else:
                score = grade(question, response)
            if pred_name is None:
                return score
            return dspy.Prediction(score=score, feedback=feedback(question, response, search.in_silence))

    return metric


def _proposer(search: Search) -> Any:
    def propose(
        candidate: Mapping[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: Sequence[str],
    ) -> dict[str, str]:
        """A new instruction for the one program there is, or nothing."""
        with at_home():
            [name] = components_to_update
            user = reflection(candidate[name], reflective_dataset[name])
            text = search.proposals.next(Wanted(SYSTEM, user, candidate[name]))
            return {name: text} if text else {}

    return propose
