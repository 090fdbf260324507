"""What a change makes stale, on the real pipeline with everything built: what would run again, and nothing else."""

import pytest

from tests.built import Built

pytestmark = pytest.mark.slow

ANSWERING = {"answer", "answer_controls", "answer_samples", "answer_models"}
SCORING = {"score", "score_controls", "score_models"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("built"))


def kinds(stages: set[str]) -> set[str]:
    return {stage.partition("@")[0] for stage in stages}


def test_dvc_finds_nothing_stale_where_nothing_changed(built: Built) -> None:
    assert built.status() == set()


def test_dvc_itself_names_the_stages_that_read_a_changed_file(built: Built) -> None:
    path = built.root / "audio_reasoning/metrics/compare_params.py"
    before = path.read_text()
    path.write_text(f"{before}\n# edited\n")
    try:
        assert built.status() == {"code"}
        built.list_code()  # as `dvc repro` does before all else
        assert built.status() - {"code"} == {"compare"} == built.readers("audio_reasoning/metrics/compare_params.py")
    finally:
        path.write_text(before)
        built.list_code()


RESULTS = {  # the code and the schemas of stages that only look at answers
    "stages/compare.py": {"compare"},
    "stages/contrasts.py": {"compare"},
    "audio_reasoning/metrics/compare_params.py": {"compare"},
    "stages/arms.py": {"arms"},
    "audio_reasoning/metrics/places.py": {"arms"},
    "audio_reasoning/render/arms_table.py": {"arms"},
    "audio_reasoning/conditions/params.py": set(),  # the whole group: read where parameters are checked, no more
    "stages/vote.py": {"vote"},
    "audio_reasoning/metrics/voting.py": {"vote"},
    "audio_reasoning/metrics/vote_params.py": {"vote"},
    "stages/vote_tables.py": {"vote_tables"},
    "stages/errors.py": {"errors"},
    "audio_reasoning/metrics/errors/counts.py": {"errors"},
    "audio_reasoning/metrics/errors/params.py": {"errors"},
    "stages/judge.py": {"judge"},
    "audio_reasoning/judging/prompt.py": {"judge"},
    "audio_reasoning/judging/params.py": {"judge"},
    "stages/submission.py": {"submission"},
    "audio_reasoning/render/submission/file.py": {"submission"},
    "audio_reasoning/render/submission/params.py": {"submission"},
    "stages/report.py": {"report"},
    "audio_reasoning/render/report/page.py": {"report"},
    "audio_reasoning/render/report/assets/report.css": {"report"},
    "stages/compare_models.py": {"compare_models"},
    "stages/project.py": set(),
    "stages/check.py": set(),
    "stages/compose.py": set(),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_word_in_a_stage_or_its_schema_makes_it_stale_and_what_reads_its_output(built: Built, name: str) -> None:
    assert built.stale(name) == built.after(RESULTS[name])


@pytest.mark.parametrize(
    "name",
    ["docs/architecture.md", "README.md", "tests/test_stale.py", "benchmarks/run.py", ".dvc/plots/vote_curve.json"],
)
def test_docs_tests_benchmarks_and_plots_make_nothing_stale(built: Built, name: str) -> None:
    assert built.stale(name) == set()


def test_a_module_that_many_stages_share_makes_only_those_stale_that_import_it(built: Built) -> None:
    training = {"training_generate", "training_select", "training_check", "training_fit", "training_gate"}
    assert kinds(built.readers("audio_reasoning/core/rollouts.py")) == {*training, "recipes"}


@pytest.mark.parametrize("name", ["audio_reasoning/tasks/extract.py", "audio_reasoning/tasks/noise.py"])
def test_the_answer_parser_makes_scores_stale_and_nothing_is_asked_again(built: Built, name: str) -> None:
    readers = kinds(built.readers(name))
    assert readers >= {*SCORING, "training_select", "training_check"}
    assert not readers & {*ANSWERING, "training_generate"}


def test_the_rule_of_selection_samples_nothing_again(built: Built) -> None:
    """Its hash is in the recipes of models that are trained by that method, for what selects and what trains."""
    assert kinds(built.readers("audio_reasoning/algorithms/rest/selection.py")) == {"recipes"}


@pytest.mark.parametrize("name", ["loop", "loss"])
def test_the_training_loop_makes_trainings_stale_and_asks_nothing_of_itself(built: Built, name: str) -> None:
    """Answers wait for models, whose bytes say whether they are asked again."""
    trainings = {"base_model", "training_check", "training_fit", "recipes"}  # of which the last tells what trains
    assert kinds(built.readers(f"audio_reasoning/training/{name}.py")) == trainings


@pytest.mark.parametrize("name", ["openai", "transformers"])
def test_an_engine_that_mini_does_not_answer_with_makes_no_answer_stale(built: Built, name: str) -> None:
    # Which engine asks is a parameter; what can start any of them (training stops a server, judging asks) has them all.
    readers = kinds(built.readers(f"audio_reasoning/engines/{name}.py"))
    assert not readers & (ANSWERING | SCORING | {"base_model", "training_generate", "training_select"})
