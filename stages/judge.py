"""Stage `judge`: rate the traces of the runs in judge.runs by rubrics, as MMAR-Rubrics does.

    python -m stages.judge

A wrong answer scores 0, a right one the share of its question's five rubric items that a judge finds met in its
trace. judge.kind says who judges: `endpoint`, a model (AUDIO_REASONING_JUDGE_URL, AUDIO_REASONING_JUDGE_KEY) that
rates each answer judge.ratings times; or `evidence`, MMAR-mini's fixed rule, whose scores are no MMAR-Rubrics scores
and have another name. The profile mini has its rule judge two runs; a judge model is asked only if a person says so.

Writes metrics/judge.json (see audio_reasoning/judging/summary.py), and data/ratings/test.jsonl with every rating. An
interrupted run goes on where it stopped: replies are cached outside DVC's outs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import sha256_file, write_jsonl
from audio_reasoning.core.runs import Run, find_run
from audio_reasoning.core.shown import printable
from audio_reasoning.engines.cache import response_cache
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.params import Runtime
from audio_reasoning.judging.endpoint import Failure, judge_server, rate
from audio_reasoning.judging.evidence import judge_trace
from audio_reasoning.judging.params import Judge
from audio_reasoning.judging.prompt import messages
from audio_reasoning.judging.ratings import Rating, Reply
from audio_reasoning.judging.rubric_file import Rubric, read_rubrics
from audio_reasoning.judging.scores import Answer
from audio_reasoning.judging.summary import summarise, table
from audio_reasoning.metrics.inputs import Questions, read_question_set, read_samples, some
from audio_reasoning.metrics.resampling import Resampling
from audio_reasoning.metrics.results import write_result
from audio_reasoning.tasks.official import official_match
from audio_reasoning.tasks.reward import correct
from stages.declared import RUNS, DeclaredRuns
from stages.layout import METRICS, QUESTIONS, answers_file, cache_dir
from stages.params import load_params

OUT = METRICS / "judge.json"
RATINGS = Path("data/ratings/test.jsonl")

Rubrics = dict[str, Rubric]


class Params(DeclaredRuns):
    """What the stage reads."""

    compare: Resampling
    judge: Judge
    runtime: Runtime


def read_answers(run: Run, questions: Questions) -> list[Answer]:
    """All answers of a run in the order of the questions, not yet rated."""
    samples = read_samples(answers_file(run), questions, complete=True)
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
    """The rubrics that the judge can use, of the questions that have one.

    A judge model needs them all: UserError where one is missing. Evidence is known of MMAR-mini alone, and the other
    questions of a mixed test set are left out.
    """
    path = Path(params.judge.rubrics)
    rubrics = read_rubrics(path)
    if params.judge.kind == "evidence":
        return {name: rubrics[name] for name in questions if name in rubrics and rubrics[name].evidence}
    absent = [name for name in questions if name not in rubrics]
    if absent:
        raise UserError(
            f"{path}: {len(absent)} of {len(questions)} questions have no rubric ({some(absent)}); point judge.rubrics "
            "at a file that has theirs: for MMAR, MMAR-meta.jsonl of https://github.com/ddlBoJack/MMAR. "
            "`dvc repro -f rubrics` names rubrics of sources that cannot be used"
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


def by_endpoint(answers: Sequence[Answer], rubrics: Rubrics, server: Server, params: Params) -> list[Answer]:
    """The answers, those that are right with a judge model's ratings, None for each that failed for good, and reasons.

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
    with response_cache(cache_dir()) as cache:
        replies = rate(prompts, server, params.judge, cache, params.runtime)
    _check_failures([name for name, _ in prompts], replies, params.judge.max_error_rate)
    rows = iter(replies)
    return [_rated(answer, next(rows)) if answer.is_rated else answer for answer in answers]


def _rated(answer: Answer, replies: Sequence[Reply | Failure]) -> Answer:
    return replace(
        answer,
        ratings=tuple(reply.rating if isinstance(reply, Reply) else None for reply in replies),
        why=tuple(reply.why if isinstance(reply, Reply) else printable(reply.reason) for reply in replies),
    )


def _check_failures(names: Sequence[str], replies: Sequence[Sequence[Reply | Failure]], allowed: float) -> None:
    failures = [
        f"{name}, rating {number}: {reply.reason}"
        for name, row in zip(names, replies, strict=True)
        for number, reply in enumerate(row, start=1)
        if isinstance(reply, Failure)
    ]
    total = sum(map(len, replies))
    if failures and len(failures) / total > allowed:
        enough = ceil(1000 * len(failures) / total) / 1000
        raise UserError(
            f"{len(failures)} of {total} ratings failed, more than judge.max_error_rate allows; the first: "
            f"{failures[0]}. Replies are kept, unusable ones too: the same command asks again only what got no reply. "
            f"judge.max_error_rate of {enough:g} accepts these failures, which count as 0, and asks nothing else; "
            f"another judge.seed or judge.max_tokens asks for all {total} ratings anew, and pays for them"
        )
    for failure in failures[:3]:
        print(f"warning: {failure}", file=sys.stderr)


def rating_rows(answers: Sequence[Answer], kind: str) -> list[dict[str, Any]]:
    """Every answer with its ratings, five items each, null where one failed; wrong answers have none.

    `why` has an entry for each rating of a judge model: what it said of each item, or why there is no rating.
    """
    return [
        {
            "run": answer.run,
            "question_id": answer.question.id,
            "sample_index": answer.response.sample_index,
            "judge": kind,
            "right": answer.strict,
            "right_official": answer.official,
            "ratings": answer.ratings,
            "why": answer.why,
        }
        for answer in answers
    ]


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = load_params(Params, *RUNS, "compare.resamples", "compare.seed", "judge")
    runs = [find_run(name, params.runs()) for name in params.judge.runs]
    answers: list[Answer] = []
    questions: Questions = {}
    made_by: dict[str, Any] = {}
    if runs:
        questions = read_question_set(QUESTIONS / "test.jsonl")
        rubrics = usable_rubrics(params, questions)
        made_by["rubrics_sha256"] = sha256_file(Path(params.judge.rubrics))
        answers = [answer for run in runs for answer in read_answers(run, questions) if answer.question.id in rubrics]
        if params.judge.kind == "evidence":
            answers = by_evidence(answers, rubrics)
        else:
            server = judge_server(params.judge.model)
            made_by["base_url"] = server.identity["base_url"]
            answers = by_endpoint(answers, rubrics, server, params)
    judged = {run.name: [answer for answer in answers if answer.run == run.name] for run in runs if answers}
    summary = summarise(judged, params.judge, params.compare.resamples, params.compare.seed, len(questions), made_by)
    write_jsonl(RATINGS, rating_rows(answers, params.judge.kind))
    write_result(OUT, summary)
    print(table(summary))


if __name__ == "__main__":
    main()
