"""A trial study: every number is brought down, and what a run is stays."""

from pathlib import Path

import pytest

from audio_reasoning.render.tables import MINI_NOTE, TRIAL_NOTE, profile_notes
from stages.compose import composed
from stages.models import recipes
from stages.plan_sources import expected
from stages.project import Project, parse_project
from stages.trial import with_trial
from tests.training_records import ROOT


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def project(*overrides: str) -> Project:
    return parse_project(composed([*overrides]), "conf/")


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "conf/models").glob("*.yaml")))
@pytest.mark.parametrize("profile", ["mini", "a100"])
def test_every_study_can_be_tried(profile: str, preset: str) -> None:
    whole, tried = (project(f"profile={profile}", f"models={preset}", *more) for more in ((), ("trial=true",)))
    assert tried.profile == f"{profile}_trial" and tried.prompts == whole.prompts and tried.arms == whole.arms
    assert list(tried.models) == list(whole.models)
    for name, recipe in recipes(tried).items():
        full = recipes(whole)[name]
        assert recipe.generate.problems <= 30 and recipe.generate.n <= 4 and recipe.train.epochs == 1
        assert recipe.generate.problems <= full.generate.problems and recipe.prompt == full.prompt
        assert recipe.learning_rate == full.learning_rate and recipe.train.lora == full.train.lora


def test_sources_fetch_and_give_a_hundred_questions() -> None:
    tried = project("profile=a100", "trial=true")
    assert {source.limit for source in tried.data.sources.values()} == {100}
    found = expected(tried).questions
    assert found["test"] == 100 and 90 <= found["train"] <= 300 and found["dev"] >= 40
    mini = expected(project("trial=true")).questions
    assert mini == {"train": 100, "dev": 100, "test": 100}


def test_searches_are_short_and_still_can_be_made() -> None:
    for search in project("trial=true").optimize.values():
        assert search.budget <= 150 and search.validation <= 20


def test_a_small_number_stays() -> None:
    assert recipes(project("trial=true", "rest.generate.problems=7"))["iter1"].generate.problems == 7


def test_nothing_changes_without_it_and_nonsense_is_left_to_the_schema() -> None:
    values = composed([])
    assert with_trial(values) == values
    for raw in (None, [], {"trial": True}, {"trial": True, "data": 3, "rest": [], "models": "x", "optimize": None}):
        with_trial(raw)
    assert with_trial({"trial": "yes", "profile": "mini"}) == {"trial": "yes", "profile": "mini"}


def test_its_figures_say_so() -> None:
    assert profile_notes("a100_trial") == [TRIAL_NOTE] and profile_notes("mini_trial") == [MINI_NOTE, TRIAL_NOTE]
    assert profile_notes("mini") == [MINI_NOTE] and profile_notes("a100") == []


def test_the_stages_that_it_concerns_depend_on_it() -> None:
    text = Path("dvc.yaml").read_text()
    assert text.count("- trial\n") == 4, "acquire, questions, optimize_prompt, recipes"
