"""A mistyped parameter stops every way to run the pipeline before anything else runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline import Pipeline, copy_files

TYPO = ("-S", "+infer.temprature=0.7", "headline")
HINT = 'params.yaml: unknown parameter infer.temprature; did you mean "temperature"?'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A repository of the files of the working tree, in which only the parameters have been checked."""
    root = tmp_path_factory.mktemp("parameters")
    copy_files(root)
    project = Pipeline(root)
    project.run("git", "init", "-q")
    project.run("dvc", "repro", "parameters")
    project.commit("checked")
    return project


@pytest.fixture(autouse=True)
def _as_committed(project: Pipeline) -> Iterator[None]:
    yield
    project.run("git", "checkout", "-q", ".")


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--temp",)], ids=["workspace", "temporary"])
def test_an_experiment_with_a_mistyped_parameter_fails_before_anything_runs(
    project: Pipeline, how: tuple[str, ...]
) -> None:
    done = project.run("dvc", "exp", "run", *how, *TYPO, check=False)
    assert done.returncode
    assert HINT in done.stdout + done.stderr
    assert "Running stage 'parameters'" in done.stdout
    assert "acquire" not in done.stdout and "Ran experiment" not in done.stdout


@pytest.mark.slow
def test_a_queued_experiment_with_a_mistyped_parameter_fails(project: Pipeline) -> None:
    project.run("dvc", "exp", "run", "--queue", "--name", "typo", *TYPO)
    project.run("dvc", "exp", "run", "--run-all", check=False)
    assert "Failed" in project.run("dvc", "queue", "status").stdout
    assert HINT in project.run("dvc", "queue", "logs", "typo").stdout


def test_a_mistyped_line_in_the_file_fails(project: Pipeline) -> None:
    path = Path(project.root, "params.yaml")
    path.write_text(path.read_text().replace("  temperature:", "  temprature: 0.7\n  temperature:", 1))
    done = project.run("dvc", "repro", "headline", check=False)
    assert done.returncode and HINT in done.stdout + done.stderr and "acquire" not in done.stdout


@pytest.mark.slow
def test_a_valid_experiment_leaves_params_yaml_byte_for_byte_what_compose_writes(project: Pipeline) -> None:
    composed = Path(project.root, "params.yaml").read_bytes()
    done = project.run("dvc", "exp", "run", "parameters")
    assert "Running stage" not in done.stdout
    assert Path(project.root, "params.yaml").read_bytes() == composed
