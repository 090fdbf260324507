"""Exporting a model: merged matrix by matrix or as an adapter, loadable by others, whole or not at all."""

import json
import re
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from audio_reasoning.core.disk import check_room, new_folder
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, sha256_file, write_json
from audio_reasoning.core.records import Audio, Question
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.engine import Decoding, Setup
from audio_reasoning.engines.server import server
from audio_reasoning.families.adapters import PeftModel, attach
from audio_reasoning.families.family import family_of
from audio_reasoning.families.merged import merge
from audio_reasoning.prompts.registry import load_prompt
from benchmarks.export import measure, write_checkpoint
from stages.layout import AUDIO
from stages.project import load_project
from tests import training_project
from tests.commands import command
from tests.training_project import BASE, ROOT, enter, write_base, write_model_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a base and a model of all kinds of matrices, and this repository's metrics."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        # Other widths inside the experts than outside: what is taken for the other must show.
        patch.setattr(
            training_project, "TINY", training_project.TINY.model_copy(update={"hidden_size": 128, "experts": 4})
        )
        patch.chdir(folder)
        write_base(BASE)
        write_model_folder("iter1", targets="all", std=0.5)
    for name in ("metrics", "prompts"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "project"))
    enter(folder, monkeypatch)
    return folder


ADAPTER = Path("models/iter1/adapter")


def by_peft(base: Path = BASE) -> dict[str, torch.Tensor]:
    """The merged checkpoint's tensors as PEFT makes them, with the whole model in memory."""
    family = family_of(base)
    merged = attach(family.load(base, device="cpu"), ADAPTER).merge_and_unload(safe_merge=True)
    family.save(merged, family.processor(base), Path("by_peft"))
    return load_file("by_peft/model.safetensors")


def in_shards(folder: Path, dtype: torch.dtype) -> None:
    """The checkpoint in three shards, of another type, with a talker's tensors beside the thinker's."""
    weights = {name: tensor.to(dtype) for name, tensor in load_file(folder / "model.safetensors").items()}
    like = next(name for name in weights if name.endswith("layers.0.self_attn.q_proj.weight"))
    weights[like.replace("thinker.", "talker.")] = weights[like].clone()
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {f"model-0000{i + 1}-of-00003.safetensors": names[i::3] for i in range(3)}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, folder / shard)  # no metadata at all
    write_json(
        folder / "model.safetensors.index.json",
        {"metadata": {}, "weight_map": {name: shard for shard, held in shards.items() for name in held}},
    )


# ── Merged ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_merged_model_has_the_bytes_that_peft_makes(project: Path) -> None:
    assert command("export", "iter1", "--out", "out") == 0
    wanted, base = by_peft(), load_file(BASE / "model.safetensors")
    assert Path("out/model.safetensors").read_bytes() == Path("by_peft/model.safetensors").read_bytes()
    changed = {name for name in wanted if not torch.equal(wanted[name], base[name])}
    assert len(changed) == 2 * (4 + 4 * 3), "attention, and three matrices of each of four experts, in two layers"
    assert sorted(file.name for file in Path("out").iterdir()) == sorted(
        ["README.md", *(file.name for file in BASE.iterdir())]
    )


def test_shards_their_names_types_and_other_tensors_stay(project: Path) -> None:
    wanted = by_peft()
    base = load_file(BASE / "model.safetensors")
    in_shards(BASE, torch.bfloat16)
    Path("out").mkdir()
    merge(BASE, ADAPTER, Path("out"))
    shards = sorted(file.name for file in BASE.glob("*.safetensors"))
    assert sorted(file.name for file in Path("out").glob("*.safetensors")) == shards and len(shards) == 3
    assert (Path("out") / "model.safetensors.index.json").read_bytes() == (
        BASE / "model.safetensors.index.json"
    ).read_bytes()
    merged = {name: tensor for shard in shards for name, tensor in load_file(Path("out") / shard).items()}
    stored = {name: tensor for shard in shards for name, tensor in load_file(BASE / shard).items()}
    assert merged.keys() == stored.keys() and all(tensor.dtype == torch.bfloat16 for tensor in merged.values())
    for name, tensor in merged.items():
        if name.startswith("talker."):
            assert torch.equal(tensor, stored[name])
        else:  # W in bfloat16, the change in float32, rounded once
            exact = stored[name].float() + (wanted[name] - base[name])
            torch.testing.assert_close(tensor.float(), exact, rtol=2**-8, atol=1e-6)
    family_of(Path("out")).load(Path("out"), device="cpu")


def test_memory_stays_far_below_the_size_of_what_is_merged(tmp_path: Path) -> None:
    """240 MB in four shards, attention and experts: less than a shard beside what the libraries themselves take."""
    write_checkpoint(tmp_path, megabytes=240, shards=4)
    row = measure(tmp_path)
    assert row["checkpoint_mb"] > 200
    assert row["peak_mb"] - row["imports_mb"] < 50, row


# ── As others load it ────────────────────────────────────────────────────────────────────────────────────────────────


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", card, re.MULTILINE | re.DOTALL)


def test_the_cards_own_python_loads_what_the_project_loads(project: Path) -> None:
    assert command("export", "iter1", "--out", "FOLDER") == 0
    names: dict = {}
    exec(blocks(Path("FOLDER/README.md").read_text(), "python")[0], names)
    merged = names["model"].state_dict()
    wanted = family_of(BASE).load(Path("FOLDER"), device="cpu").state_dict()
    assert merged.keys() == wanted.keys() and all(torch.equal(merged[name], wanted[name]) for name in wanted)
    shutil.rmtree("FOLDER")
    assert command("export", "iter1", "--out", "FOLDER", "--adapter") == 0
    assert command("export", "base", "--out", "BASE") == 0
    exec(blocks(Path("FOLDER/README.md").read_text(), "python")[0], names)
    assert isinstance(names["model"], PeftModel)
    alike = names["model"].merge_and_unload().state_dict()
    assert all(torch.equal(alike[name], wanted[name]) for name in wanted)


@pytest.mark.timeout(900)
def test_vllm_says_of_an_export_what_the_base_with_the_adapter_says(project: Path) -> None:
    """A real server of the exported folder, against the base with the adapter in this process."""
    assert command("export", "iter1", "--out", "out") == 0
    path = AUDIO / "mini/a.flac"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.random.default_rng(0).standard_normal(16_000) / 10, 16_000)
    audio = Audio("mini/a.flac", sha256_file(path), 1.0)
    layer = ("Perception Layer", "Music Theory", "sound", None, "mini", "a")
    asked = [Question(f"q{i}", audio, f"Sound {i}?", ("a bell", "rain"), 1, *layer) for i in range(6)]
    greedily = Decoding(temperature=0.0, top_p=1.0, max_tokens=12, n=1, seed=11)
    params = load_project()
    serve = params.serve.model_copy(update={"adapters": "merge", "dtype": "float32", "max_model_len": 2048})
    runtime = params.runtime.model_copy(update={"server_start_s": 300.0})

    def said(backend: str, model: Path, adapter: Path | None) -> list[tuple[str, int | None]]:
        setup = Setup(backend, model, adapter, serve, runtime, AUDIO, "", work=Path(".cache"))
        answers, _ = answer_questions(asked, load_prompt("baseline", Path("prompts")), setup, greedily)
        # Random weights end in the middle of a character, which vLLM holds back.
        return [(answer.text.rstrip("\ufffd"), answer.completion_tokens) for answer in answers]

    try:
        exported = said("vllm", Path("out"), None)
    finally:
        server.stop(Path(".cache"))
    assert exported == said("transformers", BASE, ADAPTER)
    assert exported != said("transformers", BASE, None), "the adapter does something"


def test_an_adapter_is_copied_as_it_is(project: Path) -> None:
    assert command("export", "iter1", "--out", "out", "--adapter") == 0
    files = {file.name: file.read_bytes() for file in Path("out").iterdir()}
    assert files.keys() == {"README.md", *(file.name for file in ADAPTER.iterdir())}
    assert all(files[file.name] == file.read_bytes() for file in ADAPTER.iterdir())


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert command("export", *arguments, "--out", "out") == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: ") and not Path("out").exists()
    assert not list(Path().glob(".out*")), "nothing half-written stays"
    return told[-1]


def test_a_mistyped_model_is_told_with_the_nearest_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'did you mean "iter1"?' in refused(capsys, "iter")


def test_an_existing_folder_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/mine").write_text("mine")
    assert command("export", "iter1", "--out", "out") == 2
    assert "exists already" in capsys.readouterr().err and Path("out/mine").read_text() == "mine"


def edit(change, name: str = "adapter_model.safetensors") -> None:
    """Change the adapter, and have the model's manifest accept it."""
    weights = load_file(ADAPTER / name)
    save_file(change(weights), ADAPTER / name, metadata={"format": "pt"})
    row = read_json(Path("models/iter1/model.json"))
    write_json(Path("models/iter1/model.json"), row | {"adapter": sha256_file(ADAPTER / name)})


@pytest.mark.parametrize("kind", [(), ("--adapter",)], ids=["merged", "adapter"])
def test_an_adapter_for_another_base_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], kind: tuple[str, ...]
) -> None:
    kept = load_file(ADAPTER / "adapter_model.safetensors")
    edit(lambda weights: {n: torch.cat([t, t], -1) if "q_proj.lora_A" in n else t for n, t in weights.items()})
    told = refused(capsys, "iter1", *kind)
    assert "does not fit this model" in told and "q_proj.weight is [128, 128] there" in told
    edit(lambda _: {n: t for n, t in kept.items() if "layers.1.self_attn" not in n})
    assert "4 that it lacks" in refused(capsys, "iter1", *kind)
    edit(lambda _: kept | {n.replace("layers.1", "layers.7"): t.clone() for n, t in kept.items() if "q_proj" in n})
    assert "1 that the model lacks (thinker.model.layers.7.self_attn.q_proj.weight)" in refused(capsys, "iter1", *kind)
    edit(lambda _: {n: t[: len(t) // 2] if "experts.lora_A" in n else t for n, t in kept.items()})
    assert "not this model's" in refused(capsys, "iter1", *kind) or "does not fit" in refused(capsys, "iter1", *kind)


def test_numbers_that_are_none_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(lambda weights: {n: t * torch.inf if "experts.lora_B" in n else t for n, t in weights.items()})
    assert "its training diverged" in refused(capsys, "iter1")


def test_an_adapter_of_a_kind_that_is_not_merged_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = read_json(ADAPTER / "adapter_config.json")
    write_json(ADAPTER / "adapter_config.json", config | {"use_dora": True})
    assert "use_dora is set" in refused(capsys, "iter1")


def test_a_missing_and_a_cut_shard_are_named(project: Path) -> None:
    in_shards(BASE, torch.float32)
    shard = BASE / "model-00002-of-00003.safetensors"
    data = shard.read_bytes()
    for content, message in ((data[: len(data) // 2], "damaged or cut short"), (None, "missing, one of the 3 files")):
        shard.unlink()
        if content:
            shard.write_bytes(content)
        with (
            pytest.raises(UserError, match=f"model-00002-of-00003.safetensors: {message}"),
            new_folder(Path("out")) as at,
        ):
            merge(BASE, ADAPTER, at)
        assert not Path("out").exists() and not list(Path().glob(".out*"))


def test_no_room_is_told_before_anything_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usage = shutil.disk_usage(".")._replace(free=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage)
        assert ", 0.0 GB are free" in refused(capsys, "iter1")
    check_room(1_000, Path("not/yet/there"))


def test_a_disk_that_fills_up_is_one_message(project: Path) -> None:
    """The system's own limit to the size of files stands for it: writing fails in the middle of a shard."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000));"
        "from cli.main import app; app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "export", "iter1", "--out", "out"], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "out: the disk is full" in done.stderr and "Traceback" not in done.stderr
    assert not Path("out").exists() and not list(Path().glob(".out*"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 400_000


def test_what_a_killed_run_left_goes_and_two_runs_do_not_meet(project: Path) -> None:
    Path(".out.partial/sub").mkdir(parents=True)
    Path(".out.partial/model.safetensors").write_bytes(b"half of it")
    assert command("export", "iter1", "--out", "out", "--adapter") == 0
    assert (
        "model.safetensors" not in {file.name for file in Path("out").iterdir()} and not Path(".out.partial").exists()
    )
    with new_folder(Path("again")) as scratch:
        (scratch / "mine").write_text("mine")
        errors = []

        def other() -> None:
            try:
                with new_folder(Path("again")):
                    pass
            except UserError as error:
                errors.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert "another run is writing it" in errors[0] and (scratch / "mine").exists()
    assert Path("again/mine").read_text() == "mine"


# ── The card ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_card_gives_the_metrics_of_these_very_weights(project: Path) -> None:
    """The repository's metrics are of another adapter; with this one's hash in them, they are given."""
    assert command("export", "iter1", "--out", "one") == 0
    card = ModelCard.load("one/README.md")
    assert card.data.eval_results is None and "are of other weights than these" in card.text
    for path in Path("metrics/scores/iter1").glob("*.json"):
        row = read_json(path)
        for run in row["run"]:
            run["model"]["adapter"] = sha256_file(ADAPTER / "adapter_model.safetensors")
        path.write_text(json.dumps(row))
    assert command("export", "iter1", "--out", "two") == 0
    card = ModelCard.load("two/README.md")
    wanted = read_json(Path("metrics/scores/iter1/structured_reasoning.json"))["detail"][0]
    values = {result.metric_name: result for result in card.data.eval_results}
    assert len(values) == 4
    strict = values["strict accuracy, prompt structured_reasoning"]
    assert strict.metric_value == pytest.approx(100 * wanted["acc_strict"])
    assert strict.metric_args == {
        "low_95": pytest.approx(100 * wanted["low"]), "high_95": pytest.approx(100 * wanted["high"]), "questions": 800,
    }  # fmt: skip
    assert values["official accuracy, prompt structured_reasoning"].metric_value == pytest.approx(
        100 * wanted["acc_official"]
    )
    versus = next(
        row
        for row in read_json(Path("metrics/training/summary.json"))["versus_base"]
        if row["b"] == "iter1" and row["prompt"] == "structured_reasoning"
    )
    assert versus["verdict_text"] in card.text and f"{100 * versus['difference']:+.1f}" in card.text
    assert "accepted at scale 1: on dev +4.8 points" in card.text and "Music Theory" in card.text


def test_the_card_says_what_is_not_known_and_shows_names_to_the_letter(project: Path) -> None:
    prompt = Path("prompts/structured_reasoning.yaml")
    hostile = "Listen. ``` <script> | *bold* [x](y)"
    text = re.sub(r"(?ms)^system:.*?(?=^\S)", f"system: {json.dumps(hostile)}\n", prompt.read_text())
    prompt.write_text(text)
    shutil.rmtree("metrics")
    assert command("export", "iter1", "--out", "out", "--adapter") == 0
    card = ModelCard.load("out/README.md")
    assert card.data.library_name == "peft" and card.data.base_model is None, "the base is not on the hub"
    assert "Its accuracy is not known." in card.text
    assert "data/questions/manifest.json was not there" in card.text
    assert "of a commit that is not known" in card.text
    assert f"````text\n{hostile}\n````" in card.text


def test_a_hub_models_card_names_its_commit_and_licence(project: Path) -> None:
    from audio_reasoning.render.model_card import model_card
    from stages.model_card import facts_of

    write_json(BASE / "pointer.json", {"id": "lab/model", "revision": "0" * 40})
    snapshot = Path(shutil.copytree(BASE, "snapshot"))
    for license, told in ((None, "unknown"), ("mit", "mit")):
        if license:
            (snapshot / "README.md").write_text(f"---\nlicense: {license}\n---\n# It\n")
        card = ModelCard(model_card(facts_of("iter1", "adapter", BASE, snapshot, ADAPTER, load_project())))
        assert card.data.license == told and card.data.base_model == "lab/model"
        assert f"--revision {'0' * 40}" in card.text and f"revision='{'0' * 40}'" in card.text
