"""What a model card tells, gathered from the project's parameters, models and metrics; nothing is computed anew."""

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from audio_reasoning.core.files import read_json
from audio_reasoning.core.models import CONFIG, adapter_identity
from audio_reasoning.core.runs import BASE, Run
from audio_reasoning.metrics.results import Metrics, existing_result
from audio_reasoning.metrics.training_results import GateVerdict, TrainingSummary
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.render.card_facts import Facts, Source, Step
from audio_reasoning.render.card_loading import loading
from stages.layout import PROMPTS, QUESTIONS, SOURCES, TRAINING_METRICS, metrics_file, model_dir, repository
from stages.models import recipes
from stages.project import Project

_COUNTS = {  # of what `training_select` and `training_fit` wrote, and how a card names them
    "generation": {"problems": "problems sampled", "candidates": "samples", "candidates_correct": "of these right"},
    "train": {"traces": "traces", "steps": "steps", "adapter_parameters": "parameters", "adapted_matrices": "matrices"},
}
_OWN_LICENSE = "apache-2.0"  # of what this project makes from nothing: LICENSE


def facts_of(
    model: str,
    kind: Literal["merged", "adapter", "base"],
    base: Path,
    checkpoint: Path,
    adapter: Path | None,
    project: Project,
) -> Facts:
    """All that is known of a model that is exported: `checkpoint` is where the files of its `base` are."""
    hashed = adapter_identity(adapter).get("adapter")
    pointer = read_json(base / "pointer.json") if (base / "pointer.json").is_file() else None
    steps = list(_steps(model, project))[::-1] if adapter else []
    trained = steps[-1].name if steps else BASE
    metrics, stale = _metrics(trained, hashed, project)
    summary = existing_result(TRAINING_METRICS / "summary.json", TrainingSummary)
    recipe = recipes(project).get(trained) if adapter else None
    prompt = load_prompt(recipe.prompt if recipe else project.headline.variant, PROMPTS)
    manifest = read_json(QUESTIONS / "manifest.json") if (QUESTIONS / "manifest.json").is_file() else None
    commit, changed = _commit()
    name = pointer["id"] if pointer else project.model.id
    revision = pointer["revision"] if pointer else None
    return Facts(
        name=model,
        kind=kind,
        profile=project.profile,
        base=name,
        base_revision=revision,
        license=_license(checkpoint) if pointer else _OWN_LICENSE,
        adapter=hashed,
        commit=commit,
        changed=changed,
        steps=steps,
        recipe=dict(_flat(recipe.model_dump(), "")) if recipe else {},
        sources=list(_sources(project, manifest)),
        removed=None if manifest is None else dict(Counter(row["why"] for row in manifest["removed"])),
        decontaminated=project.data.decontaminate.enabled,
        metrics=metrics,
        stale=stale,
        versus_base=[
            row for row in (summary.versus_base if summary else []) if row.b == trained and row.prompt in metrics
        ],
        trained_prompt=recipe.prompt if recipe else None,
        prompt=(prompt.name, prompt.system, prompt.user),
        sampling=_sampling(metrics, project),
        limits=list(_limits(project, kind)),
        loading=loading(
            kind,
            str(read_json(checkpoint / "config.json").get("model_type")),
            project.serve.dtype,
            project.serve.max_model_len,
            name,
            revision,
            read_json(adapter / CONFIG)["r"] if adapter else None,
        ),
    )


def _steps(model: str, project: Project) -> Iterator[Step]:
    """The models that led to the model, the last one first; one that was not accepted left its start's adapter."""
    while model != BASE:
        manifest = _json(model_dir(model) / "model.json")
        node, recipe = project.models.get(model), recipes(project).get(model)
        start = str(manifest.get("from") or (node.start if node else BASE))
        verdict = existing_result(TRAINING_METRICS / "gates" / f"{model}.json", GateVerdict)
        settings: dict[str, Any] = {}
        if node and recipe:
            settings = {"learning rate": recipe.learning_rate, "method": node.method, **node.options}
        counts = {
            label: row[key]
            for part, labels in _COUNTS.items()
            for row in [_json(TRAINING_METRICS / f"{part}_{model}.json")]
            for key, label in labels.items()
            if key in row
        }
        yield Step(model, start, settings, verdict, counts)
        model = start


def _metrics(model: str, adapter: str | None, project: Project) -> tuple[dict[str, Metrics], list[str]]:
    """A model's metrics by prompt, and the prompts of which they are another adapter's."""
    prompts = project.prompts.variants if model == BASE else project.training.eval_prompts
    found = {prompt: existing_result(metrics_file(Run(prompt, model)), Metrics) for prompt in prompts}
    mine = {
        prompt: metrics
        for prompt, metrics in found.items()
        if metrics and all(run.get("model", {}).get("adapter") == adapter for run in metrics.run)
    }
    return mine, [prompt for prompt, metrics in found.items() if metrics and prompt not in mine]


def _sampling(metrics: Mapping[str, Metrics], project: Project) -> dict[str, Any]:
    """How the answers that were scored were sampled, by their own manifest; without one, as the parameters say."""
    keys = ("temperature", "top_p", "max_tokens", "seed")
    for run in (run for values in metrics.values() for run in values.run if "decoding" in run):
        return {key: run["decoding"][key] for key in keys if key in run["decoding"]}
    return {key: getattr(project.infer, key) for key in keys}


def _sources(project: Project, manifest: Mapping[str, Any] | None) -> Iterator[Source]:
    splits = manifest["splits"] if manifest else {}
    for name, source in project.data.sources.items():
        repo = str(getattr(source, "repo", "") or "")
        path = SOURCES / name / "provenance.json"
        counts = {split: int(row["by_source"].get(name, 0)) for split, row in splits.items()}
        where = repo or ("made by this project" if source.loader == "mini" else f"loader {source.loader}")
        yield Source(name, where, repo, read_json(path) if path.is_file() else None, counts)


def _flat(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _limits(project: Project, kind: str) -> Iterator[str]:
    if project.profile.startswith("mini"):
        yield "A tiny model and synthetic questions: its figures are evidence about mechanics, not about any 30B model."
    yield "It was tested on multiple-choice questions about one clip alone, of the test set above; nothing else was."
    yield "Bias and safety were not tested, nor accuracy under prompts that are not in the table."
    if kind != "base":
        yield "What is trained under one prompt can cost accuracy under another; the table has those that were tried."
    if kind == "adapter":
        yield "The adapter belongs to this base model at this commit; on another one it means nothing."


def _license(checkpoint: Path) -> str | None:
    """What the base's own card names as its licence."""
    from huggingface_hub import ModelCard

    if not (checkpoint / "README.md").is_file():
        return None
    try:
        license = ModelCard.load(checkpoint / "README.md", ignore_metadata_errors=True).data.to_dict().get("license")
    except ValueError:  # a card that is none
        return None
    return str(license) if license else None


def _commit() -> tuple[str | None, bool]:
    """The commit of the project, None where there is none, and whether files of it have changed since."""
    commit = _git("rev-parse", "--verify", "--quiet", "HEAD")
    return commit or None, bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repository(), capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _json(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}
