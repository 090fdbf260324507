"""Stage `judge`: rate the traces of the runs in judge.runs by rubrics, as MMAR-Rubrics does.

    python -m stages.judge.judge

A wrong answer scores 0, a right one the share of its question's five rubric items that a judge finds met in its
trace. judge.kind says who judges: `endpoint`, a model (AUDIO_REASONING_JUDGE_URL, AUDIO_REASONING_JUDGE_KEY) that
rates each answer judge.ratings times; or `evidence`, MMAR-mini's fixed rule, whose scores are no MMAR-Rubrics scores
and have another name. No runs, the default: nothing is judged.

Writes metrics/judge.json (see stages/judge/summary.py), and data/ratings/test.jsonl with every rating. An
interrupted run goes on where it stopped: replies are cached outside DVC's outs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.common.errors import UserError, stage_main
from stages.common.files import METRICS, QUESTIONS, sha256_file, write_json, write_jsonl
from stages.common.params import Params, load_params
from stages.evaluate.inputs import Questions, read_question_set, read_samples, some
from stages.evaluate.official import official_match
from stages.evaluate.reward import correct
from stages.evaluate.runs import Run, declared_runs, find_run
from stages.judge.endpoint import Failure, judge_server, rate
from stages.judge.evidence import judge_trace
from stages.judge.prompt import messages
from stages.judge.ratings import Rating
from stages.judge.rubric_file import Rubric, read_rubrics
from stages.judge.scores import Answer
from stages.judge.summary import summarise, table
from stages.serve.cache import response_cache

OUT = METRICS / "judge.json"
RATINGS = Path("data/ratings/test.jsonl")

Rubrics = dict[str, Rubric]


def read_answers(run: Run, questions: Questions) -> list[Answer]:
    """All answers of a run in the order of the questions, not yet rated."""
    samples = read_samples(run.predictions, questions, complete=True)
    return [
        Answer(
            run=run.name,
            question=question,
            response=sample.response,
            submitted=sample.submitted,
            strict=bool(correct(question, sample.response)),
            official=official_match(sample.submitted, question.choices[question.answer], question.choices),
        )
        for name, question in questions.items()
        for sample in samples[name]
    ]


def usable_rubrics(params: Params, questions: Questions) -> Rubrics:
    """The rubrics by question; UserError unless every question has one that the judge can use."""
    path, kind = Path(params.judge.rubrics), params.judge.kind
    rubrics = read_rubrics(path)
    absent = [name for name in questions if name not in rubrics]
    if absent:
        raise UserError(
            f"{path}: {len(absent)} of {len(questions)} questions have no rubric ({some(absent)}); point judge.rubrics "
            "at a file that has theirs: for MMAR, MMAR-meta.jsonl of https://github.com/ddlBoJack/MMAR"
        )
    bare = [name for name in questions if rubrics[name].evidence is None]
    if kind == "evidence" and bare:
        raise UserError(
            f"{path}: {len(bare)} of {len(questions)} rubrics hold no evidence ({some(bare)}), which is known of "
            "MMAR-mini alone; set judge.kind to endpoint"
        )
    return rubrics


def by_evidence(answers: Sequence[Answer], rubrics: Rubrics) -> list[Answer]:
    """The answers, those that are right with the evidence judge's one rating."""

    def rating(answer: Answer) -> Rating:
        question, rubric = answer.question, rubrics[answer.question.id]
        assert rubric.evidence
        right = question.choices[question.answer]
        return judge_trace(answer.response.thinking, question.question, right, rubric.reference, rubric.evidence)

    return [replace(answer, ratings=(rating(answer),)) if answer.is_rated else answer for answer in answers]


def by_endpoint(answers: Sequence[Answer], rubrics: Rubrics, params: Params) -> list[Answer]:
    """The answers, those that are right with a judge model's ratings, None for each that failed for good.

    Raises UserError as `rate` does, and where more ratings fail than judge.max_error_rate allows.
    """
    prompts = [
        (
            f"{answer.run}: {answer.question.id}",
            messages(answer.question, rubrics[answer.question.id], answer.response.thinking, answer.submitted),
        )
        for answer in answers
        if answer.is_rated
    ]
    server = judge_server(params.judge.model)
    with response_cache() as cache:
        ratings = rate(prompts, server, params.judge, cache, params.runtime)
    _check_failures([name for name, _ in prompts], ratings, params.judge.max_error_rate)
    rows = iter([tuple(None if isinstance(rating, Failure) else rating for rating in row) for row in ratings])
    return [replace(answer, ratings=next(rows)) if answer.is_rated else answer for answer in answers]


def _check_failures(names: Sequence[str], ratings: Sequence[Sequence[Rating | Failure]], allowed: float) -> None:
    failures = [
        f"{name}, rating {number}: {rating.reason}"
        for name, row in zip(names, ratings, strict=True)
        for number, rating in enumerate(row, start=1)
        if isinstance(rating, Failure)
    ]
    total = sum(map(len, ratings))
    if len(failures) > allowed * total:
        raise UserError(
            f"{len(failures)} of {total} ratings failed, more than judge.max_error_rate allows; the first: "
            f"{failures[0]}. Replies are kept, unusable ones too: the same command asks only what got no reply; "
            "another judge.seed or judge.max_tokens asks anew"
        )
    for failure in failures[:3]:
        print(f"warning: {failure}", file=sys.stderr)


def rating_rows(answers: Sequence[Answer], kind: str) -> list[dict[str, Any]]:
    """Every answer with its ratings, five items each, null where one failed; wrong answers have none."""
    return [
        {
            "run": answer.run,
            "question_id": answer.question.id,
            "sample_index": answer.response.sample_index,
            "judge": kind,
            "right": answer.strict,
            "right_official": answer.official,
            "ratings": answer.ratings,
        }
        for answer in answers
    ]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(
        "arms.kinds",
        "arms.variants",
        "compare.resamples",
        "compare.seed",
        "judge",
        "prompts.variants",
        "rest.eval_prompts",
        "rest.iterations",
        "vote.variants",
    )
    runs = [find_run(name, declared_runs(params)) for name in params.judge.runs]
    answers: list[Answer] = []
    rubrics_hash = ""
    if runs:
        rubrics_hash = sha256_file(Path(params.judge.rubrics))
        questions = read_question_set(QUESTIONS / "test.jsonl")
        rubrics = usable_rubrics(params, questions)
        answers = [answer for run in runs for answer in read_answers(run, questions)]
        evidence = params.judge.kind == "evidence"
        answers = by_evidence(answers, rubrics) if evidence else by_endpoint(answers, rubrics, params)
    judged = {run.name: [answer for answer in answers if answer.run == run.name] for run in runs}
    summary = summarise(judged, params, rubrics_hash)
    write_jsonl(RATINGS, rating_rows(answers, params.judge.kind))
    write_json(OUT, summary)
    print(table(summary))


if __name__ == "__main__":
    main()
