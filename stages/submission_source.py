"""What a submission is made of: a run of the pipeline, or files from elsewhere."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from audio_reasoning.metrics.dropped import dropped_ids
from audio_reasoning.metrics.inputs import (
    Questions,
    Samples,
    Unanswerable,
    read_question_set,
    read_samples,
    unanswerable_notes,
)
from audio_reasoning.metrics.results import Manifest
from audio_reasoning.tasks.official import Asked
from stages.layout import QUESTIONS, answers_file, manifest_file, metrics_file
from stages.runs import existing_run


@dataclass(frozen=True)
class Source:
    """What is submitted: predictions of questions, the scores of them where there are any, and the files it is from.

    `unanswerable` questions have no right choice: they are submitted too, and score nothing. `dropped` ones were not
    asked at all.
    """

    name: str
    questions: Questions
    samples: Samples
    made_by: list[Manifest]
    metrics: Path | None
    files: tuple[Path, ...] = ()
    unanswerable: Mapping[str, Unanswerable] = field(default_factory=dict)
    dropped: Sequence[str] = ()

    @property
    def asked(self) -> dict[str, Asked]:
        """Every question that is submitted, by its id."""
        return {**self.questions, **self.unanswerable}


def source_of_run(name: str) -> Source:
    """A run of the pipeline, by its name."""
    run = existing_run(name)
    test = QUESTIONS / "test.jsonl"
    questions = read_question_set(test)
    samples = read_samples(answers_file(run), questions, complete=True)
    metrics = metrics_file(run)
    return Source(
        run.name,
        questions,
        samples,
        [read_json(manifest_file(run))],
        metrics if metrics.is_file() else None,
        (test, answers_file(run), manifest_file(run), metrics),
        dropped=[name for name in dropped_ids(QUESTIONS) if name not in questions],
    )


def source_of_files(predictions: Path, questions_path: Path) -> Source:
    """Any predictions, ours or the challenge's, and their manifest if one lies beside them."""
    unanswerable: dict[str, Unanswerable] = {}
    questions = read_question_set(questions_path, unanswerable)
    for warning in unanswerable_notes(questions_path, unanswerable):
        print(f"warning: {warning}", file=sys.stderr)
    samples = read_samples(predictions, {**questions, **unanswerable}, complete=True)
    manifest = predictions.with_suffix(".run.json")
    made_by = [read_json(manifest)] if manifest.is_file() else []
    files = (predictions, questions_path, manifest)
    return Source(predictions.name, questions, samples, made_by, None, files, unanswerable)


def outputs(out: Path, source: Source) -> tuple[Path, Path]:
    """The zip and its manifest beside it; UserError where one of them would replace what the submission is made of."""
    manifest = out.with_suffix(".manifest.json")
    inputs = {path.resolve() for path in source.files}
    for path in (out, manifest):
        if path.resolve() in inputs:
            raise UserError(f"--out {out}: would write over {path}, which the submission is made of; give another name")
    return out, manifest
