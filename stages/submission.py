"""Make the challenge's submission of one run, or say everything that is wrong with a submission.

    python -m stages.submission build --record            # the run of submission.run

`audio-reasoning submission` builds that of any run or predictions, and validates one.

A submission holds each question once, with a choice verbatim and a trace of fewer than
`submission.max_trace_chars` characters. `build` writes nothing else: it refuses traces that are too long, and
answers or traces that the model did not give. With `--allow-empty` (for a run, `submission.empty: allow`) these are
written as empty texts, never made up: they score nothing, and stay in the count, as a line left out would not.
A question of the benchmark that was dropped has no answer at all; with `submission.missing: empty` it has a line with
empty texts, and the manifest names it as filled.

Beside the zip stands a manifest (`mine.manifest.json`): what made the answers, both accuracies, which texts are empty,
and the zip's SHA-256. With `--record`, as the DVC stage calls it, a run that cannot be submitted soundly is a recorded
outcome: metrics/submission.json says `sound: false` with the problems, data/submission holds problems.txt and no zip,
and the exit code is 0, since an experiment of hours is not lost by one trace that is too long.
"""

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import write_bytes
from audio_reasoning.core.records import Response
from audio_reasoning.core.shown import printable
from audio_reasoning.core.typed import Strict
from audio_reasoning.metrics.inputs import (
    Questions,
    Unanswerable,
    check_current,
    read_question_set,
    some,
    unanswerable_notes,
)
from audio_reasoning.metrics.results import write_result
from audio_reasoning.render.submission.file import (
    MAX_BYTES,
    Entry,
    Problem,
    accuracies,
    check,
    pack,
    parse,
    unpack,
)
from audio_reasoning.render.submission.params import Submission
from audio_reasoning.render.submission.results import Accuracies, SubmissionManifest
from audio_reasoning.tasks.official import Asked, official_match
from audio_reasoning.tasks.reward import correct
from stages.params import load_params
from stages.submission_record import MANIFEST, PROBLEMS, SUBMISSION, UnsoundError, record_unsound
from stages.submission_source import Source, outputs, source_of_run

_DROPPED = "is a question of the benchmark that was dropped, so no line answers it"


class Params(Strict):
    """What the stage reads."""

    submission: Submission


def build(
    source: Source, max_trace_chars: int, allow_empty: bool, fill: bool = False
) -> tuple[bytes, SubmissionManifest]:
    """The zip and its manifest; with `fill`, questions that were dropped have a line with empty texts.

    Raises UnsoundError, naming every question concerned, for a trace that is too long, and an empty answer or trace
    unless `allow_empty`; UserError for several samples a question, and if what is written does not score as the run.
    """
    responses = _only_responses(source)
    entries = [_entry(source.asked, response, max_trace_chars, allow_empty) for response in responses]
    filled = list(source.dropped) if fill else []
    data = pack([*entries, *(Entry(name, "", "") for name in filled)])
    asked = source.asked | {name: Unanswerable(name, (), _DROPPED) for name in filled}
    written, problems = read_back(data, asked, max_trace_chars)
    chosen = tuple(f"id {name!r}" for name in filled)
    problems = [p for p in problems if not (p.kind == "empty" and p.where.endswith(chosen))]
    lacking = [Problem(f"id {name!r}", _DROPPED, "dropped") for name in source.dropped if name not in filled]
    _refuse([*problems, *lacking], allow_empty, source.name)
    if filled:
        print(
            f"warning: {source.name}: {len(filled)} questions that were dropped are submitted as empty texts, which "
            f"score nothing (submission.missing): {', '.join(map(printable, filled))}",
            file=sys.stderr,
        )
    scores = accuracies(written, source.questions)
    _check_scores(source, written, scores)
    unanswered = [entry.id for entry in written if not entry.answer and entry.id not in filled]
    without_trace = [entry.id for entry in written if not entry.thinking.strip() and entry.id not in filled]
    dropped = [entry.id for entry, r in zip(entries, responses, strict=True) if r.thinking and not entry.thinking]
    forced = [response.question_id for response in responses if response.forced]
    reasked = [response.question_id for response in responses if response.reasked_chars is not None]
    return data, SubmissionManifest(
        run=source.name,
        n=len(written),
        **vars(scores),
        longest_trace=max(len(entry.thinking) for entry in written),
        unanswered=len(unanswered),
        empty_traces=len(without_trace),
        dropped_traces=len(dropped),
        forced=len(forced),
        reasked=len(reasked),
        filled=len(filled),
        unanswered_ids=unanswered,
        empty_trace_ids=without_trace,
        dropped_trace_ids=dropped,
        forced_ids=forced,
        reasked_ids=reasked,
        filled_ids=filled,
        sha256=hashlib.sha256(data).hexdigest(),
        made_by=source.made_by,
    )


def _only_responses(source: Source) -> list[Response]:
    several = [name for name in source.asked if len(source.samples[name]) > 1]
    if several:
        raise UserError(
            f"{source.name}: {len(several)} questions have several samples ({some(several)}), and one answer a "
            "question is submitted; vote on them (vote.variants) and submit <variant>@vote"
        )
    return [source.samples[name][0].response for name in source.asked]


def _entry(questions: Mapping[str, Asked], response: Response, max_trace_chars: int, allow_empty: bool) -> Entry:
    answer = "" if response.answer is None else questions[response.question_id].choices[response.answer]
    # Thinking that never ended has no answer either and scores nothing: without it the file keeps to the limit.
    drop = allow_empty and not answer and len(response.thinking) >= max_trace_chars
    return Entry(response.question_id, "" if drop else response.thinking, answer)


def read_back(data: bytes, questions: Mapping[str, Asked], max_trace_chars: int) -> tuple[list[Entry], list[Problem]]:
    """The entries of a zip or a JSONL file, as far as they can be read, and everything that is wrong with it."""
    lines, layout = unpack(data) if data.startswith(b"PK") else (data, [])
    if lines is None:
        return [], layout  # that no question is answered goes without saying
    rows, syntax = parse(lines)
    entries, content = check(rows, questions, max_trace_chars)
    return entries, [*layout, *syntax, *content]


def _refuse(problems: Sequence[Problem], allow_empty: bool, name: str) -> None:
    """Raise UnsoundError with all problems, or warn of texts that may be empty."""
    allowed = [problem for problem in problems if allow_empty and problem.kind == "empty"]
    refused = [problem for problem in problems if problem not in allowed]
    for problem in allowed:
        print(f"warning: {name}: {problem}", file=sys.stderr)
    if not refused:
        return
    ways_out = []
    if any(problem.kind == "long" for problem in refused):
        ways_out.append("to shorten traces, set thinking.reask_over_chars and run the stage that answers again")
    if any(problem.kind == "empty" for problem in refused):
        ways_out.append(
            "empty texts score nothing; to accept them add --allow-empty (for a run, submission.empty: allow)"
        )
    if any(problem.kind == "dropped" for problem in refused):
        ways_out.append(
            "a submission answers every question: take corrected metadata, with --questions, or for a run with "
            "questions_file of the source in conf/profile/, and answer anew; or, for a run, set submission.missing to "
            "empty, which writes an empty line for each"
        )
    raise UnsoundError(name, [str(problem) for problem in refused], ways_out)


def _check_scores(source: Source, written: Sequence[Entry], scores: Accuracies) -> None:
    """Raise UserError unless what is written scores as the predictions do, and these as their metrics say.

    The official match may accept what stands in the place of an answer that is no choice; there, nothing is submitted.
    Predictions from elsewhere may say more than their choice ("(A) a dog"), which the official match may count
    otherwise than the choice to the letter that is written: that is warned of.
    """
    scored = [entry for entry in written if entry.id in source.questions]
    pairs = [(source.questions[entry.id], source.samples[entry.id][0], entry) for entry in scored]
    official = [official_match(s.submitted, q.choices[q.answer], q.choices) for q, s, _ in pairs]
    verbatim = [official_match(entry.answer, q.choices[q.answer], q.choices) for q, _, entry in pairs]
    changed = [
        entry.id
        for before, after, (_, _, entry) in zip(official, verbatim, pairs, strict=True)
        if entry.answer and before != after
    ]
    if changed:
        print(
            f"warning: {source.name}: {len(changed)} answers count otherwise by MMAR's match now that they are choices "
            f"to the letter: {some(changed)}",
            file=sys.stderr,
        )
    strict = fmean(correct(question, sample.response) for question, sample, _ in pairs)
    if round(strict, 4) != scores.acc_strict:
        otherwise = [q.id for q, s, e in pairs if bool(correct(q, s.response)) != (e.answer == q.choices[q.answer])]
        raise UserError(
            f"{source.name}: scores {strict:.4f} strictly, but what would be submitted scores {scores.acc_strict}; "
            f"they differ in {some(otherwise)}; nothing is written"
        )
    if source.metrics:
        figures = {"acc_strict": strict, "acc_official": fmean(official)}
        check_current(source.metrics, figures, source.name)


def validate(
    path: Path,
    questions: Questions,
    max_trace_chars: int,
    allow_empty: bool,
    unanswerable: Mapping[str, Unanswerable] | None = None,
) -> Accuracies:
    """Both accuracies of a submission; UserError with everything that is wrong with it.

    It must answer `unanswerable` questions too, which score nothing.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes, and not read")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if path.suffix == ".zip" and not data.startswith(b"PK"):
        raise UserError(f"{path}: is no zip")
    entries, problems = read_back(data, {**questions, **(unanswerable or {})}, max_trace_chars)
    _refuse(problems, allow_empty, str(path))
    return accuracies(entries, questions)


@stage_main
def main() -> None:
    """Build the submission of submission.run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["build"])
    parser.add_argument("--record", action="store_true", help="record what is not sound, and end with 0")
    parser.add_argument("--allow-empty", action="store_true", help="only warn of empty answers and traces")
    args = parser.parse_args()
    limits = load_params(Params, "submission").submission
    source = source_of_run(limits.run)
    allow_empty = args.allow_empty or limits.empty == "allow"
    try:
        data, manifest = build(source, limits.max_trace_chars, allow_empty, limits.missing == "empty")
    except UnsoundError as error:
        if not args.record:
            raise
        record_unsound(source.name, error)
        return
    write_bytes(SUBMISSION, data)
    PROBLEMS.unlink(missing_ok=True)
    write_result(MANIFEST, manifest)
    print(line(SUBMISSION, manifest))


def build_to(out: Path, source: Source, max_trace_chars: int, allow_empty: bool, fill: bool = False) -> None:
    """Write a submission to the zip `out`, and its manifest beside it; raises as `build` and `outputs` do."""
    out, manifest_path = outputs(out, source)
    data, manifest = build(source, max_trace_chars, allow_empty, fill)
    write_bytes(out, data)
    write_result(manifest_path, manifest)
    print(line(out, manifest))


def validate_file(path: Path, questions_path: Path, max_trace_chars: int, allow_empty: bool) -> None:
    """Print that a submission is sound, and its accuracies; UserError with everything that is wrong with it."""
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(questions_path, unanswerable)
    for warning in unanswerable_notes(questions_path, unanswerable):
        print(f"warning: {warning}", file=sys.stderr)
    scores = validate(path, questions, max_trace_chars, allow_empty, unanswerable)
    print(f"{path}: sound; strict {scores.acc_strict:.1%}, official {scores.acc_official:.1%}")


def line(out: Path, manifest: SubmissionManifest) -> str:
    """What a submission holds, for a terminal."""
    return (
        f"{out}: {manifest.n} answers of {manifest.run}, strict {manifest.acc_strict:.1%}, "
        f"official {manifest.acc_official:.1%}; {manifest.unanswered} without an answer"
        + (f" ({some(manifest.unanswered_ids)})" if manifest.unanswered else "")
    )


if __name__ == "__main__":
    main()
