"""Training on traces: the loss that was asked for, whatever the batches, and an interruption that changes nothing."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, kl_div, log_softmax, nll_loss

from audio_reasoning.algorithms.rest import fit as rest_fit
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, write_json
from audio_reasoning.core.rollouts import Trace
from audio_reasoning.families.qwen3_omni.checkpoint import load_thinker
from audio_reasoning.training import adapter as adapter_training
from audio_reasoning.training import loop, loss
from audio_reasoning.training.adapter import batches_of, train_adapter
from audio_reasoning.training.checkpoints import CHECKPOINT
from audio_reasoning.training.dataset import LengthBuckets, collate, padding_share
from audio_reasoning.training.loop import Row, row_interval
from audio_reasoning.training.loss import token_kl, token_losses
from audio_reasoning.training.params import Train
from stages import training_fit as stage
from stages.training_fit import adapted_model, check_machine, recipe
from tests.pipeline import wait_until
from tests.training_project import (
    BASE,
    ROOT,
    dataset,
    enter,
    one_core,
    processor,
    trace,
    train_params,
    write_bank,
    write_base,
    write_model_folder,
    write_params,
)

pytestmark = pytest.mark.slow

TOO_FAST = 1e37  # a learning rate whose first step still fits into float32
TRAININGS = Path(".cache/training")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    with one_core():
        yield


@pytest.fixture(autouse=True)
def project(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models/base, which is the working directory."""
    shutil.copytree(base, tmp_path / BASE)
    enter(tmp_path, monkeypatch)
    return tmp_path


@dataclass
class Trained:
    """A model after its training, and the rows on the way."""

    model: Any
    rows: list[Row]
    steps: int


def run(traces: list[Trace], train: Train, learning_rate: float = 1e-2, start: Path = BASE, seed: int = 0) -> Trained:
    """Train as the stage does, without checkpoints."""
    model = adapted_model(train, start, seed)
    batches = batches_of(dataset(traces, train.share_prompts), processor(), train, seed)
    return Trained(model, list(train_adapter(model, batches, train, learning_rate)), batches.steps)


def adapter(trained: Trained) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trained.model.named_parameters() if "lora_" in name}


def logged(trained: Trained, name: str = "loss") -> list[float]:
    return [row.loss if name == "loss" else row.measures[name] for row in trained.rows]


def same(first: Trained, second: Trained) -> bool:
    """Whether two trainings ended with the same weights, but for rounding."""
    a, b = adapter(first), adapter(second)
    return all(torch.allclose(a[name], b[name], atol=1e-5) for name in a | b)


def uneven(count: int) -> list[Trace]:
    """Traces of different lengths and weights."""
    return [trace(i, weight=0.5 + i, more="rain " * (3 * i)) for i in range(count)]


# ── Batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=200),
    size=st.integers(1, 40),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_every_trace_comes_once_an_epoch(lengths: list[int], size: int, epochs: int, seed: int) -> None:
    batches = list(LengthBuckets(lengths, size, epochs, seed))
    assert len(batches) == epochs * -(-len(lengths) // size)
    assert all(1 <= len(batch) <= size for batch in batches)
    for epoch in range(epochs):
        drawn = batches[epoch * len(batches) // epochs : (epoch + 1) * len(batches) // epochs]
        assert sorted(i for batch in drawn for i in batch) == list(range(len(lengths)))


def test_batches_depend_on_the_seed_and_nothing_else_and_differ_between_epochs() -> None:
    lengths = list(range(1, 501))
    batches = LengthBuckets(lengths, 8, 2, seed=1).batches
    assert batches == LengthBuckets(lengths, 8, 2, seed=1).batches != LengthBuckets(lengths, 8, 2, seed=2).batches
    half = len(batches) // 2
    assert not {tuple(b) for b in batches[:half]} & {tuple(b) for b in batches[half:]}, "other neighbours each time"
    means = [np.mean([lengths[i] for i in batch]) for batch in batches[:half]]
    assert means != sorted(means), "long traces do not all come last"


def test_batches_of_similar_lengths_hold_little_padding() -> None:
    rng = np.random.default_rng(0)
    lengths = (100 + rng.lognormal(4, 1, 1_000)).astype(int).tolist()
    order = rng.permutation(1_000).tolist()
    random = padding_share(lengths, [order[i : i + 8] for i in range(0, 1_000, 8)])
    assert padding_share(lengths, LengthBuckets(lengths, 8, 2, seed=0).batches) < random / 4
    assert padding_share([1, 3], [[0, 1]]) == pytest.approx(2 / 6) and padding_share([2, 2], [[0, 1]]) == 0


def test_a_clip_that_has_changed_is_refused() -> None:
    sound = trace(0)
    with pytest.raises(UserError, match=r"mini/0\.flac: the clip is missing or has changed"):
        dataset([sound, replace(sound, audio_sha256="of what it was")])
    with pytest.raises(UserError, match=r"mini/9\.flac: the clip is missing"):
        dataset([replace(sound, audio_path="mini/9.flac")])


# ── The loss ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def each_token(model: Any, traces: list[Trace]) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Weights, logits and targets of each trace's tokens, one trace at a time, by the model's own forward pass."""
    rows = []
    data = dataset(traces)
    for row in (data[i] for i in range(len(data))):
        batch = collate(processor(), [row])
        inputs = {name: batch[name] for name in batch if name not in ("labels", "weights")}
        with torch.no_grad():
            logits = model(**inputs).logits[0, :-1]
        targets = batch["labels"][0, 1:]
        rows.append((batch["weights"][0, 1:][targets != -100], logits[targets != -100], targets[targets != -100]))
    return rows


def test_the_loss_is_the_mean_over_tokens_of_the_weighted_losses() -> None:
    traces = uneven(3)
    trainer = run(traces, train_params(batch_size=4, micro_batch_size=1))
    rows = each_token(load_thinker(BASE), traces)
    total = sum((weights * cross_entropy(logits, targets, reduction="none")).sum() for weights, logits, targets in rows)
    assert logged(trainer) == [pytest.approx(float(total / sum(len(w) for w, _, _ in rows)), rel=1e-5)]


def several(count: int) -> list[Trace]:
    """Four traces of different lengths and weights for each of some prompts, in no order."""
    traces = [trace(i, weight=0.5 + i + j, more="rain " * (2 * i + j)) for j in range(4) for i in range(count)]
    return [replace(one, sample_index=index) for index, one in enumerate(traces)]


def test_traces_that_share_their_prompt_are_learnt_as_if_each_had_its_own() -> None:
    traces = several(3)
    shared = dataset(traces, share_prompts=True)
    assert len(shared) == 3 and [len(row) for row in shared.rows] == [4, 4, 4]
    lengths = dataset(traces).lengths()
    assert sum(shared.lengths()) < 0.7 * sum(lengths)
    wide = train_params(lora={"targets": "all", "rank": 4, "alpha": 8}, kl_coefficient=0.5, epochs=3)
    together = run(traces, wide.model_copy(update={"share_prompts": True, "batch_size": 3, "micro_batch_size": 3}))
    apart = run(traces, wide.model_copy(update={"batch_size": 12, "micro_batch_size": 12}))
    assert together.steps == apart.steps == 3
    assert logged(together) == pytest.approx(logged(apart), rel=1e-5)
    assert same(together, apart)


def test_only_traces_of_one_prompt_and_one_clip_share_a_row() -> None:
    here, there = trace(0), trace(2)  # one question about two clips of one length
    assert here.prompt_token_ids == there.prompt_token_ids
    assert len(dataset([here, there, replace(here, weight=2.0)], share_prompts=True)) == 2


def test_advantages_that_add_up_to_nothing_make_some_traces_likelier_and_others_less() -> None:
    liked, disliked = trace(0), trace(1, weight=-1.0)
    before, trained = load_thinker(BASE), run([liked, disliked], train_params(epochs=10))

    def surprise(model: Any, one: Trace) -> float:
        [(_, logits, targets)] = each_token(model, [one])
        return float(cross_entropy(logits, targets))

    gain = {one.weight: surprise(before, one) - surprise(trained.model, one) for one in (liked, disliked)}
    assert gain[-1.0] < gain[1.0] and gain[-1.0] < 0, gain


@pytest.mark.parametrize("micro_batch_size", [8, 2])
def test_the_logged_kl_is_the_mean_over_the_steps_tokens(micro_batch_size: int) -> None:
    start, traces = write_model_folder("iter1").parent, uneven(8)
    train = train_params(reset_to_base=False, micro_batch_size=micro_batch_size)
    trainer = run(traces, train, start=start)
    own, reference = (each_token(model, traces) for model in (adapted_model(train, start, 0), load_thinker(BASE)))
    total = sum(
        kl_div(log_softmax(q, -1), log_softmax(p, -1), reduction="sum", log_target=True)
        for (_, p, _), (_, q, _) in zip(own, reference, strict=True)
    )
    expected = float(total / sum(len(weights) for weights, _, _ in own))
    assert expected > 0.01 and logged(trainer, "kl") == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.parametrize("kl_coefficient", [0.0, 0.5])
def test_a_step_is_the_same_in_one_batch_and_in_several(kl_coefficient: float) -> None:
    start = write_model_folder("iter1", targets="all").parent
    lora = {"targets": "all", "rank": 4, "alpha": 8}
    whole, parts = (
        run(
            uneven(8),
            train_params(lora=lora, reset_to_base=False, kl_coefficient=kl_coefficient, micro_batch_size=size),
            start=start,
        )
        for size in (8, 2)
    )
    assert whole.steps == parts.steps == 1
    assert same(whole, parts) and logged(whole) == [pytest.approx(logged(parts)[0], rel=1e-5)]


def test_weights_and_the_divergence_from_the_base_change_the_result() -> None:
    start = write_model_folder("iter1").parent
    train = train_params(reset_to_base=False)
    plain = run(uneven(4), train, start=start)
    assert same(plain, run(uneven(4), train, start=start))
    assert not same(plain, run([replace(one, weight=1.0) for one in uneven(4)], train, start=start))
    assert not same(plain, run(uneven(4), train.model_copy(update={"kl_coefficient": 0.5}), start=start))


@given(seed=st.integers(0, 99), tokens=st.integers(1, 9), at_once=st.integers(1, 10 * 50))
def test_losses_are_torchs_however_many_logits_are_held_at_once(seed: int, tokens: int, at_once: int) -> None:
    generator = torch.manual_seed(seed)
    head = torch.nn.Linear(8, 50)
    states, reference = (3 * torch.randn(tokens, 8, generator=generator) for _ in range(2))
    targets = torch.randint(50, (tokens,), generator=generator)
    states.requires_grad_()
    own, other = log_softmax(head(states), -1), log_softmax(head(reference), -1).detach()
    model = SimpleNamespace(lm_head=head)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(loss, "LOGITS", at_once)
        losses, divergence = token_losses(model, states, targets), token_kl(model, states, reference)
        with torch.inference_mode():
            assert torch.equal(token_losses(model, states, targets), losses)
    for found, expected in (
        (losses, nll_loss(own, targets, reduction="none")),
        (divergence, kl_div(other, own, reduction="none", log_target=True).sum(-1)),
    ):
        assert torch.allclose(found, expected, atol=1e-5)
        shares = torch.rand(tokens, generator=generator)
        slopes = [
            torch.autograd.grad((shares * each).sum(), states, retain_graph=True)[0] for each in (found, expected)
        ]
        assert torch.allclose(*slopes, atol=1e-5)


def test_a_training_is_the_same_however_many_logits_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    start, train = write_model_folder("iter1").parent, train_params(reset_to_base=False, kl_coefficient=0.5)
    whole = run(uneven(4), train, start=start)
    monkeypatch.setattr(loss, "LOGITS", 4 * whole.model.lm_head.out_features)  # of four tokens
    parts = run(uneven(4), train, start=start)
    assert same(whole, parts) and logged(whole) == pytest.approx(logged(parts), rel=1e-5)
    assert logged(whole, "kl") == pytest.approx(logged(parts, "kl"), rel=1e-4)


def test_the_divergence_is_always_logged_and_its_weight_pulls_towards_the_base() -> None:
    traces = [trace(i) for i in range(8)]
    free, held = (run(traces, train_params(epochs=50, kl_coefficient=weight)) for weight in (0.0, 100.0))
    assert [row.step for row in free.rows] == list(range(2, 51, 2))
    assert 0 < logged(held, "kl")[-1] < logged(free, "kl")[-1] / 2
    assert logged(free)[-1] < logged(free)[0], "it learns"


def test_a_training_of_a_few_steps_is_logged_too() -> None:
    trainer = run([trace(i) for i in range(8)], train_params(batch_size=2, micro_batch_size=2))
    assert [row.step for row in trainer.rows] == [1, 2, 3, 4]
    assert logged(trainer, "kl")[-1] > 0


@pytest.mark.parametrize(("steps", "interval"), [(1, 1), (39, 1), (63, 3), (190, 9), (712, 25), (2_032, 25)])
def test_a_short_training_is_logged_and_saved_more_often(steps: int, interval: int) -> None:
    assert row_interval(steps) == interval


# ── How it is trained ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("targets", ["attention", "experts"])
def test_gradient_checkpointing_gives_the_same_weights(targets: str) -> None:
    lora = {"targets": targets, "rank": 4, "alpha": 8}
    plain, saving = (
        run(uneven(4), train_params(lora=lora, epochs=3, kl_coefficient=0.5, gradient_checkpointing=on))
        for on in (False, True)
    )
    assert not plain.model.get_base_model().is_gradient_checkpointing
    assert saving.model.get_base_model().is_gradient_checkpointing
    assert saving.steps == 3 and same(plain, saving)


def test_bfloat16_trains_an_adapter_in_float32() -> None:
    trainer = run(uneven(4), train_params(dtype="bfloat16", lora={"targets": "all", "rank": 4, "alpha": 8}, epochs=2))
    assert trainer.model.dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in adapter(trainer).values())
    assert all(p.abs().sum() > 0 for name, p in adapter(trainer).items() if "lora_B" in name)


def test_a_diverging_training_ends_with_an_explanation() -> None:
    with pytest.raises(UserError, match="diverged by step 2; lower its learning_rate"):
        run([trace(0)], train_params(epochs=5), learning_rate=TOO_FAST)


def test_a_last_step_that_breaks_the_weights_is_noticed_though_no_loss_follows() -> None:
    train = train_params()
    model = adapted_model(train, BASE, seed=0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(UserError, match="diverged by step 1"):
        list(train_adapter(model, batches_of(dataset([trace(0)]), processor(), train, 0), train, 1e-2))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantization": "nf4", "gradient_checkpointing": True}, "nf4 trains on CUDA only"),
        ({"optimizer": "paged_adamw_8bit"}, "paged_adamw_8bit needs CUDA"),
    ],
)
def test_what_needs_a_gpu_is_refused_without_one(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        check_machine(train_params(**change), cuda=False)
    check_machine(train_params(**change), cuda=True)


def test_an_iteration_starts_again_from_the_base_or_goes_on(project: Path) -> None:
    previous = load_file(write_model_folder("iter1") / "adapter_model.safetensors")

    def starts(train: Train, start: Path) -> dict[str, torch.Tensor]:
        model = adapted_model(train, start, seed=3)
        return {name.replace(".default", ""): p for name, p in model.named_parameters() if p.requires_grad}

    on, again = (starts(train_params(reset_to_base=reset), Path("models/iter1")) for reset in (False, True))
    assert on.keys() == again.keys() == previous.keys()
    assert all(torch.equal(on[name], previous[name]) for name in previous)
    assert all((p == 0).all() for name, p in again.items() if "lora_B" in name)
    first = starts(train_params(reset_to_base=False), BASE)
    assert all(torch.equal(first[name], again[name]) for name in again), "the base has no adapter to go on with"
    with pytest.raises(UserError, match=r"not what train\.lora asks for"):
        starts(
            train_params(reset_to_base=False, lora={"targets": "attention", "rank": 8, "alpha": 8}),
            Path("models/iter1"),
        )


# ── The stage ────────────────────────────────────────────────────────────────────────────────────────────────────────


def train(monkeypatch: pytest.MonkeyPatch, name: str = "iter1") -> None:
    checked = Path(f"metrics/training/check_{name}.json")
    if not checked.exists():
        write_json(checked, {"passed": True})
    monkeypatch.setattr(sys, "argv", ["train", "--model", name])
    stage.main()


def results() -> dict[str, bytes]:
    folders = [Path("models/candidates/iter1"), Path("metrics/training")]
    return {str(file): file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}


def checkpoints() -> list[Path]:
    return list(TRAININGS.glob(f"*/{CHECKPOINT}"))


@pytest.fixture
def models() -> None:
    """Sixty steps of two micro-batches; `checkpoint_steps` fits no number of logged steps."""
    lora = {"targets": "all", "rank": 4, "alpha": 8}
    settings = train_params(lora=lora, batch_size=4, micro_batch_size=2, epochs=20, warmup_share=0.1, weight_decay=0.1)
    write_params(settings, checkpoint_steps=7, iter1={"from": "base", "method": "rest", "learning_rate": 1e-2})
    write_bank("iter1", [trace(i, weight=1 + i / 12, more="rain " * (i % 5)) for i in range(12)])


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(
    models: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(monkeypatch)
    whole = results()
    assert "metrics/training/train_iter1/plots/metrics/kl.tsv" in whole and not checkpoints()
    assert Path("metrics/training/train_iter1/plots/metrics/loss.tsv").read_text().count("\n") == 1 + 60 // 3
    shutil.rmtree("models/candidates")
    shutil.rmtree("metrics/training/train_iter1")
    Path("metrics/training/train_iter1.json").unlink()

    command = [sys.executable, "-m", "stages.training_fit", "--model", "iter1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: bool(checkpoints()) or process.poll() is not None)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not Path("models/candidates").exists()
    [checkpoint] = checkpoints()
    done = torch.load(checkpoint, weights_only=True)["rows"][-1]["step"]
    checkpoint.with_name(f".{CHECKPOINT}.half").write_bytes(b"what a kill may leave beside it")

    batches: list[Any] = []
    of_a_batch = adapter_training.collate
    monkeypatch.setattr(adapter_training, "collate", lambda *a: batches.append(a) or of_a_batch(*a))
    capsys.readouterr()
    train(monkeypatch)
    assert len(batches) == 2 * (60 - done) < 2 * 60, "only what was still to do"
    assert f"going on from {checkpoint.resolve()}" in capsys.readouterr().out
    assert results() == whole
    assert not list(TRAININGS.iterdir())


def interrupted(monkeypatch: pytest.MonkeyPatch, rate: float = 1e-2, name: str = "iter1") -> Path:
    """Where a training that is interrupted at once leaves its checkpoints."""
    write_params(train_params(), **{name: {"from": "base", "method": "rest", "learning_rate": rate}})
    write_bank(name, [trace(0)])
    folders: list[Path] = []

    def interrupt(model: Any, batches: Any, settings: Any, rate: float, checkpoint: Path, *_: Any) -> None:
        folders.append(checkpoint.parent)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(rest_fit, "train_adapter", interrupt)
        train(patch, name)
    return folders[0]


def test_a_training_with_other_parameters_does_not_go_on_from_this_ones_checkpoints_and_deletes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, again = interrupted(monkeypatch), interrupted(monkeypatch)
    assert first == again and first.is_dir()
    of_another_iteration = interrupted(monkeypatch, name="iter10")
    other = interrupted(monkeypatch, rate=2e-2)
    assert other != first and {*TRAININGS.absolute().iterdir()} == {other, of_another_iteration}


def test_checkpoints_that_another_process_is_making_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted(monkeypatch)
    # Locks belong to processes: this one would take its own.
    take = "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire()"
    holding = f"{take}; print(flush=True); input()"
    command = [sys.executable, "-c", holding, str(folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        interrupted(monkeypatch, rate=2e-2)
        assert folder.is_dir()
        process.communicate(b"\n")
    interrupted(monkeypatch, rate=2e-2)
    assert not folder.exists()


@pytest.mark.parametrize("package", ["torch", "transformers", "peft", "bitsandbytes", "accelerate"])
def test_nor_does_one_with_another_version_of_a_library(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    version, before = metadata.version, recipe()
    monkeypatch.setattr(metadata, "version", lambda name: "another" if name == package else version(name))
    assert recipe() == before | {package: "another"}


@pytest.mark.parametrize("file", ["audio_reasoning/training/loop.py", "stages/training_fit.py"])
def test_nor_does_one_by_other_code(tmp_path: Path, file: str) -> None:
    for room in ("audio_reasoning/algorithms", "audio_reasoning/training", "audio_reasoning/families", "stages"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    before = recipe(tmp_path)
    assert before == recipe()
    with (tmp_path / file).open("a") as source:
        source.write("# changed\n")
    after = recipe(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {file}


def test_nor_does_one_by_another_state_of_ones_own_method(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    method = project / "own_method.py"
    method.write_text("fit = None\n")
    before = recipe(method="own_method:fit")
    method.write_text("fit = None  # changed\n")
    after = recipe(method="own_method:fit")
    assert {name for name in after if before[name] != after[name]} == after.keys() - recipe().keys() == {"method"}


def test_code_decides_where_checkpoints_are(monkeypatch: pytest.MonkeyPatch) -> None:
    first = interrupted(monkeypatch)
    monkeypatch.setattr(stage, "PACKAGES", ("torch",))
    assert interrupted(monkeypatch) != first


def test_a_training_that_diverged_leaves_no_checkpoint_to_diverge_from_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = train_params(batch_size=2, micro_batch_size=2)
    write_params(settings, checkpoint_steps=1, iter1={"from": "base", "method": "rest", "learning_rate": TOO_FAST})
    write_bank("iter1", [trace(i) for i in range(12)])
    saved: list[Path] = []
    save = loop.save_checkpoint
    monkeypatch.setattr(loop, "save_checkpoint", lambda path, *rest: (save(path, *rest), saved.extend(checkpoints())))
    train(monkeypatch)
    told = capsys.readouterr().err
    assert "REFUSED: iter1" in told and "training diverged by step" in told and "lower its" in told
    assert saved, "there was one"
    assert not list(TRAININGS.iterdir())
    refusal = read_json(Path("metrics/training/train_iter1.json"))["refused"]
    assert refusal["stage"] == "training_fit" and refusal == read_json(Path("models/candidates/iter1/refused.json"))
    assert [file.name for file in Path("models/candidates/iter1").iterdir()] == ["refused.json"]
    assert not Path("metrics/training/train_iter1/metrics.json").exists()


def test_what_was_refused_is_not_trained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(train_params(), iter1={"from": "base", "method": "rest", "learning_rate": 1e-2})
    refusal = {"stage": "training_check", "reasons": ["it is deaf"], "ways_out": ["other clips"]}
    write_json(Path("metrics/training/check_iter1.json"), {"passed": False, "refused": refusal})
    monkeypatch.setattr(stage, "fit", None)
    train(monkeypatch)
    assert read_json(Path("models/candidates/iter1/refused.json")) == refusal
    assert read_json(Path("metrics/training/train_iter1.json")) == {"refused": refusal}
    assert (
        Path("metrics/training/train_iter1/plots").is_dir() and "refused by training_check" in capsys.readouterr().out
    )


def test_the_candidate_is_the_trained_adapter_and_the_metrics_say_how_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    write_model_folder("iter1")
    write_params(
        train_params(reset_to_base=False, epochs=3),
        iter1={"from": "base", "method": "rest", "learning_rate": 1e-2},
        iter2={"from": "iter1", "method": "rest", "learning_rate": 1e-9},
    )
    write_bank("iter2", [trace(i) for i in range(8)])
    before = load_file("models/iter1/adapter/adapter_model.safetensors")
    train(monkeypatch, "iter2")
    after = load_file("models/candidates/iter2/adapter_model.safetensors")
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before), "it goes on from iter1"
    assert not all(torch.equal(before[name], after[name]) for name in before)
    metrics = read_json(Path("metrics/training/train_iter2.json"))
    assert (metrics["traces"], metrics["steps"], metrics["adapted_matrices"]) == (8, 3, 8)
    assert metrics["adapter_parameters"] == sum(tensor.numel() for tensor in after.values())
    assert metrics["loss_first"] > 0 and metrics["kl_last"] > 0.01
