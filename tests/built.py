"""The real pipeline as if it had run: a copy of the repository in which every output is there, with nothing in it.

What a change makes stale can so be asked of DVC in seconds: `Built.stale` gives the stages that `dvc repro` would run.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
from dvc.repo import Repo
from dvc.stage import PipelineStage

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Built:
    """A repository at `root`, in which nothing is stale until a file is changed."""

    root: Path

    def changed(self) -> set[str]:
        """The stages whose own dependencies or outputs changed since they last ran: those that `dvc status` names."""
        return set(Repo(str(self.root)).status())

    def stale(self, *names: str, change: Callable[[str], str] = lambda text: f"{text}\n# edited\n") -> set[str]:
        """What a change of these files makes stale: the stages that read them, and what reads their outputs.

        The change is undone.
        """
        return self.below(self.directly_stale(*names, change=change))

    def directly_stale(self, *names: str, change: Callable[[str], str] = lambda text: f"{text}\n# edited\n") -> set[str]:
        """The stages that themselves read these files."""
        kept = {self.root / name: (self.root / name).read_text() for name in names}
        for path, text in kept.items():
            path.write_text(change(text))
        try:
            return self.changed()
        finally:
            for path, text in kept.items():
                path.write_text(text)

    def below(self, stages: set[str]) -> set[str]:
        """These stages and all that read what they make, directly or not."""
        graph = Repo(str(self.root)).index.graph
        read_by = {stage: nx.ancestors(graph, stage) for stage in graph if stage.addressing in stages}
        return stages | {reader.addressing for readers in read_by.values() for reader in readers}


def build(root: Path) -> Built:
    """Copy the working tree's tracked and new files to `root`, make every output there, and have DVC take note."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if name != "dvc.lock" and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    repo = Repo(str(root))
    for stage in repo.index.stages:
        assert isinstance(stage, PipelineStage)
        for out in stage.outs:
            path = Path(out.fs_path)
            file = path if path.suffix else path / "content"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"made by {stage.addressing}\n")
    repo.commit(force=True)
    return Built(root)
