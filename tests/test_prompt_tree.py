"""Which prompt was made from which, and what that was worth: the tree of a folder, its terminal and its page."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import Judged
from audio_reasoning.prompts.lineage import lineage
from audio_reasoning.prompts.registry import Prompt, write_prompt
from audio_reasoning.render.html import to_html
from audio_reasoning.render.prompt_tree import TreeRow, tree_table, tree_text
from stages.prompt_tree import prompt_tree
from tests.report_project import HOSTILE, filled, versus, write_comparison

USER = "{{ question }} {{ choices }}"
NAMES = [f"prompt_{letter}" for letter in "abcdefgh"]


def prompt(name: str, parent: str | None = None, change: str | None = None, **other) -> Prompt:
    change = (change or "another text") if parent else None
    return Prompt(name, "T", "S", 1, "", USER, parent=parent, change=change, **other)


@given(st.lists(st.sampled_from([None, *NAMES]), min_size=8, max_size=8))
def test_every_prompt_stands_once_below_its_parent_unless_they_go_in_a_circle(parents):
    parents = [None if parent == name else parent for name, parent in zip(NAMES, parents, strict=True)]
    prompts = [prompt(name, parent) for name, parent in zip(NAMES, parents, strict=True)]
    try:
        tree = lineage(prompts)
    except UserError as error:
        ends = dict(zip(NAMES, parents, strict=True))
        for _ in NAMES:
            ends = {name: ends.get(end) if end else None for name, end in ends.items()}
        assert any(ends.values()) and "made from another" in str(error)
        return
    assert sorted(branch.prompt.name for branch in tree) == NAMES
    places = {branch.prompt.name: place for place, branch in enumerate(tree)}
    for branch in tree:
        assert (branch.parent and branch.parent.name) == branch.prompt.parent
        if branch.parent:
            above = tree[places[branch.parent.name]]
            assert len(branch.last) == len(above.last) + 1 and places[above.prompt.name] < places[branch.prompt.name]


def test_a_parent_may_be_called_by_an_alias_or_be_gone():
    tree = lineage([prompt("specialist", aliases=("v8",)), prompt("brief", "v8"), prompt("late", "deleted")])
    assert [(branch.prompt.name, branch.last) for branch in tree] == [
        ("specialist", ()),
        ("brief", (True,)),
        ("late", ()),
    ]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A prompt written by hand, one made from it by hand, and one from that by an optimiser."""
    monkeypatch.chdir(tmp_path)
    write_comparison(tmp_path)
    summary = json.loads(Path("metrics/summary.json").read_text())
    summary["versus_parent"] = [filled(Judged, versus("baseline", "expert_analyst"))]
    write_json(Path("metrics/summary.json"), summary)
    heldout = {"acc_a": 0.4, "acc_b": 0.6, "n": 50}
    found = {"optimizer": "gepa", "outcome": "found", "start": "expert_analyst", "heldout": heldout}
    write_json(Path("metrics/optimize/searched.json"), filled(Optimization, found))
    made = {"optimizer": "gepa", "start": "expert_analyst", "proposer": "bank", "seed": 1, "trials": 3, "answers": 9}
    made |= {"model": "m", "validation": {"score": 0.6, "low": 0.5, "high": 0.7, "optimistic": True}}
    Path("prompts").mkdir()
    for one in (
        prompt("baseline"),
        prompt("expert_analyst", "baseline", HOSTILE, aliases=("v8", "expert")),
        prompt("searched", "expert_analyst", provenance=made),
    ):
        write_prompt(Path(f"prompts/{one.name}.yaml"), one)
    Path("prompts/v8.yaml").symlink_to("expert_analyst.yaml")
    Path("prompts/expert.yaml").write_bytes(Path("prompts/expert_analyst.yaml").read_bytes())


def test_the_tree_has_the_figures_of_test_and_of_held_out_questions(project):
    rows = {row.name: row for row in prompt_tree(["baseline", "expert_analyst"])}
    assert list(rows) == ["baseline", "expert_analyst", "searched"]
    assert rows["searched"].dev == (0.6, 50) and rows["expert_analyst"].dev == (0.4, 50)
    assert rows["searched"].maker == "gepa (bank)" and rows["searched"].test is None
    cells = [[cell.text for cell in row] for row in tree_table([*rows.values()]).body]
    assert cells[1][3:6] == ["40.0 (27.6–53.8)", "50.0 (20.0–80.0)", "-10.0"]
    assert cells[1][7:] == ["0.7000", "not distinguishable"] and cells[0][5:] == [""] * 4
    page = to_html(tree_table([*rows.values()]))
    assert "#a=baseline&amp;b=expert_analyst" in page and "<script" not in page
    assert [(row.name, row.parent) for row in prompt_tree(["baseline", "v8"])][1:] == [
        ("v8", "baseline"),
        ("searched", "v8"),
    ]


def test_a_terminal_shows_the_tree_with_what_was_changed():
    compared = Judged(**filled(Judged, versus("a", "b", verdict="better", p_holm=0.01)))
    rows = [
        TreeRow("a", (), None, "", "hand", None, None, None),
        TreeRow("b", (False,), "a", "rules\x1b[2J", "hand", (0.5, 100), None, compared),
        TreeRow("c", (False, True), "b", "brief", "hand", None, None, None),
        TreeRow("d", (True,), "a", "", "hand", None, None, None),
    ]
    lines = tree_text(rows).replace("\N{NO-BREAK SPACE}", " ").splitlines()[2:8]
    assert [line.split("  hand")[0] for line in lines] == [
        "a      ",
        "├─ b   ",
        "│  │    rules [2J",
        "│  └─ c",
        "│          brief",
        "└─ d   ",
    ]
    assert "-10.0*" in lines[1] and "50.0 (40.4–59.6)" in lines[1]
