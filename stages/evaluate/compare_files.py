"""Two prediction files side by side: what `python -m stages.evaluate.compare A B` prints."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from stages.common.errors import UserError
from stages.common.files import QUESTIONS
from stages.evaluate.compare_files_table import as_markdown, as_text
from stages.evaluate.inputs import Questions, Samples, read_question_set, read_samples, some
from stages.evaluate.paired import Method, Pair, broken_down, judged, none_answered, scores_of, within
from stages.evaluate.runs import named_run
from stages.evaluate.scoring import BREAKDOWNS, FATES
from stages.evaluate.stats import wilson

BY = ("category", "sub_category")
TEST = QUESTIONS / "test.jsonl"
FEW_ERRORS = 0.01  # of a run's responses; more, and it measures the connection as well


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of a comparison of two files."""
    group = parser.add_argument_group("two prediction files")
    group.add_argument("files", nargs="*", metavar="A B", help="what is compared, B against A: files, or names of runs")
    group.add_argument("--questions", type=Path, help=f"default: {TEST}")
    group.add_argument("--score", choices=("strict", "official"), help="default: strict")
    group.add_argument(
        "--margin", type=float, help=f"a difference within it does no harm (default: {Method.margin}, two points)"
    )
    form = group.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="print Markdown")
    form.add_argument("--json", action="store_true", help="print JSON")


def wanted(args: argparse.Namespace) -> bool:
    """Whether two files are to be compared: they are named, or an option is given that belongs to them."""
    options = (args.questions, args.score, args.margin)
    return bool(args.files) or args.md or args.json or any(option is not None for option in options)


def run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Compare the two files that the arguments name, and print the result; warnings go to stderr as well."""
    if len(args.files) != 2 or args.show:
        parser.error("give two prediction files, or none and no option that belongs to them")
    margin = Method.margin if args.margin is None else args.margin
    if not 0 < margin < 1:
        parser.error("--margin is a fraction of one: 0.02 is two points")
    questions = read_question_set(args.questions or TEST)
    a, b = args.files
    result = compare_files(a, b, questions, args.score or "strict", Method(margin=margin))
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if args.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print(as_markdown(result) if args.md else as_text(result))


def compare_files(
    a: str, b: str, questions: Questions, score: Literal["strict", "official"], method: Method
) -> dict[str, Any]:
    """Compare the predictions `b` with `a`, files or names of runs: all figures, and what to be warned of.

    Questions that neither file answers are left out. Raises UserError where one file answers questions that the
    other does not, and for a file that cannot be read.
    """
    path_a, path_b = _file(a), _file(b)
    samples = [read_samples(path, questions, complete=False) for path in (path_a, path_b)]
    names = _names(a, b)
    asked = _shared(path_a, path_b, samples, questions)
    pair = Pair(*names, *(scores_of(found, asked, score) for found in samples))
    unread = {name for name, found in zip(names, samples, strict=True) if none_answered(found)}
    [row] = judged([pair], [*asked.values()], method, unread)
    breakdowns = {
        by: broken_down(
            within(pair, [*asked.values()], by, method, {BREAKDOWNS[by](question) for question in questions.values()}),
            method,
        )
        for by in BY
    }
    return {
        "score": score,
        "left_out": len(questions) - len(asked),
        "runs": [
            _run(name, found, scores)
            for name, found, scores in zip(names, samples, (pair.scores_a, pair.scores_b), strict=True)
        ],
        "settings": asdict(method),
        **row,
        **breakdowns,
        "warnings": _warnings(names, samples, questions, asked, unread),
    }


def _file(name: str) -> Path:
    """The file of that name or, where there is none, the answers of the run of that name."""
    return Path(name) if _is_file(name) else named_run(name).predictions


def _is_file(name: str) -> bool:
    return Path(name).exists() or bool(Path(name).suffix)


def _names(a: str, b: str) -> tuple[str, str]:
    """Runs by their names and files by theirs, without folder and suffix where that tells them apart."""
    short_a, short_b = (Path(name).stem if _is_file(name) else name for name in (a, b))
    if short_a != short_b:
        return short_a, short_b
    return a, b if b != a else f"{b} (again)"


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


def _run(name: str, samples: Samples, scores: Sequence[float]) -> dict[str, Any]:
    low, high = wilson(min(sum(scores), len(scores)), len(scores))
    responses = [sample.response for found in samples.values() for sample in found]
    return {
        "name": name,
        "samples": len(responses) // len(samples),
        "acc": round(fmean(scores), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        **{fate: round(fmean(response.status == fate for response in responses), 4) for fate in FATES},
    }


def _warnings(
    names: tuple[str, str], samples: list[Samples], questions: Questions, asked: Questions, unread: set[str]
) -> list[str]:
    found = []
    counts = [len(next(iter(answers.values()))) for answers in samples]
    if counts[0] != counts[1]:
        found.append(
            f"{names[0]} has {counts[0]} samples a question and {names[1]} has {counts[1]}: what is compared is the "
            "mean over samples, so both should have been sampled alike"
        )
    if len(asked) < len(questions):
        left_out = [name for name in questions if name not in asked]
        found.append(
            f"{len(left_out)} of {len(questions)} questions are in neither file and left out: {some(left_out)}"
        )
    for name, answers in zip(names, samples, strict=True):
        fates = [sample.response.status for several in answers.values() for sample in several]
        if fates.count("error") > FEW_ERRORS * len(fates):
            found.append(f"{name}: {fates.count('error')} of {len(fates)} responses are errors, which count as wrong")
        if name in unread:
            told = ", ".join(f"{fates.count(fate)} {fate}" for fate in FATES if fate in fates)
            found.append(f"{name} has no answer at all ({told}): its score is no accuracy, so there is no verdict")
    return found
