"""The pages of docs/sources: what they tell to declare is valid, and there is one for each source."""

import json
import re
from pathlib import Path

import pytest
import yaml

from stages.acquire import LOADERS
from stages.compose import composed
from stages.project import parse_project
from tests.training_records import ROOT

PAGES = sorted((ROOT / "docs/sources").glob("*.md"))


def test_each_loader_but_that_of_mini_has_a_page_in_the_index() -> None:
    assert {page.stem for page in PAGES} == set(LOADERS) - {"mini"}
    index = (ROOT / "docs/sources.md").read_text()
    assert [page.stem for page in PAGES if f"(sources/{page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_declares_is_a_source(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [snippet] = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    declared = yaml.safe_load(snippet)
    values = composed([])
    values["data"]["sources"] = {**values["data"]["sources"], **declared}
    [source] = [one for name, one in parse_project(values, str(page)).data.sources.items() if name in declared]
    assert source.loader == page.stem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_a_question_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    [shown] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert shown["answer"] in shown["choices"] and len(set(shown["choices"])) == len(shown["choices"])
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert link.startswith("http") or (page.parent / link).exists(), link
