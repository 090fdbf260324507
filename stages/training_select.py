"""Stage `training_select`: choose what to train on among a model's samples.

    python -m stages.training_select --model iter1

Writes data/training/<model>/bank.parquet (the traces to train on, those of earlier models included where
select.accumulate says so), data/training/<model>/retention.jsonl (mastered problems that are *not* trained on,
nor were in a model before, which the acceptance gate asks again), and to metrics/training what was sampled and taken
(generation_<model>.json) and how many problems have which pass rate (pass_rates/<model>.json). Where there is
nothing to train on, the model is refused: the metrics say so, and it keeps the model that it started from.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from audio_reasoning.algorithms.grading import graded
from audio_reasoning.algorithms.pass_rates import CATEGORIES, Problem, categories, histogram, problems_of
from audio_reasoning.algorithms.recipe import SelectPart
from audio_reasoning.algorithms.refusal import KEY, announce
from audio_reasoning.algorithms.selecting import Material, selection_of
from audio_reasoning.algorithms.traces import distinct, well_formed
from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import write_json, write_jsonl
from audio_reasoning.core.records import Question, read_questions, to_dict
from audio_reasoning.core.rollouts import DEV, HEARD, Graded, Sample, Trace, read_records, write_records
from audio_reasoning.families.family import family_of
from stages.given_traces import read_given_traces
from stages.layout import BASE_MODEL, QUESTIONS, TRAINING, TRAINING_METRICS
from stages.recipe import read_part
from stages.training_models import bank_of, depth_of, trained_problems
from stages.training_prompt import training_prompt


def generation_metrics(samples: Sequence[Graded], problems: Sequence[Problem], failed: int) -> dict[str, Any]:
    """What was sampled, and how hard it was."""
    heard = [sample for sample in samples if sample.condition == HEARD]
    right = [sample for problem in problems for sample in problem.right]
    silent = [p.silent_rate for p in problems if p.silent_rate is not None]
    duplicates = sum(len(p.right) - len(distinct(p.right)) for p in problems)
    return {
        "problems": len(problems) + failed,
        "problems_failed": failed,
        "candidates": len(heard),
        "candidates_correct": len(right),
        "candidates_truncated": sum(sample.status == "truncated" for sample in heard),
        "candidates_without_answer": sum(sample.status == "no_answer" for sample in heard),
        "correct_duplicates": duplicates,
        "correct_malformed": sum(not well_formed(sample) for sample in right),
        "pass_rate": round(float(np.mean([p.pass_rate for p in problems])), 4),
        "pass_rate_silence": round(float(np.mean(silent)), 4) if silent else None,
        "problems_with_correct": sum(bool(problem.right) for problem in problems),
        "problems_learning_zone": sum(p.category == "learning_zone" for p in problems),
        "categories": categories(problems),
    }


def table(metrics: dict[str, Any]) -> str:
    """The categories, with counts and shares."""
    rows = [f"{'category':16} problems  share"]
    for name in CATEGORIES:
        row = metrics["categories"][name]
        rows.append(f"{name:16} {row['problems']:8} {row['share']:6.1%}")
    return "\n".join(rows)


def _retention_questions(retention: Sequence[Problem], questions: dict[str, Question]) -> list[Question]:
    """The mastered problems that are not trained on, with their choices as they were asked."""
    reordered = []
    for problem in retention:
        sample, question = problem.samples[0], questions[problem.id]
        choices = tuple(question.choices[i] for i in sample.order)
        reordered.append(replace(question, choices=choices, answer=sample.order.index(question.answer)))
    return reordered


@stage_main
def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="its name in models")
    name = parser.parse_args().model
    part = read_part(SelectPart, name)
    start = part.start
    source = TRAINING / name / "samples.parquet"
    questions = {question.id: question for question in read_questions(QUESTIONS / "train.jsonl")}
    samples = graded((s for s in read_records(source, Sample) if s.condition != DEV), questions)
    problems, failed = problems_of(samples)
    if failed and not problems:
        raise UserError(
            f"{source}: a sample of each of its {len(failed)} problems failed, so nothing is known about them; "
            "`dvc repro` asks them again once what answers works"
        )
    material = Material(
        model=name,
        problems=problems,
        questions=questions,
        earlier=bank_of(start),
        trained=trained_problems(start),
        seed=part.seed + depth_of(start),
        prompt=training_prompt(part.prompt),
        given=read_given_traces,
        processor=cache(lambda: family_of(BASE_MODEL).processor(BASE_MODEL)),
    )
    selected = selection_of(part.method, f"models.{name}.method")(material, part.select)
    sampled = {"problems_retention": len(selected.retention), "bank": len(selected.bank)}
    measured = generation_metrics(samples, problems, len(failed)) if problems else {"problems": 0}
    metrics = {**measured, **sampled, **selected.metrics}
    refusal = selected.nothing.by("training_select") if selected.nothing else None
    if refusal:
        metrics[KEY] = refusal.model_dump()
    write_records(TRAINING / name / "bank.parquet", Trace, selected.bank)
    write_jsonl(TRAINING / name / "retention.jsonl", map(to_dict, _retention_questions(selected.retention, questions)))
    write_json(TRAINING_METRICS / "pass_rates" / f"{name}.json", histogram(problems) if problems else [])
    write_json(TRAINING_METRICS / f"generation_{name}.json", metrics)
    if problems:
        print(table(metrics))
    print(f"{name}: {selected.summary}")
    if refusal:
        announce(name, start, refusal)


if __name__ == "__main__":
    main()
