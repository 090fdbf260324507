"""Parameters: the schema stops mistakes, and a stage sees only what it declares."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.taxonomy import LAYER_OF
from audio_reasoning.tasks import audiomcq, avqa, events
from audio_reasoning.tasks.source_params import Shares
from stages.compose import composed, overridden
from stages.models import recipes
from stages.params import load_params
from stages.project import Project, load_project, parse_project

ROOT = Path(__file__).parent.parent


@pytest.fixture
def raw() -> dict:
    return copy.deepcopy(yaml.safe_load((ROOT / "params.yaml").read_text()))


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_params_yaml_is_the_composition_of_its_profile(raw: dict) -> None:
    assert raw == composed([f"profile={raw['profile']}"])


def test_the_committed_profile_is_mini(raw: dict) -> None:
    assert raw["profile"] == "mini"


def test_the_a100_profile_composes() -> None:
    values = composed(["profile=a100"])
    assert values["model"]["id"] == "Qwen/Qwen3-Omni-30B-A3B-Thinking"
    assert "mini" not in values["data"]["sources"]


@pytest.mark.parametrize("preset", ["rest_em", "reference"])
def test_the_a100_profile_has_questions_for_each_preset_and_for_its_gate(preset: str) -> None:
    """Fewer than a tenth may be taken out since a test set holds them."""
    params = parse_project(composed(["profile=a100", f"models={preset}"]), "conf/")
    sources = {name: source for name, source in params.data.sources.items() if isinstance(source.split, Shares)}
    assert set(sources) == {"audiomcq", "tacos", "musicbench"} and params.data.decontaminate.enabled
    counts = {
        split: sum(source.limit * getattr(source.split, split) for source in sources.values())
        for split in ("train", "dev", "test")
    }
    rounds = len(params.models) if params.rest.generate.fresh else 1
    assert 1.1 * rounds * params.rest.generate.problems < counts["train"]
    assert counts["test"] == 0 and counts["dev"] >= 1200
    assert {split for s in params.data.sources.values() if s.loader == "mmar" for split in [s.split]} == {"test"}


def test_the_reference_preset_is_as_published_but_for_what_it_says() -> None:
    project = parse_project(composed(["profile=a100", "models=reference"]), "conf/")
    rest = project.rest
    assert (rest.generate.problems, rest.generate.n, rest.generate.temperature) == (4153, 16, 0.9)
    assert [recipe.learning_rate for recipe in recipes(project).values()] == [2e-5, 1e-5, 5e-6]
    train = rest.train
    assert (train.quantization, train.optimizer, train.epochs) == ("nf4", "paged_adamw_8bit", 2)
    assert (train.batch_size, train.micro_batch_size, train.learning_rate_scale) == (8, 1, 1.0)
    assert (train.lora.rank, train.lora.alpha, train.lora.targets) == (64, 128, "attention")


def test_a_small_profile_carries_the_reference_preset_without_a_gpu() -> None:
    train = parse_project(composed(["models=reference"]), "conf/").rest.train
    assert (train.quantization, train.optimizer, train.batch_size) == ("none", "adamw", 6)


def test_searches_can_be_made_with_the_a100_profile() -> None:
    prompts = "prompts.variants=[baseline,structured_reasoning,minimal_instruction,mipro,gepa]"
    params = parse_project(composed(["profile=a100", "optimize=served", prompts]), "conf/")
    assert {search.proposer.kind for search in params.optimize.values()} == {"served"}


@pytest.mark.parametrize("chosen", ["[]", "[tacos]", "[audiomcq,avqa]", "avqa"])
def test_sources_are_chosen_by_name(chosen: str) -> None:
    sources = composed(["profile=a100", "models=none", f"sources={chosen}"])["data"]["sources"]
    assert set(sources) == {"mmar", *filter(None, chosen.strip("[]").split(","))}


def test_the_sources_that_a_profile_trains_on_label_by_the_taxonomy() -> None:
    labels = {pair[1] for pair in audiomcq._LABELS.values()} | {audiomcq.TEMPORAL[1]}
    labels |= {*events.LABELS.values(), "Music Theory", avqa._GENERAL, "Temporal Analysis"}
    assert labels <= LAYER_OF.keys()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sources=[audiomcq,taco]", "conf/sources/ has no 'taco'; did you mean \"tacos\"?"),
        ("infer.temprature=0.7", 'unknown parameter infer.temprature; did you mean "infer.temperature"?'),
        ("rest.select.bnd=wide", 'unknown parameter rest.select.bnd; did you mean "rest.select.band"?'),
        ("infr.n=2", 'unknown parameter infr.n; did you mean "infer.n"?'),
        ("zzz=1", "unknown parameter zzz; valid: arms, code, compare, "),
        ("models=rest", "conf/models/ has no 'rest'; did you mean \"rest_em\"?"),
        ("profile=a10", "conf/profile/ has no 'a10'; did you mean \"a100\"?"),
        ("infer.temperature=hot", "infer.temperature: Input should be a valid number"),
        ("infer.temperature=[", "no viable alternative"),
    ],
)
def test_a_mistyped_override_is_named_with_the_nearest_valid_one(override: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        composed([override])


def test_a_value_that_conf_does_not_give_is_told(raw: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert overridden() == []
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    raw["infer"]["temperature"] = 0.9
    raw["models"]["iter4"] = {"from": "iter3", "method": "rest", "learning_rate": 1e-5}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    assert overridden() == [
        "infer.temperature",
        "models.iter4.from",
        "models.iter4.learning_rate",
        "models.iter4.method",
    ]


def test_fewer_variants_need_no_other_change() -> None:
    params = parse_project(composed(["prompts.variants=[baseline,structured_reasoning]"]), "conf/")
    assert [(contrast.a, contrast.b) for contrast in params.contrasts()] == [("baseline", "structured_reasoning")]


@pytest.mark.parametrize("path", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_value_is_documented_beside_it_or_just_above(path: Path) -> None:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        before_a_list = number + 1 < len(lines) and re.match(r"\s*- ", lines[number + 1]) and "defaults" not in line
        group = re.fullmatch(r"\s*\w+:\s*(#.*)?", line) and not before_a_list
        if re.match(r"\s*\w+:", line) and not group:
            assert "#" in line or lines[number - 1].lstrip().startswith("#"), f"{path}:{number + 1}: {line}"


@pytest.mark.parametrize(("listed", "written"), [("structured_reasoning", "v12"), ("v12", "structured_reasoning")])
def test_a_prompt_is_found_by_any_of_its_names(listed: str, written: str) -> None:
    overrides = [f"prompts.variants=[baseline,{listed}]", f"headline.variant={written}", f"rest.prompt={written}"]
    overrides += [f"arms.variants=[{listed}]", f"vote.variants=[{listed}]", f"training.eval_prompts=[{listed}]"]
    overrides += [f"judge.runs=[{written}@vote]", f"submission.run=iter1/{written}"]
    contrast = f"compare.contrasts=[{{a: {written}, b: '{written}@silence'}}]"
    params = parse_project(composed([*overrides, contrast]), "conf/")
    assert params.headline.variant == listed and params.rest.prompt == written  # a path in dvc.yaml
    assert (params.judge.runs, params.submission.run) == ([f"{listed}@vote"], f"iter1/{listed}")
    assert (listed, f"{listed}@silence") in [(one.a, one.b) for one in params.contrasts()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["infer"].update(temprature=1.0), 'unknown parameter infer.temprature; did you mean "temperature"'),
        (lambda r: r.update(infr={}), 'unknown parameter infr; did you mean "infer"'),
        (lambda r: r["infer"].update(temperature="hot"), "infer.temperature"),
        (lambda r: r["infer"].update(n="8"), "infer.n"),
        (lambda r: r["infer"].update(top_p=0), "infer.top_p"),
        (lambda r: r["infer"].update(n=4, temperature=0), "infer: n 4 at temperature 0"),
        (lambda r: r["infer"].update(backend="openai"), "infer.endpoint_model"),
        (lambda r: r["infer"].pop("seed"), "parameter infer.seed is missing"),
        (lambda r: r["model"]["tiny"].update(stps=1), 'unknown parameter model.tiny.stps; did you mean "steps"'),
        (lambda r: r["model"].update(kind="hub", revision=""), "needs id and revision"),
        (lambda r: r["data"]["sources"]["mini"].update(sed=1), 'did you mean "seed"'),
        (lambda r: r["data"]["sources"]["mini"].update(loader="minni"), "data.sources.mini"),
        (lambda r: r["headline"].update(variant="baselin"), 'did you mean "baseline"'),
        (lambda r: r["prompts"]["variants"].append("baseline"), "listed twice"),
        (lambda r: r["prompts"].update(variants=["No Spaces"]), "prompts.variants.0"),
        (lambda r: r["prompts"]["variants"].append("v9"), "'anti_overthinking' and 'v9' are names of one prompt"),
        (lambda r: r["arms"].update(variants=["v12"]), "arms.variants: 'v12' is listed in prompts.variants as 'struct"),
        (lambda r: r["optimize"]["gepa"].update(start="gepa"), "optimize.gepa starts from 'gepa'"),
        (lambda r: r["optimize"]["gepa"].update(budgt=1), 'optimize.gepa.budgt; did you mean "budget"'),
        (lambda r: r["optimize"].update({"GEPA": r["optimize"]["gepa"]}), "optimize.GEPA"),
        (lambda r: r["headline"].update(variant="v13"), "headline.variant 'v13' is not in prompts.variants"),
    ],
)
def test_a_mistake_is_named_with_its_key(raw: dict, change, message: str) -> None:
    change(raw)
    with pytest.raises(UserError) as caught:
        parse_project(raw, "params.yaml")
    assert message in str(caught.value)
    assert "params.yaml" in str(caught.value)


def test_a_stage_cannot_read_what_it_does_not_declare() -> None:
    params = load_params(Project, "infer.seed", "data.sources.mini")
    assert params.infer.seed == load_project().infer.seed
    assert list(params.data.sources) == ["mini"]
    assert params.runtime.concurrency > 0
    for reading in (lambda: params.infer.temperature, lambda: params.model, lambda: params.prompts.variants):
        with pytest.raises(AttributeError):
            reading()


def test_declaring_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r'no parameter infer\.sed; did you mean "seed"'):
        load_params(Project, "infer.sed")


@pytest.mark.parametrize("text", ["infer: [", "", "- 1\n- 2\n"])
def test_an_unreadable_file_is_one_message(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=str(path)):
        load_project(path=path)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dvc\.yaml"):
        load_project(path=tmp_path / "params.yaml")
