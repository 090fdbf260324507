"""Where the project keeps what, below the folder that stages and commands run in.

A run's answers are in `data/<kind>/<model>/<prompt>.jsonl` and its scores in `metrics/<kind>/<model>/<prompt>.json`; in
a condition the prompt is followed by @ and its name.
"""

import os
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.runs import BASE, SAMPLES, VOTE, Run, named_run

QUESTIONS = Path("data/questions")
SOURCES = Path("data/sources")
AUDIO = Path("data/audio")
PROMPTS = Path("prompts")
MODELS = Path("models")
BASE_MODEL = MODELS / BASE
CANDIDATES = MODELS / "candidates"
TRAINING = Path("data/training")
RECIPES = Path("data/recipes")
GIVEN_TRACES = Path("data/traces/train.jsonl")
METHODS_CODE = Path("data/code/methods")
METRICS = Path("metrics")
TRAINING_METRICS = METRICS / "training"
OPTIMIZE_METRICS = METRICS / "optimize"
REPORTS = Path("reports")
REPORT_PAGE = REPORTS / "index.html"
REPORT_FILES = REPORTS / "report_files"  # not an out that others of reports/ overlap with


def repository() -> Path:
    """The repository that the user works in.

    DVC sets DVC_ROOT to it even in the temporary workspaces of `dvc exp run --temp` and `--queue`.
    """
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def cache_dir() -> Path:
    """The folder for resumable work outside DVC's outs, which temporary workspaces share with the repository."""
    return repository() / ".cache"


def model_dir(name: str) -> Path:
    """The folder of a model."""
    return MODELS / name


def answers_file(run: Run) -> Path:
    """A run's answers, one Rollout a line."""
    return Path("data", _kind(run), run.model, f"{_file_name(run)}.jsonl")


def manifest_file(run: Run) -> Path:
    """What made a run's answers: prompt, model, backend, decoding."""
    return answers_file(run).with_suffix(".run.json")


def metrics_file(run: Run) -> Path:
    """The scores of a run: accuracies, by category, and what became of the rest."""
    kind = {"answers": "scores", "samples": "votes"}.get(_kind(run), _kind(run))  # samples are scored to be voted on
    return METRICS / kind / run.model / f"{_file_name(run)}.json"


def run_at(path: Path) -> Run | None:
    """The run whose answers are in the file `path`, as `answers_file` gives it; None if it is no such file.

    >>> run_at(Path("data/controls/base/baseline@silence.jsonl")).name, run_at(Path("data/questions/test.jsonl"))
    ('baseline@silence', None)
    """
    try:
        run = named_run(f"{path.parent.name}/{path.stem}")
    except UserError:
        return None
    return run if answers_file(run) == path else None


def _kind(run: Run) -> str:
    """The folder of its kind below data/: answers, controls, samples or votes."""
    return {"": "answers", SAMPLES: "samples", VOTE: "votes"}.get(run.condition, "controls")


def _file_name(run: Run) -> str:
    return f"{run.variant}@{run.condition}" if run.condition else run.variant
