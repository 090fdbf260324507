"""Adapters beside the base model in one running vLLM, each under a name of its own.

Nothing is overwritten in the server: its prefix cache tells adapters apart by name and path alone. An adapter
part that vLLM does not wrap is left out without a word, so a new adapter's answers are to be compared with those of
the trainer.
"""

import json
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json, sha256_json
from audio_reasoning.core.models import CONFIG, adapter_identity, adapter_name
from audio_reasoning.engines.endpoint import fetch, served_models

ENVIRONMENT = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
_RANKS = (64, 128, 256, 320, 512)  # of those that vLLM takes; the least one holds the usual adapter
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_LOAD_S = 300


def lora_flags(adapter: Path | None) -> list[str]:
    """Flags of a server that can take `adapter`; None gives those that fit the usual one, of attention only.

    So the base model and its usual adapters share a server. Experts are wrapped only for an adapter that has them,
    because that costs speed and memory.

    Raises UserError when the adapter's rank is larger than vLLM allows.
    """
    flags = ["--enable-lora", "--max-loras", "2", "--max-cpu-loras", "4"]
    config: dict[str, Any] = {} if adapter is None else read_json(adapter / CONFIG)
    rank = max(config.get("r", 0), *config.get("rank_pattern", {}).values(), 0)
    if rank > _RANKS[-1]:
        raise UserError(f"{adapter}: vLLM serves ranks up to {_RANKS[-1]}, not {rank}; lower train.lora.rank")
    flags += ["--max-lora-rank", str(next(known for known in _RANKS if rank <= known))]
    if not config.get("target_parameters") and _ATTENTION.issuperset(config.get("target_modules", ())):
        flags += ["--lora-target-modules", "qkv_proj", "o_proj"]  # vLLM fuses the first three
    return flags


def served_name(adapter: Path) -> str:
    """The name of an adapter in a server: its model's, and a hash of its files and their place."""
    place = sha256_json([adapter_identity(adapter), str(adapter.absolute())])
    return f"{adapter_name(adapter)}-{place[:12]}"


def load_adapter(base_url: str, api_key: str, adapter: Path, name: str) -> None:
    """Have a local server load the adapter under its `served_name`, unless it has done so.

    Raises UserError, with the server's reason, when it does not, and when the adapter is no longer that of this name.
    """
    path = str(adapter.absolute())
    if name != served_name(adapter):
        raise UserError(f"{path}: the adapter changed while it was in use; run the same command again")
    try:
        if name in served_models(base_url, api_key):
            return
        fetch(base_url, api_key, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}, _LOAD_S)
        if name in served_models(base_url, api_key):
            return
        reason = "it was said to be loaded, but is not listed by /v1/models"
    except HTTPError as error:
        reason = _reason(error)
    except (OSError, ValueError, HTTPException) as error:
        reason = str(error)
    raise UserError(f"{path}: the server did not load the adapter: {reason}")


def _reason(error: HTTPError) -> str:
    """The server's own words; without any, 404 means that it was started without the environment's switch."""
    detail = error.read().decode(errors="replace")
    try:
        return f"HTTP {error.code}: {json.loads(detail)['error']['message']}"
    except (ValueError, LookupError, TypeError):
        hint = f" (is {next(iter(ENVIRONMENT))} set?)" if error.code == 404 else ""
        return f"HTTP {error.code}: {detail[:500]}{hint}"
