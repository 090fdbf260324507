"""The code that each stage depends on, written into dvc.yaml: what its module imports, directly or not.

    python -m stages.deps            # check dvc.yaml
    python -m stages.deps --write    # after imports have changed

What is named in a text (`module:object`, or a module that is run) counts as imported; of the engines, only the one that
infer.backend names. A folder stands for its files where a stage imports them all; else files are listed one by one, so
that a stage is run again only for code that it runs. Files beside a module that are no Python, such as the report's
assets, go with it.
"""

import argparse
import ast
import re
from functools import cache
from pathlib import Path

from audio_reasoning.core.errors import UserError, stage_main
from audio_reasoning.core.files import atomic_write, read_text
from audio_reasoning.engines.engine import ENGINES

ROOMS = ("audio_reasoning", "stages")
PIPELINE = Path("dvc.yaml")
_COMMAND = re.compile(r"\bpython -m (stages\.\w+)")
_NAMED = re.compile(r"(audio_reasoning(?:\.\w+)+)(?::\w+)?")
_ENGINES = {Path(*name.partition(":")[0].split(".")).with_suffix(".py") for name in ENGINES.values()}
_CHOSEN = "${code.engine}"  # DVC puts the parameter in: the file of the engine that infer.backend names
# Folders that go whole wherever one file of them is needed: DVC reads a line of its lock for each dependency.
_WHOLE = [
    Path("audio_reasoning", *name.split("/"))
    for name in ("core", "engines/server", "families", "prompts", "tasks/mini")
]
_CODE = re.compile(rf"^ +- (({'|'.join(ROOMS)})/|{re.escape(_CHOSEN)}$)")


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
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imports(file)
    return frozenset(file for file in seen if not _decides_nothing(file))


@cache
def _decides_nothing(file: Path) -> bool:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def code_of(path: Path, one_engine: bool) -> list[str]:
    """The dependencies on code of a stage whose module is `path`: folders that it needs whole, and files, in order.

    `one_engine`: it asks with infer.backend alone.
    """
    code = closure(path)
    needed = code.union(*(_data_beside(file.parent) for file in code))
    chosen = [_CHOSEN] if one_engine and needed & _ENGINES else []
    if chosen:
        needed -= _ENGINES
    library, stages = (Path(room) for room in ROOMS)
    return [*chosen, *_collapsed(library, needed), *sorted(str(file) for file in needed if stages in file.parents)]


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


def _collapsed(folder: Path, needed: frozenset[Path]) -> list[str]:
    inside = [file for file in needed if folder in file.parents]
    if not inside:
        return []
    everything = {file for file in folder.rglob("*.py") if not _decides_nothing(file)}
    if folder in _WHOLE or (len(everything) > 1 and everything <= needed and len(folder.parts) > 1):
        return [str(folder)]
    children = sorted({folder / file.relative_to(folder).parts[0] for file in inside})
    names: list[str] = []
    for child in children:
        whole = child.is_file() or not any(child.rglob("*.py"))  # a folder of data goes as one
        names += [str(child)] if whole else _collapsed(child, needed)
    return names


def rewritten(text: str) -> str:
    """The text of dvc.yaml with each stage's dependencies on code as its module's imports have them.

    The stage `parameters` has none: its output is always the same, and what it checks each stage checks for itself.
    """
    lines: list[str] = []
    module = ""
    for line in text.split("\n"):
        if command := _COMMAND.search(line):
            module = command[1]
        if _CODE.match(line):
            continue
        lines.append(line)
        if line.strip() == "deps:" and module != "stages.parameters":
            path = find(module)
            if path is None:
                raise UserError(f"{PIPELINE}: a stage runs {module}, which does not exist")
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            one_engine = path.name in ("answer.py", "rest_generate.py")
            lines += [f"{indent}- {name}" for name in code_of(path, one_engine)]
    return "\n".join(lines)


@stage_main
def main() -> None:
    """Write or check the dependencies on code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write dvc.yaml instead of comparing with it")
    args = parser.parse_args()
    text = read_text(PIPELINE)
    wanted = rewritten(text)
    if wanted != text:
        if not args.write:
            raise UserError(f"{PIPELINE}: code that stages depend on has changed; `python -m stages.deps --write`")
        with atomic_write(PIPELINE) as file:
            file.write(wanted)


if __name__ == "__main__":
    main()
