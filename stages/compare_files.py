"""Two prediction files side by side: what `audio-reasoning compare A B` prints.

A verdict is for a comparison that was declared beforehand:

- two runs of this project whose comparison params.yaml declares (metrics/family.py), on the test questions by
  the strict score, are judged with their whole family, as in metrics/summary.json or metrics/training/summary.json;
- two other runs of this project, or the same on other questions or by another score, are exploratory: p is as it is;
- where one of the two is from elsewhere, what they were made for is not known here: one comparison, unadjusted.

Where a run is named, resamples, seed, rate and margin are those of params.yaml; else they are the defaults.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from audio_reasoning.core.errors import UserError
from audio_reasoning.metrics.dropped import dropped_ids, dropped_notes
from audio_reasoning.metrics.file_results import FileComparison, FileRun, Settings
from audio_reasoning.metrics.inputs import (
    Questions,
    Samples,
    Unanswerable,
    read_question_set,
    read_samples,
    some,
    unanswerable_notes,
)
from audio_reasoning.metrics.paired import (
    Method,
    Pair,
    broken_down,
    explored,
    judged,
    none_answered,
    scores_of,
)
from audio_reasoning.metrics.results import Judged, between, to_json
from audio_reasoning.metrics.scoring import BREAKDOWNS, FATES
from audio_reasoning.metrics.stats import equivalence_p, wilson
from audio_reasoning.tasks.official import Asked
from stages.contrasts import Declared, families
from stages.family import judge_contrasts
from stages.layout import QUESTIONS
from stages.sides import Side, names_of, plain

BY = ("category", "sub_category")
TEST = QUESTIONS / "test.jsonl"
FEW_ERRORS = 0.01  # of a run's responses; more, and it measures the connection as well
# What a comparison rests on.
DECLARED = "declared in params.yaml ({family}): p is Holm-adjusted over all {tests} comparisons that are declared there"
UNDECLARED = "not declared in params.yaml, so p is as it is, and there is no verdict"
OTHERWISE = f"what is declared is compared on {TEST} by the strict score, so there is no verdict"
ALONE = "one comparison, unadjusted"


Score = Literal["strict", "official"]


def compare_files(
    a: Side, b: Side, path: Path, score: Score, method: Method, params: Declared | None, settings: Settings
) -> FileComparison:
    """Compare the predictions `b` with `a` on the questions in a file: all figures, and what to be warned of.

    `params` are those of the project that the runs belong to, None if there is none. Questions that neither file
    answers are left out, as are those without a right choice. Raises UserError where one file answers questions that
    the other does not, and for a file that cannot be read.
    """
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(path, unanswerable)
    everything: dict[str, Asked] = {**questions, **unanswerable}
    read = [read_samples(side.path, everything, complete=False) for side in (a, b)]
    samples = [{name: several for name, several in answers.items() if name in questions} for answers in read]
    names = names_of(a, b)
    shared = _shared(a.path, b.path, samples, questions)
    pair = Pair(*names, *(scores_of(answers, shared, score) for answers in samples))
    unread = {name for name, answers in zip(names, samples, strict=True) if none_answered(answers)}
    if params and a.run and b.run:
        same = score == "strict" and plain(path) == TEST
        row, basis = _judged_between(pair, shared, method, params) if same else (None, OTHERWISE)
        row = row or _explored(pair, shared, method)
    else:
        [row] = judged([pair], [*shared.values()], method, unread)
        row = row.model_copy(update={"verdict_text": f"{row.verdict_text} ({ALONE})"})
        basis = f"{ALONE}: these are not two runs of this project"
    groups = {by: {BREAKDOWNS[by](question) for question in questions.values()} for by in BY}
    return FileComparison(
        score=score,
        left_out=len(questions) - len(shared),
        runs=[
            _run(name, answers, scores)
            for name, answers, scores in zip(names, samples, (pair.scores_a, pair.scores_b), strict=True)
        ],
        **to_json(row),
        basis=basis,
        category=broken_down(pair, [*shared.values()], "category", method, groups["category"]),
        sub_category=broken_down(pair, [*shared.values()], "sub_category", method, groups["sub_category"]),
        warnings=[
            *unanswerable_notes(path, unanswerable),
            *(dropped_notes(dropped_ids(QUESTIONS)) if plain(path) == TEST else []),
            *_warnings(names, samples, questions, shared, unread),
        ],
        settings=settings,
    )


def _judged_between(pair: Pair, questions: Questions, method: Method, params: Declared) -> tuple[Judged | None, str]:
    """The comparison of two runs as one of a declared family, None if it is of none; and what it rests on."""
    for family, contrasts in families(params).items():
        if {pair.a, pair.b} in [{a.name, b.name} for a, b in contrasts]:
            try:
                rows = judge_contrasts(contrasts, questions, method)
            except UserError as error:
                return (
                    None,
                    f"declared, but not all that p is adjusted for can be read, so there is no verdict: {error}",
                )
            return between(rows, pair.a, pair.b), DECLARED.format(family=family, tests=len(contrasts))
    return None, UNDECLARED


def _explored(pair: Pair, questions: Questions, method: Method) -> Judged:
    """A comparison without a verdict, with p of equivalence as it is too."""
    groups = [question.group for question in questions.values()]
    equivalence = equivalence_p(pair.scores_a, pair.scores_b, groups, method.margin)
    return explored(pair, [*questions.values()], method, equivalence)


def _shared(path_a: Path, path_b: Path, samples: list[Samples], questions: Questions) -> Questions:
    """The questions that both files answer, in order."""
    only_a = [name for name in samples[0] if name not in samples[1]]
    only_b = [name for name in samples[1] if name not in samples[0]]
    if only_a or only_b:
        only = [
            f"{len(names)} only in {path} ({some(names)})"
            for names, path in ((only_a, path_a), (only_b, path_b))
            if names
        ]
        raise UserError(
            f"{path_a} and {path_b} answer different questions: {', '.join(only)}. They are compared question by "
            "question: give both the same ids; an empty answer is possible, and counts as wrong"
        )
    if not samples[0]:
        raise UserError(f"{path_a} and {path_b} hold no predictions")
    return {name: question for name, question in questions.items() if name in samples[0]}


def _run(name: str, samples: Samples, scores: Sequence[float]) -> FileRun:
    low, high = wilson(sum(scores), len(scores))
    statuses = [sample.response.status for several in samples.values() for sample in several]
    shares: dict[str, Any] = {fate: round(fmean(status == fate for status in statuses), 4) for fate in FATES}
    return FileRun(
        name=name,
        samples=len(statuses) // len(samples),
        acc=round(fmean(scores), 4),
        low=round(low, 4),
        high=round(high, 4),
        **shares,
    )


def _warnings(
    names: tuple[str, str], samples: list[Samples], questions: Questions, shared: Questions, unread: set[str]
) -> list[str]:
    notes = []
    counts = [len(next(iter(answers.values()))) for answers in samples]
    if counts[0] != counts[1]:
        notes.append(
            f"{names[0]} has {counts[0]} samples a question and {names[1]} has {counts[1]}: what is compared is the "
            "mean over samples, so both should have been sampled alike"
        )
    if len(shared) < len(questions):
        left_out = [name for name in questions if name not in shared]
        notes.append(
            f"{len(left_out)} of {len(questions)} questions are in neither file and left out: {some(left_out)}"
        )
    for name, answers in zip(names, samples, strict=True):
        fates = [sample.response.status for several in answers.values() for sample in several]
        if fates.count("error") > FEW_ERRORS * len(fates):
            notes.append(f"{name}: {fates.count('error')} of {len(fates)} responses are errors, which count as wrong")
        if name in unread:
            by_fate = ", ".join(f"{fates.count(fate)} {fate}" for fate in FATES if fate in fates)
            notes.append(f"{name} has no answer at all ({by_fate}): its score is no accuracy, so there is no verdict")
    return notes
