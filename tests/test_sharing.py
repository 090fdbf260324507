"""What `dvc push` takes along: a clone that pulls shows every result, and has nothing to compute."""

import subprocess
from pathlib import Path

import pytest

from tests.built import Built
from tests.pipeline import ROOT, Pipeline

pytestmark = pytest.mark.slow


def push(root: Path, remote: Path) -> None:
    """Push all outputs of the repository at `root`, whose files Git holds afterwards, to a folder.

    The remote is in .dvc/config.local, which Git does not see: it is a place of one machine.
    """
    here = Pipeline(root)
    here.run("dvc", "remote", "add", "--local", "--force", "--default", "shared", str(remote))
    here.commit("All that Git holds")
    here.run("dvc", "push")


def pulled(root: Path, remote: Path, folder: Path, *targets: str) -> Pipeline:
    """A clone of the repository at `root` in `folder`, after `dvc pull`."""
    subprocess.run(["git", "clone", "-q", str(root), str(folder)], check=True)
    clone = Pipeline(folder)
    clone.run("dvc", "remote", "add", "--local", "--default", "shared", str(remote))
    clone.run("dvc", "pull", *targets)
    return clone


def assert_all_is_there(clone: Pipeline, root: Path) -> None:
    """The clone has what the repository has, without its response cache, and prints the same."""
    assert not (clone.root / ".cache").exists()
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.repro() == [], "nothing is computed"
    for name in (
        "reports/index.html",
        "reports/compare.md",
        "data/questions/test.jsonl",
        "data/questions/manifest.json",
    ):
        assert (clone.root / name).read_bytes() == (root / name).read_bytes(), name
    names = [
        sorted(str(file.relative_to(at)) for at in (here / "models",) for file in at.rglob("*"))
        for here in (root, clone.root)
    ]
    assert names[0] == names[1] != []
    here, metrics = Pipeline(root), ("dvc", "metrics", "show", "--json")
    assert clone.run(*metrics).stdout == here.run(*metrics).stdout != ""
    for command in ("results", "show"):  # which ends with 2 where a project has no such results, there and here
        told = [at.python("-m", "cli", command, check=False) for at in (clone, here)]
        assert told[0].stdout == told[1].stdout != "" and told[0].returncode == told[1].returncode, told[0].stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    """The pipeline of this repository, with its metrics, and the remote that it is pushed to.

    Of what DVC holds, each file is one line that names its stage.
    """
    built, remote = Built(tmp_path_factory.mktemp("built")), tmp_path_factory.mktemp("remote")
    push(built.root, remote)
    return built, remote


def test_a_clone_that_pulls_has_all_results_and_nothing_to_do(built: tuple[Built, Path], tmp_path: Path) -> None:
    origin, remote = built
    assert_all_is_there(pulled(origin.root, remote, tmp_path / "clone"), origin.root)


def test_each_output_comes_by_git_or_by_pull(built: tuple[Built, Path]) -> None:
    origin = built[0]
    listed = subprocess.run(["git", "ls-files"], cwd=origin.root, capture_output=True, text=True, check=True).stdout
    for out in (out for stage in origin.stages for out in stage.outs):
        path = Path(out.fs_path).relative_to(origin.root)
        in_git = any(Path(name).is_relative_to(path) for name in listed.splitlines())
        assert in_git != out.use_cache, f"{path} comes by both, or by neither"


def test_the_page_alone_can_be_pulled(built: tuple[Built, Path], tmp_path: Path) -> None:
    clone = pulled(built[0].root, built[1], tmp_path / "clone", "report")
    assert (clone.root / "reports/index.html").is_file() and not (clone.root / "models/base").exists()


def test_the_repository_names_no_place_of_one_machine() -> None:
    assert "remote" not in (ROOT / ".dvc/config").read_text()
