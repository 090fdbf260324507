"""Stage `code`: list the code that each stage runs, so that a stage is stale when its own code has changed.

    python -m stages.code

Writes data/code/<module>.txt for each module of stages/: a line for each file that it imports, directly or not, with
its hash as `sha256sum` prints it. What is named in a text (`module:object`, or a module that is
run) counts as imported; not so the engines for a stage that asks with infer.backend alone, which depends on that one's
file. Files beside a module that are no Python, such as the report's assets, go with it.
data/code/methods/<method>.{select,fit}.txt are the same for each method of training: the stages that select and train
list none of them, and have the hash of their own one in the recipe.
"""

import argparse
import ast
import re
from functools import cache
from pathlib import Path

from audio_reasoning.algorithms.methods import FITTINGS, SELECTIONS
from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_dir, sha256_file
from audio_reasoning.engines.engine import ENGINES
from stages.layout import METHODS_CODE

ROOMS = ("audio_reasoning", "stages")
CODE = Path("data/code")
ONE_ENGINE = ("answer", "optimize_prompt", "training_generate")  # depend on ${code.engine} in dvc.yaml
_NAMED = re.compile(r"(audio_reasoning(?:\.\w+)+)(?::\w+)?")


def _file(part: str) -> Path:
    return Path(*part.partition(":")[0].split(".")).with_suffix(".py")


_ENGINES = {_file(part) for part in ENGINES.values()}
_METHODS = {
    f"{name}.{stage}": _file(part)
    for stage, parts in (("select", SELECTIONS), ("fit", FITTINGS))
    for name, part in parts.items()
}


def find(module: str) -> Path | None:
    """The file of a module of ours, None if there is none."""
    path = Path(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def imports(path: Path) -> frozenset[Path]:
    """Our files that a file imports, wherever in it, with the packages that they are in."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and (part := _NAMED.fullmatch(str(node.value))):
            names.add(part[1])
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] in ROOMS:
            files |= {file for i in range(len(parts)) if (file := find(".".join(parts[: i + 1])))}
    return frozenset(files)


@cache
def closure(path: Path) -> frozenset[Path]:
    """A file and all of ours that it needs to run; without modules that are nothing but their docstring."""
    seen, waiting = set[Path](), [path]
    loaded = {*_METHODS.values()} - {path}
    while waiting:
        file = waiting.pop()
        if file not in seen | loaded:
            seen.add(file)
            waiting += imports(file)
    return frozenset(file for file in seen if not _decides_nothing(file))


@cache
def _decides_nothing(file: Path) -> bool:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def code_of(path: Path) -> list[Path]:
    """The files that a stage's module runs, in order."""
    code = closure(path)
    needed = code.union(*(_data_beside(file.parent) for file in code))
    return sorted(needed - _ENGINES if path.stem in ONE_ENGINE else needed)


@cache
def _data_beside(folder: Path) -> frozenset[Path]:
    """Files that are no Python, in this folder or in one below it that is no package."""
    return frozenset(
        file
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc") and _package(file) == folder and folder.parts[1:]
    )


def _package(file: Path) -> Path:
    folder = file.parent
    while not (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    hashes = cache(sha256_file)
    with atomic_dir(CODE) as folder:
        for path in Path("stages").glob("[!_]*.py"):
            lines = [f"{hashes(file)}  {file}\n" for file in code_of(path)]
            (folder / f"{path.stem}.txt").write_text("".join(lines), encoding="utf-8")
        (folder / METHODS_CODE.name).mkdir()
        for name, path in _METHODS.items():
            lines = [f"{hashes(file)}  {file}\n" for file in code_of(path)]
            (folder / METHODS_CODE.name / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
