"""Prompts are data: strict fields, and nothing but the question and its choices can reach a model."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_json
from audio_reasoning.core.records import Audio
from audio_reasoning.core.validate import validated
from audio_reasoning.prompts.aliases import missing_links, own_name
from audio_reasoning.prompts.prompt import Demonstration
from audio_reasoning.prompts.provenance import Provenance
from audio_reasoning.prompts.registry import FIELDS, Prompt, load_prompt, write_prompt
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


PROVENANCE = {
    "optimizer": "gepa", "start": "baseline", "proposer": "models/base", "seed": 7, "trials": 40, "answers": 2000,
    "validation": {"score": 0.61, "low": 0.55, "high": 0.66, "optimistic": True}, "model": "models/base",
}  # fmt: skip
DEMONSTRATION = {"question": "What is heard?", "choices": ["a bell", "rain"], "response": "It rings.\nANSWER: a bell"}
EIGHT = (
    "baseline", "expert_analyst", "anti_overthinking", "category_aware",
    "targeted_hints", "structured_reasoning", "minimal_instruction", "cross_layer",
)  # fmt: skip


def test_the_eight_variants_load_and_differ() -> None:
    assert len({load_prompt(name, ROOT / "prompts").text_hash for name in EIGHT}) == 8


def test_every_alias_is_a_link_and_every_link_an_alias() -> None:
    files = set((ROOT / "prompts").glob("*.yaml"))
    prompts = [load_prompt(file.stem, ROOT / "prompts") for file in files if not file.is_symlink()]
    assert [problem for prompt in prompts for problem in missing_links(prompt, ROOT / "prompts")] == []
    assert {file.stem for file in files if file.is_symlink()} == {alias for one in prompts for alias in one.aliases}
    assert {one.parent for one in prompts} - {None} <= {one.name for one in prompts}


def test_a_prompt_that_is_called_by_an_alias_keeps_its_own_name() -> None:
    assert load_prompt("v12", ROOT / "prompts") == load_prompt("structured_reasoning", ROOT / "prompts")
    assert own_name("v12", ROOT / "prompts") == "structured_reasoning"


def test_an_alias_that_leads_elsewhere_is_told(write, tmp_path: Path) -> None:
    prompt = load_prompt("mine", write(aliases=["v1"]))
    (tmp_path / "v2.yaml").symlink_to("mine.yaml")
    assert missing_links(prompt, tmp_path) == [
        f"{tmp_path}/mine.yaml: the alias v1 is no link to it; `ln -sf mine.yaml {tmp_path}/v1.yaml`, "
        "or take it out of aliases"
    ]
    with pytest.raises(UserError, match=r"v2\.yaml: name is 'mine', expected 'v2' like the file"):
        load_prompt("v2", tmp_path)


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
        ({"version": "one"}, "'version' must be a whole number, found \"one\""),
        ({"system": "You hear {{ category }}."}, "the system text is no template"),
        ({"user": "{{ question.__class__.__mro__ }} {{ choices }}"}, "user template"),
        ({"name": "other"}, "expected 'mine'"),
        ({"parent": "baseline"}, "'parent' needs the field 'change'"),
        ({"aliases": ["v1", "v1"]}, "'aliases' must be a list of names"),
        (
            {"provenance": {**PROVENANCE, "trails": 3}},
            "provenance: unknown field 'trails' of Provenance; did you mean \"trials\"",
        ),
        (
            {"provenance": {**PROVENANCE, "validation": {"score": 0.5, "low": 0.4, "high": 0.6}}},
            "provenance: validation: the field 'optimistic'",
        ),
        (
            {"demonstrations": [{**DEMONSTRATION, "response": " "}]},
            "demonstrations[0]: 'response' must be a text that is not blank",
        ),
        (
            {"demonstrations": [DEMONSTRATION, {**DEMONSTRATION, "choices": ["a bell"]}]},
            "demonstrations[1]: a question needs at least two choices",
        ),
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


TEXTS = st.text(min_size=1).filter(str.strip)
DEMONSTRATIONS = st.builds(
    Demonstration,
    question=TEXTS,
    choices=st.lists(TEXTS.map(str.strip), min_size=2, max_size=3, unique=True).map(tuple),
    response=TEXTS,
    audio=st.none() | st.builds(Audio, path=st.text(), sha256=st.text(), duration_s=st.floats(0, 1e6)),
)
PROMPTS = st.builds(
    Prompt,
    name=st.just("mine"),
    title=st.text(),
    strategy=st.text(),
    version=st.integers(),
    system=st.text().filter(lambda text: "{{" not in text and "{%" not in text),
    user=TEXTS.filter(lambda text: "{" not in text).map(lambda text: f"{text}{{{{ question }}}} {{{{ choices }}}}"),
    aliases=st.just(("v8", "no")),
    parent=st.just("baseline"),
    change=TEXTS,
    provenance=st.none() | st.just(validated(Provenance, PROVENANCE, "")),
    demonstrations=st.lists(DEMONSTRATIONS, max_size=2).map(tuple),
)


@given(prompt=PROMPTS)
def test_a_prompt_that_is_written_loads_as_an_equal_one(prompt: Prompt, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("prompts") / "mine.yaml"
    write_prompt(path, prompt)
    assert load_prompt("mine", path.parent) == prompt


def test_a_written_prompt_reads_as_one_that_is_written_by_hand(tmp_path: Path) -> None:
    prompt = load_prompt("expert_analyst", ROOT / "prompts")
    write_prompt(tmp_path / "expert_analyst.yaml", prompt)
    by_hand = (ROOT / "prompts/expert_analyst.yaml").read_text()
    assert (tmp_path / "expert_analyst.yaml").read_text().endswith(by_hand[by_hand.index("system: |") :])


def test_demonstrations_count_in_what_the_model_is_shown_and_a_prompt_without_any_keeps_its_hash(write) -> None:
    plain = load_prompt("mine", write())
    shown = load_prompt("mine", write(demonstrations=[DEMONSTRATION]))
    clip = {"path": "lab/a.wav", "sha256": "0" * 64, "duration_s": 1.0}
    moved = [{**DEMONSTRATION, "audio": {**clip, "path": path}} for path in ("lab/a.wav", "lab/b.wav")]
    heard = [load_prompt("mine", write(demonstrations=[one])).text_hash for one in moved]
    assert plain.text_hash == sha256_json([plain.system, plain.user])
    assert len({plain.text_hash, shown.text_hash, *heard}) == 3


def test_a_title_does_not_change_what_the_model_is_shown(write) -> None:
    assert load_prompt("mine", write()).text_hash == load_prompt("mine", write(title="Another")).text_hash
