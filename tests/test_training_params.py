"""Parameters of trained models: the presets, the tree, their recipes, and combinations that cannot work."""

import copy
import re
import shutil
from pathlib import Path

import pytest
import yaml

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json
from stages.compose import composed
from stages.layout import RECIPES
from stages.models import recipes
from stages.params import load_params
from stages.project import Project, parse_project
from tests.training_records import write_parameters

ROOT = Path(__file__).parents[1]
RATE = {"method": "rest", "learning_rate": 1e-5}


@pytest.fixture(autouse=True)
def _in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def rest():
    """A composition of its own, to be changed."""
    return copy.deepcopy(composed(["models=rest_em"]))


def mistake(values):
    with pytest.raises(UserError) as caught:
        parse_project(values, "params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml: ") and "\n" not in message
    return message


def starts(values):
    project = parse_project(values, "conf/")
    return {name: (project.models[name].start, recipe.learning_rate) for name, recipe in recipes(project).items()}


# ── Presets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("profile", ["mini", "a100"])
@pytest.mark.parametrize("preset", ["none", "reference", "rest_em", "warm_up"])
def test_every_preset_composes_on_every_profile_and_says_its_name(preset, profile):
    values = composed([f"profile={profile}", f"models={preset}"])
    assert (values["profile"], values["training"]["preset"]) == (profile, preset)


def test_the_presets_are_all_tested():
    files = {path.stem for path in (ROOT / "conf/models").glob("*.yaml")}
    assert files == {"none", "reference", "rest_em", "warm_up"}


def test_the_reference_recipe_goes_on_with_one_adapter_at_falling_rates_and_no_gate():
    values = composed(["models=reference"])
    rest = values["rest"]
    assert starts(values) == {"iter1": ("base", 2e-5), "iter2": ("iter1", 1e-5), "iter3": ("iter2", 5e-6)}
    assert (rest["select"]["band"], rest["select"]["k"], rest["select"]["rank"]) == ("learning_zone", 3, "shortest")
    assert not rest["select"]["accumulate"] and not rest["train"]["reset_to_base"] and not rest["generate"]["fresh"]
    assert not rest["gate"]["enabled"] and rest["gate"]["scales"] == [1.0]


def test_a_profile_overrides_what_differs_by_size_in_any_preset():
    mini, large = composed(["models=reference"])["rest"], composed(["profile=a100", "models=reference"])["rest"]
    assert (mini["train"]["dtype"], large["train"]["dtype"]) == ("float32", "bfloat16")
    assert mini["train"]["learning_rate_scale"] == 150 and large["train"]["learning_rate_scale"] == 1
    assert mini["select"] == large["select"]


@pytest.mark.parametrize("preset", ["reference", "rest_em"])
def test_what_decides_no_result_fits_a_large_model_too(preset):
    params = parse_project(composed(["profile=a100", f"models={preset}"]), "conf/")
    generate, runtime = params.rest.generate, params.runtime
    samples = max(generate.n // generate.requests, generate.silence_n, params.rest.gate.retention_n, params.vote.n)
    tokens = runtime.concurrency * samples * max(generate.max_tokens, params.infer.max_tokens)
    assert tokens / runtime.request_timeout_s < 600, "tokens a second that answer even the longest requests in time"
    rows = 3 * generate.problems * params.rest.train.epochs / 2  # traces that a first model may well have
    assert runtime.checkpoint_steps < rows / params.rest.train.batch_size / 5, "an interruption costs a part of it"


def test_a_large_model_learns_by_heart_at_a_rate_of_its_size():
    large = parse_project(composed(["profile=a100"]), "conf/").rest
    assert 1e-4 <= large.check.overfit_learning_rate * large.train.learning_rate_scale <= 1e-3


# ── Models ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fourth_iteration_is_one_override():
    values = composed(["+models.iter4={from: iter3, method: rest, learning_rate: 1.0e-5}"])
    assert list(values["models"]) == ["iter1", "iter2", "iter3", "iter4"]
    assert starts(values)["iter4"] == ("iter3", 1e-5)


def test_a_branch_starts_from_an_earlier_iteration_or_from_the_base():
    values = composed(
        [
            "+models.hot={from: iter1, method: rest, learning_rate: 1.0e-4}",
            "+models.again={from: base, method: rest, learning_rate: 1.0e-5}",
        ]
    )
    assert starts(values)["hot"] == ("iter1", 1e-4) and starts(values)["again"] == ("base", 1e-5)


def test_an_iteration_can_be_taken_away():
    assert list(composed(["~models.iter3"])["models"]) == ["iter1", "iter2"]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"iter1": "base", "iter2": "itre1"}, "iter2 starts from the unknown 'itre1'; did you mean \"iter1\"?"),
        ({"iter1": "bse"}, "iter1 starts from the unknown 'bse'; did you mean \"base\"?"),
        ({"iter1": "base", "iter2": "zzz"}, "unknown 'zzz'; valid: base, iter1"),
        ({"iter1": "iter2", "iter2": "base"}, "iter1 starts from 'iter2', which is not listed before it"),
        ({"iter1": "base", "iter2": "iter2"}, "iter2 starts from 'iter2', which is not listed before it"),
        ({"iter1": "iter3", "iter2": "iter1", "iter3": "iter2"}, "iter1 starts from 'iter3', which is not listed"),
        ({"base": "base"}, "a model must not be called 'base'"),
        ({"iter1": "base", "base": "iter1"}, "a model must not be called 'base'"),
    ],
    ids=["misspelt", "misspelt base", "unknown", "later", "itself", "cycle", "base", "base at the end"],
)
def test_a_broken_chain_is_told(rest, models, message):
    rest["models"] = {name: {"from": start, **RATE} for name, start in models.items()}
    told = mistake(rest)
    assert told.startswith("params.yaml: models: ") and message in told


def test_an_earlier_model_is_offered_for_a_later_one(rest):
    rest["models"] = {"iter1": {"from": "iter2", **RATE}, "iter2": {"from": "iter1", **RATE}}
    assert mistake(rest).endswith("a model starts from base or from an earlier one: base")


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def change(key, value):
    """A function that sets a dotted key below `rest`."""

    def apply(values):
        *path, last = key.split(".")
        whole = key.startswith(("models.", "training."))
        node = values if whole else values["rest"]
        for part in path:
            node = node[part]
        node[last] = value

    return apply


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("generate.requests", 3, "rest.generate: n (16) must be a multiple of requests (3)"),
        ("generate.n", 257, "rest.generate.n: "),
        ("generate.temperature", 0.0, "rest.generate.temperature: "),
        ("train.batch_size", 15, "rest.train: batch_size (15) must be a multiple of micro_batch_size (6)"),
        ("train.quantization", "nf4", "nf4 needs gradient_checkpointing"),
        ("select.mastered_share", 1.0, "rest.select.mastered_share: "),
        ("select.rank", "longest", "rest.select.rank: "),
        ("check.control_n", 257, "rest.check.control_n: "),
        ("gate.retention_n", 257, "rest.gate.retention_n: "),
        ("gate.scales", [], "rest.gate.scales: "),
        ("gate.scales", [0.5, 0.5], "rest.gate.scales: 0.5 is listed twice"),
        ("gate.scales", [1.5], "rest.gate.scales.0: "),
        ("seed", -1, "rest.seed: "),
        ("training.eval_prompts", ["baseline", "baseline"], "training.eval_prompts: 'baseline' is listed twice"),
        ("training.eval_prompts", [], "training.eval_prompts: "),
        ("training.eval_prompts", ["basline"], "training.eval_prompts: 'basline' is not in prompts.variants"),
        ("models.iter1.from", 1, "models.iter1.from: "),
        ("models.iter1.lerning_rate", 1e-5, 'models.iter1.lerning_rate; did you mean "learning_rate"?'),
        ("models.iter1.form", "base", 'models.iter1.form; did you mean "from"?'),
        ("select.bnad", "all", 'unknown parameter rest.select.bnad; did you mean "band"?'),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_key(rest, key, value, message):
    change(key, value)(rest)
    assert message in mistake(rest)


def test_a_limit_on_silence_needs_answers_to_silence(rest):
    change("generate.silence_n", 0)(rest)
    parse_project(rest, "params.yaml")
    change("select.max_silence_rate", 0.75)(rest)
    assert "select.max_silence_rate is compared with a pass rate on silence" in mistake(rest)


def test_a_few_answers_to_silence_are_no_rate(rest):
    change("select.max_silence_rate", 0.75)(rest)
    change("generate.silence_n", 3)(rest)
    assert "generate.silence_n 3 does not give: raise it to 4, or set max_silence_rate to null" in mistake(rest)
    change("generate.silence_n", 4)(rest)
    parse_project(rest, "params.yaml")


def test_an_eval_prompt_must_be_among_the_variants_and_the_nearest_is_named(rest):
    rest["prompts"]["variants"].remove("structured_reasoning")
    rest["headline"]["variant"] = "baseline"
    message = mistake(rest)
    assert (
        "training.eval_prompts: 'structured_reasoning' is not in prompts.variants, so the base model has no" in message
    )
    change("training.eval_prompts", ["basline"])(rest)
    assert mistake(rest).endswith('did you mean "baseline"?')


@pytest.mark.parametrize("targets", ["experts", "all"])
def test_quantised_experts_cannot_be_adapted(rest, targets):
    rest["rest"]["train"].update(quantization="nf4", gradient_checkpointing=True)
    parse_project(rest, "params.yaml")
    rest["rest"]["train"]["lora"]["targets"] = targets
    assert "use lora.targets attention, or quantization none" in mistake(rest)


def test_as_many_samples_can_be_decoded_as_can_be_asked_for(rest):
    change("generate.n", 256)(rest)
    change("generate.silence_n", 256)(rest)
    n = parse_project(rest, "params.yaml").rest.generate.n
    rest["infer"]["n"] = n
    assert parse_project(rest, "params.yaml").infer.n == n


# ── Recipes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_changes_what_it_likes_of_its_recipe_and_nothing_of_another_one():
    project = parse_project(
        composed(["+models.again={from: iter1, method: rest, seed: 7, select: {band: all}, train: {lora: {rank: 8}}}"]),
        "conf/",
    )
    found = recipes(project)
    assert (found["again"].seed, found["again"].select.band, found["again"].train.lora.rank) == (7, "all", 8)
    assert found["again"].train.lora.alpha == project.rest.train.lora.alpha and found["iter1"] == project.rest


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"select": {"bnad": "all"}}, 'unknown parameter models.new.select.bnad; did you mean "band"?'),
        ({"train": {"epochs": 0}}, "models.new.train.epochs: "),
        ({"generate": {"requests": 3}}, "models.new.generate: n (16) must be a multiple of requests (3)"),
        ({"method": "rset"}, "models: new has the unknown method 'rset'; did you mean \"rest\"?"),
        ({"options": {"steps": 3}}, "models: new has options, which the method rest does not read"),
        ({"group_size": 8}, "unknown parameter models.new.group_size; valid: "),
    ],
    ids=["misspelt", "value", "together", "method", "options", "another method's"],
)
def test_a_recipe_that_cannot_be_is_told_with_the_models_own_key(rest, node, message):
    rest["models"]["new"] = {"from": "base", "method": "rest", **node}
    assert message in mistake(rest)


def test_a_model_may_not_take_the_folder_of_candidates(rest):
    rest["models"]["candidates"] = {"from": "base", "method": "rest"}
    assert "a model must not be called 'candidates'" in mistake(rest)


@pytest.mark.parametrize(
    ("change_of", "parts"),
    [
        ({"train": {"epochs": 3}}, {"check", "fit"}),
        ({"learning_rate": 1e-5}, {"fit"}),
        ({"select": {"k": 2}}, {"select"}),
        ({"gate": {"epsilon": 0.5}}, {"gate"}),
        ({"check": {"overfit_steps": 9}}, {"check"}),
        ({"check": {"control_n": 2}}, {"check", "generate"}),
        ({"generate": {"temperature": 0.5}}, {"generate", "gate"}),
        ({"seed": 2}, {"generate", "select", "check", "fit", "gate"}),
    ],
)
def test_a_change_of_a_recipe_is_seen_by_the_stages_that_read_it_alone(rest, tmp_path, monkeypatch, change_of, parts):
    monkeypatch.chdir(tmp_path)

    def written():
        write_parameters(rest)
        return {path.relative_to(RECIPES): path.read_bytes() for path in RECIPES.rglob("*.json")}

    before = written()
    rest["models"]["iter2"] |= change_of
    after = written()
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {Path(f"iter2/{part}.json") for part in parts}


def test_another_prompt_file_is_another_recipe(rest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "prompts", "prompts", symlinks=True)
    write_parameters(rest)
    before = read_json(RECIPES / "iter1/generate.json")["prompt_sha256"]
    file = Path("prompts/structured_reasoning.yaml")
    file.write_text(file.read_text() + "# changed\n")
    write_parameters(rest)
    assert read_json(RECIPES / "iter1/generate.json")["prompt_sha256"] != before


# ── What a stage sees ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stage_that_declares_where_an_iteration_starts_sees_nothing_else_of_it(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(composed(["models=rest_em"]), sort_keys=False))
    params = load_params(Project, "models.iter1.from", path=path)
    assert params.models["iter1"].start == "base"
    assert list(params.models) == ["iter1"]
    for reading in (
        lambda: params.models["iter1"].learning_rate,
        lambda: params.models["iter1"].method,
        lambda: params.rest,
        lambda: params.infer,
    ):
        with pytest.raises(AttributeError):
            reading()
    with pytest.raises(KeyError):
        params.models["iter2"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("models.iter9.from", r'no parameter models\.iter9; did you mean "iter[123]"'),
        ("models.iter1.start", r"no parameter models\.iter1\.start; valid: check, from, gate"),
    ],
)
def test_an_iteration_that_does_not_exist_is_told_with_the_nearest(tmp_path, key, message):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(composed(["models=rest_em"]), sort_keys=False))
    with pytest.raises(UserError) as caught:
        load_params(Project, key, path=path)
    assert re.search(message, str(caught.value))
