"""What `ask` asks with: the parameters of the project, or else defaults, and what the options change of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.runs import SAMPLES, VOTE, Run, named_run
from audio_reasoning.engines.engine import ENGINES, Setup, open_engine
from audio_reasoning.prompts.registry import Prompt, load_prompt
from stages.aliases import listed_run
from stages.answer import Params, condition_in, read_manifest
from stages.layout import PROMPTS
from stages.params import PARAMS, parse_params
from stages.project import load_project
from stages.setup import setup_of

# Where there is no params.yaml: thinking models want some temperature and long answers.
DEFAULTS: dict[str, Any] = {
    "infer": {
        "backend": "vllm",
        "temperature": 0.6,
        "top_p": 0.95,
        "max_tokens": 4096,
        "n": 1,
        "seed": 11,
        "endpoint_model": "",
        "max_error_rate": 0.01,
    },
    "thinking": {
        "force_answer": False,
        "force_answer_tokens": 16,
        "closing": "</think>\n\n",
        "reask_truncated": False,
        "reask_over_chars": None,
        "reask_max_tokens": 2000,
    },
    "serve": {"dtype": "bfloat16", "max_model_len": 8192, "tensor_parallel_size": 1, "adapters": "merge"},
    "runtime": {
        "concurrency": 256,
        "request_timeout_s": 600,
        "retries": 5,
        "server_start_s": 600,
        "server_idle_s": 300,
        "checkpoint_steps": 100,
    },
    "model": {"kind": "hub", "id": "models/base", "revision": "unknown", "tiny": None},
    "arms": {"permutations": 4, "seed": 23, "others": {}},
    "vote": {"n": 8, "temperature": 0.9, "top_p": 1.0, "seed": 17},
}


@dataclass(frozen=True)
class Asked:
    """A run to be asked; `as_declared` says whether its prompt and parameters are the project's."""

    run: Run
    prompt: Prompt
    params: Params
    as_declared: bool

    def setup(self) -> Setup:
        """The engine's; raises UserError for an engine, endpoint, model or condition that is none."""
        params, infer = self.params, self.params.infer
        condition_in(self.run, params)
        setup = setup_of(self.run.model, infer.backend, params.serve, params.runtime, infer.endpoint_model)
        open_engine(setup)
        return setup


def asked_params(
    name: str,
    prompt: str,
    engine: str,
    endpoint_model: str,
    in_flight: int | None,
    decoding: Mapping[str, float | None],
) -> Asked:
    """The run of that name with what the options change; UserError for a run, model, prompt or value that is none."""
    run = named_run(name)
    if run.condition == VOTE:
        raise UserError(f"{name}: votes are counted, not asked; `dvc repro vote` makes them of samples")
    if engine and ":" not in engine and engine not in ENGINES:
        raise UserError(f"--engine {engine}: no such engine, and no module:object; {nearest(engine, ENGINES)}")
    read_manifest(run.model)
    loaded, in_project = _prompt(prompt or run.variant)
    project = load_project() if PARAMS.is_file() else None
    run = listed_run(replace(run, variant=loaded.name), project.prompts.variants if project else ())
    declared = project.model_dump(include=set(DEFAULTS)) if project else DEFAULTS
    changed = {group: dict(values) for group, values in declared.items()}
    given = {key: value for key, value in decoding.items() if value is not None}
    sampled = {key: value for key, value in given.items() if key != "max_tokens"}
    changed["vote" if run.condition == SAMPLES else "infer"] |= sampled if run.condition == SAMPLES else given
    if "max_tokens" in given:
        changed["infer"]["max_tokens"] = given["max_tokens"]
    changed["infer"] |= {"backend": engine} if engine else {}
    changed["infer"] |= {"endpoint_model": endpoint_model} if endpoint_model else {}
    as_declared = project is not None and in_project and changed == declared
    if in_flight is not None:  # decides no answer
        changed["runtime"]["concurrency"] = in_flight
    where = f"{PARAMS if project else 'the defaults'} with the options given"
    return Asked(run, loaded, parse_params(Params, changed, where), as_declared)


def _prompt(name: str) -> tuple[Prompt, bool]:
    """A prompt by its name or its file, and whether it is one of the project's."""
    path = Path(name) if name.endswith((".yaml", ".yml")) or "/" in name else PROMPTS / f"{name}.yaml"
    if path.suffix != ".yaml":
        raise UserError(f"--prompt {name}: a prompt's file ends in .yaml")
    return load_prompt(path.stem, path.parent), path.resolve().parent == PROMPTS.resolve()
