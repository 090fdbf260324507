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
from dvc.stage import PipelineStage

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "common": set(),
    "data": {"common"},
    "serve": {"common"},
    "prompt": {"common"},
    "model": {"common"},
    "pretrain": {"common", "data", "prompt", "model"},
    "infer": {"common", "prompt", "model", "serve"},
    "evaluate": {"common", "infer"},
    "arms": {"common", "evaluate", "infer"},
    "errors": {"common", "evaluate"},
    "votes": {"common", "evaluate"},
    "submission": {"common", "evaluate"},
    "plots": {"common", "evaluate"},
    "report": {"common", "evaluate"},
    "judge": {"common", "serve", "evaluate"},
    "rest": {"common", "infer", "model", "serve", "prompt", "evaluate"},
}
SCORING = ("evaluate", "arms", "errors", "votes", "submission", "plots", "report")
MODULES = sorted((ROOT / "stages").rglob("*.py"))


def find(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def imports(path: Path) -> frozenset[Path]:
    """The project's files that `path` imports, packages on the way included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        parts = name.split(".")
        found |= {f for i in range(len(parts)) if (f := find(".".join(parts[: i + 1])))}
    return frozenset(found)


def closure(path: Path) -> set[Path]:
    seen: set[Path] = set()
    todo = [path]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += imports(current)
    return seen


@cache
def pipeline() -> list[PipelineStage]:
    return [stage for stage in Repo(str(ROOT)).index.stages if isinstance(stage, PipelineStage)]


def stage_module(stage: PipelineStage) -> Path:
    words = shlex.split(str(stage.cmd))
    assert words[:2] == ["python", "-m"], stage.cmd
    module = find(words[2])
    assert module, f"{stage.addressing} runs {words[2]}, which does not exist"
    return module


def declared_in_code(module: Path) -> list[str]:
    """The literal or templated keys of a stage's one `load_params(…)` call."""
    calls = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_params"
    ]
    assert len(calls) <= 1, f"{module}: more than one load_params"
    return [ast.unparse(arg).strip("f\"'") for call in calls for arg in call.args]


def leaves(node: object, prefix: str = "") -> set[str]:
    if not isinstance(node, dict):
        return {prefix.removesuffix(".")}
    return set().union(*(leaves(value, f"{prefix}{key}.") for key, value in node.items()))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_an_area_imports_only_what_it_may(path: Path) -> None:
    area = path.relative_to(ROOT / "stages").parts[0]
    if area not in MAY_IMPORT:
        assert path.parent == ROOT / "stages", f"stages/{area} is missing from the table of who may import whom"
        return
    for target in imports(path):
        parts = target.relative_to(ROOT / "stages").parts
        if len(parts) > 1:
            assert parts[0] == area or parts[0] in MAY_IMPORT[area], f"{path} imports {target}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_scoring_never_imports_a_model() -> None:
    for module in (m for area in SCORING for m in (ROOT / "stages" / area).glob("*.py")):
        areas = {p.relative_to(ROOT / "stages").parts[0] for p in closure(module)}
        assert not areas & {"model", "serve", "pretrain"}, module


@pytest.mark.parametrize("stage", pipeline(), ids=lambda s: s.addressing)
class TestStage:
    def test_says_what_it_does(self, stage: PipelineStage) -> None:
        assert stage.desc and len(stage.desc) > 20

    def test_depends_on_all_the_code_it_imports(self, stage: PipelineStage) -> None:
        deps = [Path(dep.fs_path) for dep in stage.deps if not isinstance(dep, ParamsDependency)]
        for file in closure(stage_module(stage)):
            covered = any(file == dep or dep in file.parents for dep in deps)
            assert covered or decides_nothing(file), (
                f"{stage.addressing} imports {file.relative_to(ROOT)}, which none of its deps covers"
            )

    def test_declares_exactly_the_parameters_it_can_read(self, stage: PipelineStage) -> None:
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        in_dvc: set[str] = set()
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency):
                for name in dep.params:
                    in_dvc |= leaves_below(values, name)
        in_code: set[str] = set()
        for key in declared_in_code(stage_module(stage)):
            name = re.sub(r"\{[^}]*\}", stage.addressing.partition("@")[2], key)
            in_code |= leaves_below(values, name)
        assert in_code == in_dvc


def decides_nothing(file: Path) -> bool:
    """Whether a module is nothing but its docstring."""
    body = ast.parse(file.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


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
