"""Which samples are right: read from their texts where it is asked, so that another parser samples nothing anew."""

from collections.abc import Iterable, Mapping

from audio_reasoning.core.records import Question, Rollout
from audio_reasoning.core.rollouts import Graded, Sample
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.reward import correct


def graded(samples: Iterable[Sample], questions: Mapping[str, Question]) -> list[Graded]:
    """The samples of `questions`, each with its status and whether it chose the right choice."""
    return [_graded(sample, questions[sample.problem_id]) for sample in samples]


def _graded(sample: Sample, question: Question) -> Graded:
    rollout = Rollout(
        question_id=sample.problem_id,
        sample_index=sample.sample_index,
        text=sample.text,
        finish_reason=sample.finish_reason,
        prompt_tokens=len(sample.prompt_token_ids),
        completion_tokens=len(sample.completion_token_ids),
        error=sample.error,
        order=sample.order,
    )
    response = read_answer(rollout, question.choices)
    return Graded(**vars(sample), status=response.status, correct=correct(question, response))
