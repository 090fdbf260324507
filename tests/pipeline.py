"""Micro-size copies of the whole pipeline in temporary repositories, real server included."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from filelock import FileLock
from omegaconf import OmegaConf

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
VARIANTS = ("baseline", "structured_reasoning")
TEST_QUESTIONS = 208
PREPARED = ["parameters", "code", "acquire@mini", "questions", "probe", "base_model"]
MICRO = [
    "data.sources.mini.train=200",
    "data.sources.mini.dev=160",
    f"data.sources.mini.test={TEST_QUESTIONS}",
    "model.tiny.questions=1600",  # enough training to hear: training_check refuses a model that does not
    "model.tiny.steps=640",
    "model.tiny.short_share=0.47",  # 300 steps to hear, and what the long prompts need to be well-formed
    f"prompts.variants=[{','.join(VARIANTS)}]",
    "arms.variants=[]",
    "vote.variants=[]",
    "infer.max_tokens=48",
]


@dataclass(frozen=True)
class Pipeline:
    """A repository of its own; commands run as a user would run them."""

    root: Path

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(**env), capture_output=True, text=True, timeout=900
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def python(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *args, check=check, **env)

    def repro(self, *targets: str) -> list[str]:
        """Run `dvc repro`; the stages that were executed."""
        return sorted(re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro", *targets).stdout))

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", message)

    def start_repro(self, *targets: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["dvc", "repro", *targets],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "AUDIO_REASONING_")) and k != "PYTHONPATH"
        }
        path = f"{BIN}{os.pathsep}{kept['PATH']}"
        return {**kept, "PATH": path, "DVC_NO_ANALYTICS": "1", "AUDIO_REASONING_KEEP_SERVER": "1", **extra}

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        path = self.root / name
        changed = change(path.read_text())
        assert changed != path.read_text(), f"{name} did not change"
        path.write_text(changed)

    def set_parameters(self, overrides: Sequence[str]) -> None:
        """Write parameters into the profile, so that `dvc exp run`, which composes anew, runs with them too."""
        path = self.root / "conf/profile/mini.yaml"
        profile = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist([*overrides]))
        path.write_text("# @package _global_\n" + OmegaConf.to_yaml(profile))

    def json(self, name: str) -> dict:
        return json.loads((self.root / name).read_text())

    def cached_answers(self) -> int:
        return cached_answers(self.root / ".cache/responses.sqlite")

    def forget_answers(self) -> None:
        """As if no question had been asked: no predictions anywhere, no response cache, no run cache."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        outs = [out for stage in lock["stages"].values() for out in stage.get("outs", [])]
        hashes = [out["md5"] for out in outs if out["path"].startswith("data/answers/base/")]
        cached = [self.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:] for md5 in hashes]
        assert len(cached) == 2 * len(VARIANTS) and all(path.is_file() for path in cached)
        for path in [*cached, *self.root.glob(".cache/responses.sqlite*"), *self.root.glob("data/answers/base/*")]:
            path.unlink()
        shutil.rmtree(self.root / ".dvc/cache/runs", ignore_errors=True)

    def server_state(self) -> dict:
        return self.json(".cache/server/state.json")


def prepared(factory: pytest.TempPathFactory, name: str) -> Pipeline:
    """A repository of this name whose base model is trained, and with it all that comes before.

    That is done once in a session: the first process that asks for it does it, and all get copies.
    """
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    first, done = shared / "prepared", shared / "prepared.done"
    with FileLock(shared / "prepared.lock"):
        if not done.exists():
            shutil.rmtree(first, ignore_errors=True)
            assert create(first).repro("base_model", "probe") == sorted(PREPARED)
            done.touch()
    return Pipeline(Path(shutil.copytree(first, factory.mktemp(name) / "repository", symlinks=True)))


def copy_files(root: Path, left_out: Callable[[str], bool] = lambda name: False) -> None:
    """Copy the working tree's tracked and new files to `root`, but for those whose names are `left_out`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file() and not left_out(name):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)


def create(root: Path) -> Pipeline:
    """Copy the working tree's tracked and new files into a repository at `root`: at micro size, no self-training."""
    copy_files(root, lambda name: name == "dvc.lock" or (name.startswith("metrics/") and not name.endswith(".gitkeep")))
    pipeline = Pipeline(root)
    pipeline.set_parameters(MICRO)
    pipeline.edit("conf/config.yaml", lambda text: text.replace("models: rest_em", "models: none #"))
    # No search for prompts: each takes hundreds of answers, and has tests of its own.
    pipeline.edit("conf/config.yaml", lambda text: text.replace("optimize: bank", "optimize: none"))
    pipeline.python("-m", "stages.compose", "--write")
    pipeline.run("git", "init", "-q")
    pipeline.commit("Micro pipeline")
    return pipeline


def cached_answers(path: Path) -> int:
    """How many answers a response cache holds, which another process may be making or writing just now."""
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def wait_until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def heed_interrupts() -> None:
    """Undo what a shell does to its background jobs, and so to a test run in one: ignoring Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ended(pid: int) -> bool:
    """Whether a process is gone; who has adopted it may be slow to notice."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def kill_tree(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    os.killpg(process.pid, how)
    process.wait(timeout=120)
