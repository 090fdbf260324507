"""The shape of the project: who may import whom, and stages that declare all that decides their result."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from dvc.stage import PipelineStage

from audio_reasoning.core.runs import named_run
from stages import answer, check, code, score
from stages.declared import RUNS
from stages.layout import METHODS_CODE

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "core": set(),
    "tasks": {"core", "prompts", "families"},
    "conditions": {"core"},
    "prompts": {"core"},
    "families": {"core"},
    "engines": {"core", "tasks", "conditions", "prompts", "families"},
    "training": {"core", "families"},
    "metrics": {"core", "tasks", "conditions"},
    "judging": {"core", "tasks", "metrics", "engines", "render"},
    "algorithms": {"core", "tasks", "conditions", "prompts", "families", "engines", "training", "metrics"},
    "optimizers": {"core", "tasks", "conditions", "prompts", "families", "engines", "metrics"},
    "render": {"core", "tasks", "metrics"},
}
LIBRARY = ROOT / "audio_reasoning"
MODULES = sorted([*LIBRARY.rglob("*.py"), *(ROOT / "stages").rglob("*.py")])


@cache
def pipeline() -> list[PipelineStage]:
    return [stage for stage in Repo(str(ROOT)).index.stages if isinstance(stage, PipelineStage)]


@cache
def parameters() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def stage_module(stage: PipelineStage) -> Path:
    words = shlex.split(str(stage.cmd))
    assert words[:2] == ["python", "-m"], stage.cmd
    module = code.find(words[2])
    assert module, f"{stage.addressing} runs {words[2]}, which does not exist"
    return module


def declared_in_code(stage: PipelineStage) -> list[str]:
    """The keys that a stage can read: of its one `load_params(…)` call, or by run in `answer` and `score`."""
    module = stage_module(stage)
    if module.stem == "answer":
        return list(answer.reads(named_run(shlex.split(str(stage.cmd))[3])))
    if module.stem == "score":
        return list(score.reads(score.arguments().parse_args(shlex.split(str(stage.cmd))[3:])))
    calls = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_params"
    ]
    assert len(calls) <= 1, f"{module}: more than one load_params"
    keys = [ast.unparse(arg).strip("f\"'") for call in calls for arg in call.args[1:]]
    return [
        one for key in keys for one in (RUNS if key == "*RUNS" else [key]) if one != "runtime"
    ]  # no stage tracks it


def leaves(node: object, prefix: str = "") -> set[str]:
    if not isinstance(node, dict):
        return {prefix.removesuffix(".")}
    return set().union(*(leaves(value, f"{prefix}{key}.") for key, value in node.items()))


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = path.relative_to(LIBRARY).parts[0]
    if room == "__init__.py":
        return
    for target in code.imports(path.relative_to(ROOT)):
        if target.name == "__init__.py" and len(target.parts) == 2:
            continue
        assert target.parts[0] == "audio_reasoning", f"{path} imports {target}: nothing imports the stages"
        assert target.parts[1] == room or target.parts[1] in MAY_IMPORT[room], f"{path} imports {target}"


def test_scoring_never_imports_a_model() -> None:
    for module in (m for room in ("metrics", "render") for m in Path("audio_reasoning", room).rglob("*.py")):
        rooms = {file.parts[1] for file in code.closure(module)}
        assert not rooms & {"engines", "families", "training"}, module


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_the_library_is_told_where_files_are(path: Path) -> None:
    text = path.read_text()
    assert "DVC_ROOT" not in text, f"{path} looks for the project"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), node.args[:1]
            named = called == "Path" and given and isinstance(given[0], ast.Constant | ast.JoinedStr)
            assert not named and called not in ("Path.cwd", "os.getcwd"), f"{path}:{node.lineno} names a place"


def test_every_stage_depends_on_its_own_code_and_answers_on_the_engine_that_is_chosen() -> None:
    for stage in pipeline():
        named = {dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)}
        module = stage_module(stage).stem
        if module not in ("code", "parameters"):  # which the others wait for
            lists = {f"{code.CODE}/{module}.txt"} | ({str(METHODS_CODE)} if module == "recipes" else set())
            assert {name for name in named if name.startswith(str(code.CODE))} == lists
        engines = {name for name in named if name.startswith("audio_reasoning/engines/")}
        assert bool(engines) == (module in code.ONE_ENGINE), stage.addressing


@pytest.mark.parametrize("stage", pipeline(), ids=lambda s: s.addressing)
class TestStage:
    def test_declares_exactly_the_parameters_it_can_read(self, stage: PipelineStage) -> None:
        in_dvc: set[str] = set()
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                for name in dep.params:
                    in_dvc |= leaves_below(parameters(), name)
        in_code: set[str] = set()
        for key in declared_in_code(stage):
            name = re.sub(r"\{[^}]*\}", stage.addressing.partition("@")[2], key)
            in_code |= leaves_below(parameters(), name)
        assert in_code == in_dvc


def test_every_target_checks_the_parameters_before_anything_else() -> None:
    graph = Repo(str(ROOT)).index.graph
    for targets in (None, *([stage] for stage in graph)):
        first = plan_repro(graph, targets)[0]
        assert first.addressing == "parameters", f"{targets} can run without stage parameters"
        if targets and targets[0].addressing != "parameters":
            assert "code" in {stage.addressing for stage in plan_repro(graph, targets)}


def test_the_check_finds_nothing_wrong_with_the_pipeline_as_it_is_cloned() -> None:
    assert check._stage_problems() == []


def leaves_below(values: dict, name: str) -> set[str]:
    node: object = values
    for part in name.split("."):
        assert isinstance(node, dict) and part in node, f"no parameter {name}"
        node = node[part]
    return leaves(node, f"{name}.")


def test_no_stage_tracks_runtime_parameters() -> None:
    for stage in pipeline():
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                assert not [name for name in dep.params if name.startswith("runtime")]
