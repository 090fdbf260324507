"""The real pipeline as if it had run: every output is there, with nothing to the point in it.

What a change makes stale can so be asked of DVC in seconds.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import pytest
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dump_yaml

from stages import code
from tests.pipeline import copy_files


def commented(text: str) -> str:
    """The text with a comment below, in Python's way, YAML's and CSS's."""
    return f"{text}\n# /* edited */\n"


class Built:
    """A copy of the working tree at `root`, with an output of every stage; nothing is stale until a file is changed."""

    def __init__(self, root: Path) -> None:
        copy_files(root, lambda name: name == "dvc.lock")
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        self.root = root
        for stage in ("code", "recipes"):
            subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=root, check=True)
        repo = Repo(str(root))
        self.graph: nx.DiGraph = repo.index.graph
        self.stages = [stage for stage in self.graph if isinstance(stage, PipelineStage)]
        for stage in self.stages:
            for out in stage.outs:
                path = Path(out.fs_path)
                if path.exists():  # the lists of code and the recipes, for which there is no stand-in
                    continue
                file = path if path.suffix else path / "content"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"made by {stage.name}\n")
        with repo.lock:
            for stage in self.stages:
                stage.save(run_cache=False)
                stage.commit()
        locked = {name: entry for stage in self.stages for name, entry in to_lockfile(stage).items()}
        dump_yaml(root / "dvc.lock", {"schema": "2.0", "stages": locked})

    def status(self) -> set[str]:
        """What `dvc status` says of the whole, from the files alone."""
        return {name.rpartition(":")[2] for name in Repo(str(self.root)).status()}

    def readers(self, name: str) -> set[str]:
        """The stages of which DVC says that a dependency has changed, when the file is, but for the stage `code`.

        That one runs first, here too; the change, a comment, is undone.
        """
        path = self.root / name
        before = {file: file.read_text() for file in (path, *self.root.glob("data/code/**/*.txt"))}
        path.write_text(commented(before[path]))
        self.list_code()
        try:
            return {stage.name for stage in self.stages if _reads_changed(stage, [*before])}
        finally:
            for file, text in before.items():
                file.write_text(text)

    def list_code(self) -> None:
        """Run the stage `code`, as `dvc repro` does first: in this process, which has read the imports of each file.

        A comment changes none of them.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            patch.setattr(sys, "argv", ["code"])
            code.main()

    def stale(self, name: str) -> set[str]:
        """The same, with all that reads what those stages write, directly or not."""
        return self.after(self.readers(name))

    def after(self, names: set[str]) -> set[str]:
        """The stages of these names, with all that reads what they write; a matrix may be named as a whole."""
        first = {stage for stage in self.stages if {stage.name, stage.name.partition("@")[0]} & names}
        return {stage.name for stage in first.union(*(nx.ancestors(self.graph, stage) for stage in first))}


def _reads_changed(stage: PipelineStage, files: Sequence[Path]) -> bool:
    holding = {str(path) for file in files for path in (file, *file.parents)}
    return stage.name != "code" and any(dep.fs_path in holding and dep.status() for dep in stage.deps)
