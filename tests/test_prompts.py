"""Prompts are data: strict fields, and nothing but the question and its choices can reach a model."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.prompts.registry import FIELDS, load_prompt
from stages.project import load_project

ROOT = Path(__file__).parent.parent
VARIANTS = load_project(path=ROOT / "params.yaml").prompts.variants


@pytest.fixture
def write(tmp_path: Path):
    def _write(**changes: object) -> Path:
        fields: dict[str, object] = {
            "name": "mine", "title": "T", "strategy": "S", "version": 1, "system": "",
            "user": "{{ question }}\n{% for choice in choices %}- {{ choice }}\n{% endfor %}",
        }  # fmt: skip
        fields.update(changes)
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({k: v for k, v in fields.items() if v is not None}))
        return tmp_path

    return _write


EIGHT = (
    "baseline", "expert_analyst", "anti_overthinking", "category_aware",
    "targeted_hints", "structured_reasoning", "dspy_v1", "dspy_v2",
)  # fmt: skip


def test_the_eight_variants_load_and_differ() -> None:
    assert len({load_prompt(name, ROOT / "prompts").text_hash for name in EIGHT}) == 8


@pytest.mark.parametrize("name", VARIANTS)
@given(question=st.text(min_size=1), choices=st.lists(st.text(), min_size=2, max_size=6))
def test_a_prompt_shows_the_question_and_every_choice_verbatim(name: str, question: str, choices: list[str]) -> None:
    _, user = load_prompt(name, ROOT / "prompts").render(question, tuple(choices))
    assert question.strip() in user
    position = user.index(question.strip()) + len(question.strip())
    for choice in choices:
        position = user.index(f"- {choice}", position)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_asks_for_the_answer_line(name: str) -> None:
    assert "ANSWER:" in load_prompt(name, ROOT / "prompts").user


@pytest.mark.parametrize("hidden", ["category", "answer", "sub_category", "evidence"])
def test_a_template_cannot_use_benchmark_metadata(write, hidden: str) -> None:
    folder = write(user="{{ question }} {{ choices }} {{ " + hidden + " }}")
    with pytest.raises(UserError, match=f"uses '{hidden}'; only question and choices"):
        load_prompt("mine", folder)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(write, field: str) -> None:
    with pytest.raises(UserError, match=f"field '{field}' is missing"):
        load_prompt("mine", write(**{field: None}))


def test_an_unknown_field_gets_a_hint(write) -> None:
    with pytest.raises(UserError, match='did you mean "system"'):
        load_prompt("mine", write(sytem="You listen."))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": "{{ question }"}, "user template"),
        ({"user": "{{ question }}"}, "never shows {{ choices }}"),
        ({"user": "{{ question | nosuch }} {{ choices }}"}, "user template"),
        ({"version": "one"}, "version must be int"),
        ({"system": "You hear {{ category }}."}, "the system text is no template"),
        ({"user": "{{ question.__class__.__mro__ }} {{ choices }}"}, "user template"),
        ({"name": "other"}, "expected 'mine'"),
    ],
)
def test_a_bad_value_is_named(write, changes: dict, message: str) -> None:
    folder = write()
    (folder / "mine.yaml").write_text(yaml.safe_dump({**yaml.safe_load((folder / "mine.yaml").read_text()), **changes}))
    with pytest.raises(UserError) as caught:
        load_prompt("mine", folder)
    assert message in str(caught.value)


def test_a_variant_without_a_file_gets_a_hint() -> None:
    with pytest.raises(UserError, match='did you mean "baseline"'):
        load_prompt("baselin", ROOT / "prompts")


def test_a_title_does_not_change_what_the_model_is_shown(write) -> None:
    assert load_prompt("mine", write()).text_hash == load_prompt("mine", write(title="Another")).text_hash
