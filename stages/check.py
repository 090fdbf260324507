"""Look for mistakes before anything expensive: parameters, questions, prompts, and what each stage declares.

python -m stages.check
"""

import argparse
from pathlib import Path

from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import read_json
from audio_reasoning.core.hub import is_commit
from audio_reasoning.core.plugins import load_object
from audio_reasoning.core.runs import BASE
from audio_reasoning.engines import endpoint
from audio_reasoning.judging import endpoint as judge_endpoint
from audio_reasoning.metrics.dropped import dropped_ids
from audio_reasoning.metrics.inputs import some
from audio_reasoning.optimizers.proposers.language_model import needs
from audio_reasoning.optimizers.target import check_target
from audio_reasoning.prompts.aliases import missing_links
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.tasks.files import check_pinned, questions_by_split
from audio_reasoning.tasks.mmar_schema import SPLITS
from audio_reasoning.tasks.params import FilesSource, MiniSource, Source
from stages.compose import overridden
from stages.layout import PROMPTS, QUESTIONS
from stages.models import recipes
from stages.params import PARAMS
from stages.plan import Here, read_measured
from stages.plan_steps import steps
from stages.plan_table import summary
from stages.project import Project, load_project
from stages.training_prompt import training_prompt


def problems() -> list[str]:
    """Every mistake found, each one a message that says how to mend it."""
    try:
        params = load_project()
    except UserError as error:
        return [str(error)]  # nothing else can be judged without parameters
    return [
        *_source_problems(params),
        *_prompt_problems(params),
        *_backend_problems(params),
        *_part_problems(params),
        *_training_problems(params),
        *_submission_problems(params),
        *_judge_problems(params),
        *_optimize_problems(params),
        *_stage_problems(),
    ]


def _source_problems(params: Project) -> list[str]:
    """Files that are missing or have changed since they were pinned: no stage depends on them, so DVC cannot tell."""
    faults = []
    for name, source in params.data.sources.items():
        if isinstance(source, FilesSource):
            try:
                check_pinned(source)
            except UserError as error:
                faults.append(f"data.sources.{name}: {error}")
    return faults


def _prompt_problems(params: Project) -> list[str]:
    faults = []
    trained_under = {recipe.prompt for recipe in recipes(params).values()}
    for name in sorted({*params.prompts.variants, *trained_under}):
        if name in params.optimize and not (PROMPTS / f"{name}.yaml").is_file():
            continue  # a search is still to write it
        try:
            faults += missing_links(load_prompt(name, PROMPTS), PROMPTS)
            if name in trained_under:
                training_prompt(name)
        except UserError as error:
            faults.append(str(error))
    return faults


def _backend_problems(params: Project) -> list[str]:
    if params.thinking.force_answer and params.infer.backend in ("openai", "transformers"):
        return [
            f"thinking.force_answer needs infer.backend vllm, found {params.infer.backend}: set it to false "
            "(thinking.reask_truncated asks again on any backend)"
        ]
    if params.infer.backend == "openai":
        return endpoint.unset(*endpoint.ENDPOINT)
    if params.infer.backend == "transformers" and params.model.kind == "hub":
        return ["infer.backend transformers runs local checkpoints only; use vllm for model.kind hub"]
    return []


def _part_problems(params: Project) -> list[str]:
    """Parts that parameters name as module:object and that are not there."""
    named = {f"data.sources.{name}.loader": source.loader for name, source in params.data.sources.items()}
    named |= {f"arms.others.{name}": part for name, part in params.arms.others.items()}
    named |= {f"models.{name}.method": one.method for name, one in params.models.items()}
    faults = []
    for where, name in {"infer.backend": params.infer.backend, **named}.items():
        try:
            if ":" in name:
                load_object(name, where)
        except UserError as error:
            faults.append(str(error))
    return faults


def _training_problems(params: Project) -> list[str]:
    """What would stop a training hours later: no questions to train on or to select by, or no tokens."""
    if not params.models:
        return []
    faults = []
    for split in ("train", "dev"):
        counts = [_questions(name, source).get(split, 0) for name, source in params.data.sources.items()]
        if not any(count is None or count > 0 for count in counts):
            faults.append(
                f"models: no source in data.sources has {split} questions, which training needs; "
                f"add one, give questions a field `split` with {split}, or choose the preset models=none"
            )
    if not faults:
        faults += _chain_problems(params)
    if params.infer.backend == "openai":
        faults.append("models: infer.backend openai serves no adapters of ours; choose the preset models=none")
    return faults


def _chain_problems(params: Project) -> list[str]:
    """A model that would find no fresh problems left: each one looks only when it starts."""
    depths, needed = {BASE: 0}, {BASE: 0}
    for name, recipe in recipes(params).items():
        depths[name] = depths[params.models[name].start] + 1
        needed[name] = recipe.generate.problems * (depths[name] if recipe.generate.fresh else 1)
    there, most = _train_questions(params), max(needed, key=needed.__getitem__)
    if there is None or there >= needed[most]:
        return []
    return [
        f"models.{most} needs {needed[most]} train questions (generate.problems, times its depth in the tree "
        f"where they are fresh), and data.sources have {there} (`dvc repro questions` counts those of a source that "
        "has changed): add some, lower generate.problems, or set generate.fresh to false"
    ]


def _train_questions(params: Project) -> int | None:
    """How many train questions the sources have; None where that of one is not known yet."""
    counts = [_questions(name, source).get("train", 0) for name, source in params.data.sources.items()]
    return None if None in counts else sum(count for count in counts if count)


def _questions(name: str, source: Source) -> dict[str, int | None]:
    """How many questions a source has by split: as declared, read, or gathered; None where that is not known yet.

    A question's own `split` overrides its source's. A source that can be neither read nor counted as it was gathered
    has questions of its own split, and of no other that is known.
    """
    if isinstance(source, MiniSource):
        return {"train": source.train, "dev": source.dev, "test": source.test}
    if isinstance(source, FilesSource):
        try:
            return dict[str, int | None](questions_by_split(source))
        except UserError:
            pass  # which `_source_problems` tells
    manifest = QUESTIONS / "manifest.json"
    splits = read_json(manifest)["splits"] if manifest.is_file() else {}
    if any(name in split["by_source"] for split in splits.values()):
        return {split: summary["by_source"].get(name, 0) for split, summary in splits.items()}
    return dict.fromkeys([source.split] if isinstance(source.split, str) else SPLITS)


def branches(params: Project) -> list[str]:
    """Hub revisions that are no commits: each is resolved once, but elsewhere or later it may stand for another one."""
    given = [("model.revision", params.model.revision)] if params.model.kind == "hub" else []
    for name, source in params.data.sources.items():
        if revision := getattr(source, "revision", ""):
            given.append((f"data.sources.{name}.revision", revision))
    return [
        f"{key} is {revision}, a branch or a tag, which can be moved: the stage that resolves it says which commit it "
        f"stands for; set {key} to that commit, and others get the same"
        for key, revision in given
        if not is_commit(revision)
    ]


def _submission_problems(params: Project) -> list[str]:
    """A run that cannot be submitted: what submits it comes last, and would find it hours later."""
    if params.infer.n == 1 or "@" in params.submission.run:
        return []
    return [
        f"submission.run: infer.n {params.infer.n} gives {params.submission.run} several answers a question, and "
        "one is submitted; submit a vote (<variant>@vote)"
    ]


def _judge_problems(params: Project) -> list[str]:
    """An address and a key that a judge model needs; `_stage_problems` finds that its rubrics are missing."""
    if params.judge.kind != "endpoint" or not params.judge.runs:
        return []
    return endpoint.unset(*judge_endpoint.ENDPOINT)


def _optimize_problems(params: Project) -> list[str]:
    """Prompts that searches cannot start from, or would overwrite; an address and a key that a proposer needs."""
    faults = []
    for name, search in params.optimize.items():
        try:
            check_target(PROMPTS / f"{name}.yaml")
            if search.start not in params.optimize:
                load_prompt(search.start, PROMPTS)
        except UserError as error:
            faults.append(str(error))
        if search.proposer.kind == "endpoint":
            faults += endpoint.unset(*needs(name))
    return faults


def _stage_problems() -> list[str]:
    """Parameters and source files that dvc.yaml declares and that do not exist (DVC notices hours later)."""
    try:
        stages = Repo().index.stages
    except DvcException as error:
        return [f"dvc.yaml: {error}"]
    faults = []
    absent: dict[str, list[str]] = {}  # the stages that depend on what is not there, by its path
    outputs = {Path(out.fs_path) for stage in stages for out in stage.outs}
    for stage in stages:
        if not isinstance(stage, PipelineStage):
            continue
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                missing = sorted(set(dep.params) - set(dep.read_params()))
                faults += [f"dvc.yaml: stage {stage.addressing} declares {p}, which {dep} lacks" for p in missing]
            elif not _exists_or_is_made(Path(dep.fs_path), outputs):
                absent.setdefault(dep.def_path, []).append(stage.addressing)
    for path, names in absent.items():
        more = f" and {len(names) - 1} more" if names[1:] else ""
        faults.append(f"dvc.yaml: stage {names[0]}{more} depends on {path}, which does not exist")
    return faults


def _exists_or_is_made(path: Path, outputs: set[Path]) -> bool:
    return path.exists() or any(out == path or path in out.parents or out in path.parents for out in outputs)


def check() -> None:
    """Say that all is well, and what else to know; UserError with every problem."""
    faults = problems()
    if faults:
        raise UserError(f"{len(faults)} problem(s) before anything ran\n" + "\n".join(f"  - {p}" for p in faults))
    print("check: parameters, questions, prompts and stages are sound")
    if line := _plan():
        print(line)
    if ids := dropped_ids(QUESTIONS):
        print(
            f"note: {len(ids)} questions of the test set are dropped ({some(ids)}): a submission of these runs lacks "
            "them, and is refused; take corrected metadata (questions_file of a hub's source, docs/own-questions.md)"
        )
    for warning in branches(load_project()):
        print(f"warning: {warning}")
    if keys := overridden():
        print(
            f"note: {PARAMS} has values of its own, not those of conf/: {', '.join(keys)}; "
            "`audio-reasoning compose --write` takes what conf/ says"
        )


def _plan() -> str:
    """What it will take, in a line; prompts' lengths are reckoned here, `audio-reasoning plan` counts their tokens."""
    project = load_project()
    known = Here(project, exact=False, measured=read_measured(project))
    if any(not (PROMPTS / f"{search.start}.yaml").is_file() for search in project.optimize.values()):
        return ""
    return summary(steps(project, recipes(project), known), known)


@stage_main
def main() -> None:
    """Check everything."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    check()


if __name__ == "__main__":
    main()
