"""Where `ask` may write answers, and what it prints of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.records import Question, Rollout, Status
from audio_reasoning.metrics.inputs import Sample, Samples
from audio_reasoning.metrics.scoring import metrics_of
from audio_reasoning.render.table import Table, foreign, to_text
from audio_reasoning.render.tables import percent_range
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.official import submitted_text
from stages.params import PARAMS

PIPELINE = ("data", "models", "metrics", "reports")  # the folders that hold all that stages write


def check_out(out: Path, questions: Path) -> None:
    """Raise UserError where answers in the file `out` would replace the questions or what the pipeline has made."""
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; give a file")
    if questions.resolve() in (out.resolve(), out.with_suffix(".run.json").resolve()):
        raise UserError(f"--out {out}: would write over the questions, {questions}; give another name")
    for folder in PIPELINE if PARAMS.is_file() else ():
        if Path(folder).resolve() in (out.parent.resolve() / out.name).parents:
            raise UserError(
                f"--out {out}: {folder}/ holds what the pipeline makes; give a file elsewhere, or no --out: a run as "
                f"{PARAMS} describes it goes to its place by itself"
            )


def samples_of(questions: Sequence[Question], rollouts: Sequence[Rollout]) -> Samples:
    """The answers by question, each read for the choice that it means."""
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
    samples = samples_of(questions, rollouts)
    rows = []
    for question in questions:
        for sample in samples[question.id]:
            response = sample.response
            choice = response.error if response.answer is None else question.choices[response.answer]
            right = "right" if response.answer == question.answer else "wrong"
            rows.append([foreign(question.id), response.status, foreign(choice), right])
    return to_text(Table(["id", "status", "choice", ""], rows, ("status", "choice", "")))


def summary(questions: Sequence[Question], rollouts: Sequence[Rollout]) -> str:
    """Both accuracies with their 95 % intervals, and how many answers have which status."""
    samples = samples_of(questions, rollouts)
    metrics = metrics_of({question.id: question for question in questions}, samples)
    whole = metrics.overall
    statuses = Counter(sample.response.status for several in samples.values() for sample in several)
    counts = ", ".join(f"{status} {statuses[status]}" for status in get_args(Status))
    return (
        f"strict {metrics.acc_strict:.1%} ({percent_range(whole.low, whole.high)}), "
        f"official {metrics.acc_official:.1%} ({percent_range(whole.official_low, whole.official_high)}) "
        f"of {metrics.n} questions; {counts}"
    )
