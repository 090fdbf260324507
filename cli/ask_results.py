"""What `ask` prints of answers."""

from collections.abc import Sequence

from audio_reasoning.core.records import Question, Rollout
from audio_reasoning.metrics.inputs import Sample, Samples
from audio_reasoning.metrics.scoring import metrics_of
from audio_reasoning.render.table import Table, foreign, to_text
from audio_reasoning.render.tables import percent_range
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.official import submitted_text


def _samples(questions: Sequence[Question], rollouts: Sequence[Rollout]) -> Samples:
    by_id = {question.id: question for question in questions}
    samples: Samples = {}
    for rollout in rollouts:
        question = by_id[rollout.question_id]
        response = read_answer(rollout, question.choices)
        samples.setdefault(question.id, []).append(Sample(response, submitted_text(question, response)))
    return samples


def answers_table(questions: Sequence[Question], rollouts: Sequence[Rollout]) -> str:
    """A line for each answer: the question's id, what became of it, the choice that was meant, and whether it is right.

    An error has its reason in the place of the choice.
    """
    samples = _samples(questions, rollouts)
    rows = []
    for question in questions:
        for sample in samples[question.id]:
            response = sample.response
            choice = response.error if response.answer is None else question.choices[response.answer]
            right = "right" if response.answer == question.answer else "wrong"
            rows.append([foreign(question.id), response.status, foreign(choice), right])
    return to_text(Table(["id", "status", "choice", ""], rows, ("status", "choice", "")))


def accuracy_line(questions: Sequence[Question], rollouts: Sequence[Rollout]) -> str:
    """Both accuracies with their 95 % intervals."""
    metrics = metrics_of({question.id: question for question in questions}, _samples(questions, rollouts))
    whole = metrics.overall
    return (
        f"strict {metrics.acc_strict:.1%} ({percent_range(whole.low, whole.high)}), "
        f"official {metrics.acc_official:.1%} ({percent_range(whole.official_low, whole.official_high)}) "
        f"of {metrics.n} questions"
    )
