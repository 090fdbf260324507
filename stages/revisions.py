"""What a Git revision, or the workspace, holds: files in Git, and answers in DVC's cache."""

import hashlib
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_text
from audio_reasoning.core.parse import parse_json, parse_yaml
from stages.layout import QUESTIONS, run_at

WORKSPACE = "workspace"


@dataclass(frozen=True)
class Stored:
    """A file that DVC tracks: its hash, and where its bytes are, or None if they are not on this machine."""

    md5: str
    file: Path | None


@dataclass(frozen=True)
class Revision:
    """One side of a comparison; `name` is a Git revision, or "workspace" for the files that are here."""

    name: str
    repo: Repo

    def text(self, path: Path) -> str | None:
        """A file that is in Git at this revision; None if it is not there."""
        if self.name == WORKSPACE:
            return read_text(path) if path.is_file() else None
        shown = git("show", f"{self.name}:./{path}")
        return shown.stdout if shown.returncode == 0 else None

    def mapping(self, path: Path) -> dict[str, Any] | None:
        """The mapping in a JSON or YAML file that is in Git at this revision; None if the file is not there.

        Raises UserError, naming revision and file, for one that cannot be read, such as one with a merge's conflicts.
        """
        text = self.text(path)
        if text is None:
            return None
        where = f"{self.name}: {path}"
        content = parse_json(text, where) if path.suffix == ".json" else parse_yaml(text, where) or {}
        if not isinstance(content, dict):
            raise UserError(f"{where}: expected a mapping, found {type(content).__name__}")
        return content

    @cached_property
    def answers(self) -> dict[str, Stored]:
        """The answers to the test questions by each run, by its name."""
        by_run = {}
        for path, stored in self._outs.items():
            run = run_at(Path(path))
            if run:
                by_run[run.name] = stored
        return by_run

    @property
    def questions(self) -> Stored | None:
        """The test questions."""
        return self._outs.get(str(QUESTIONS / "test.jsonl"))

    @cached_property
    def _outs(self) -> dict[str, Stored]:
        """All that dvc.lock lists; in the workspace, what is really there."""
        stages = self._lock().get("stages", {}).values()
        outs = {out["path"]: out.get("md5", "") for stage in stages for out in stage.get("outs", [])}
        if self.name != WORKSPACE:
            return {path: Stored(md5, self._cached(md5)) for path, md5 in outs.items()}
        here = [Path(path) for path in outs if Path(path).is_file()]
        return {str(path): Stored(hashlib.md5(path.read_bytes()).hexdigest(), path) for path in here}

    def _lock(self) -> dict[str, Any]:
        """dvc.lock, by the loader in C where there is one: that of Python takes a second."""
        text = self.text(Path("dvc.lock"))
        try:
            lock = yaml.load(text or "", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError:
            return self.mapping(Path("dvc.lock")) or {}  # which tells what is wrong
        return lock if isinstance(lock, dict) else {}

    def _cached(self, md5: str) -> Path | None:
        path = Path(self.repo.cache.local.oid_to_path(md5)) if md5 else None
        return path if path and path.is_file() else None


def revision(name: str, repo: Repo) -> Revision:
    """The revision of that name; UserError if Git knows none."""
    if name != WORKSPACE and git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").returncode:
        raise UserError(
            f"Git knows no revision {name!r} here: give a commit, branch or tag, HEAD~1 and the like, or {WORKSPACE}"
        )
    return Revision(name, repo)


def git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """What Git says, whatever its exit code."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", errors="replace")
