"""What a submission is made of: a run of the pipeline, or files from elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import QUESTIONS, read_json
from audio_reasoning.core.runs import metrics_file
from audio_reasoning.metrics.inputs import Questions, Samples, read_question_set, read_samples
from stages.runs import existing_run


@dataclass(frozen=True)
class Source:
    """What is submitted: predictions of questions, the scores of them where there are any, and the files it is from."""

    name: str
    questions: Questions
    samples: Samples
    made_by: list[Any]
    metrics: Path | None
    files: tuple[Path, ...] = ()


def source_of_run(name: str) -> Source:
    """A run of the pipeline, by its name."""
    run = existing_run(name)
    asked = QUESTIONS / "test.jsonl"
    questions = read_question_set(asked)
    samples = read_samples(run.predictions, questions, complete=True)
    metrics = metrics_file(run)
    return Source(
        name,
        questions,
        samples,
        [read_json(run.manifest)],
        metrics if metrics.is_file() else None,
        (asked, run.predictions, run.manifest, metrics),
    )


def source_of_files(predictions: Path, questions_path: Path) -> Source:
    """Any predictions, ours or the challenge's, and their manifest if one lies beside them."""
    questions = read_question_set(questions_path)
    samples = read_samples(predictions, questions, complete=True)
    manifest = predictions.with_suffix(".run.json")
    made_by = [read_json(manifest)] if manifest.is_file() else []
    return Source(predictions.name, questions, samples, made_by, None, (predictions, questions_path, manifest))


def outputs(out: Path, source: Source) -> tuple[Path, Path]:
    """The zip and its manifest beside it; UserError where one of them would replace what the submission is made of."""
    manifest = out.with_suffix(".manifest.json")
    inputs = {path.resolve() for path in source.files}
    for path in (out, manifest):
        if path.resolve() in inputs:
            raise UserError(f"--out {out}: would write over {path}, which the submission is made of; give another name")
    return out, manifest
