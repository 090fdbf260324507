"""Measure the pipeline on this machine and write benchmarks/results.json.

    make bench                       # everything: more than half an hour, in a temporary clone of HEAD
    make bench ARGS="throughput"     # one part

| part       | what is measured                                                                         |
|------------|------------------------------------------------------------------------------------------|
| cold       | `dvc repro` of mini in a fresh clone, nothing known; are its metrics the committed ones? |
| base_model | that stage alone, once more                                                              |
| noop       | `dvc repro` again                                                                        |
| edit       | `dvc repro` after a word changed in one prompt                                           |
| throughput | the test questions under one variant against a warm server, nothing cached               |
| sampling   | n=16 through our client beside a bare loop of the same requests, alternating, as a ratio |
| compare    | two prediction files of 1,000 questions compared by the command, process start included  |

Times are wall-clock seconds. Nothing else should run meanwhile.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from audio_reasoning.core.files import write_json
from audio_reasoning.core.records import Question, read_questions
from audio_reasoning.engines.answer import request_for, rollouts_of
from audio_reasoning.engines.answers import parse
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.cached import Cached
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import Engine, Request, Setup, open_engine
from audio_reasoning.engines.messages import ChatRequest, body, chat_request
from audio_reasoning.engines.server.server import ensure
from audio_reasoning.prompts.registry import load_prompt
from audio_reasoning.tasks.extract import read_answer
from audio_reasoning.tasks.reward import correct
from benchmarks import compare
from stages.layout import AUDIO, BASE_MODEL, PROMPTS, QUESTIONS, cache_dir
from stages.project import Project, load_project

RESULTS = Path("benchmarks/results.json")
VARIANT = "structured_reasoning"
EDITED = "anti_overthinking"  # not one that self-training samples under
REPEATS = 3


def repro(clone: Path, *options: str) -> dict[str, Any]:
    """Run `dvc repro` in `clone`: its seconds, those of a CPU, and each stage that ran with the seconds until the next.

    The CPU's are those of DVC and of what ends with it, so not of a server that stays.
    """
    started, before = time.monotonic(), _cpu_seconds()
    process = subprocess.Popen(
        ["dvc", "repro", *options],
        cwd=clone,
        env=environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    begun: list[tuple[str, float]] = []
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"Running stage '([^']+)'", line):
            begun.append((found[1], time.monotonic()))
    if process.wait():
        sys.exit("dvc repro failed:\n" + "".join(lines[-40:]))
    limits = [*(begin for _, begin in begun), time.monotonic()]
    stages = {name: round(end - begin, 1) for (name, begin), end in zip(begun, limits[1:], strict=True)}
    seconds = {"seconds": time.monotonic() - started, "cpu_seconds": _cpu_seconds() - before}
    return {name: round(value, 1) for name, value in seconds.items()} | {"stages": stages}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_model(stages: dict[str, float], models: Iterable[str]) -> dict[str, float]:
    """The seconds of each model of self-training, all its stages together."""
    return {name: round(sum(s for stage, s in stages.items() if re.search(rf"@{name}\b", stage)), 1) for name in models}


def base_model(clone: Path) -> dict[str, Any]:
    """Train the base model once more, as its stage does."""
    started = time.monotonic()
    command = [sys.executable, "-m", "stages.base_model"]
    subprocess.run(command, cwd=clone, env=environment(), check=True, capture_output=True)
    return {"seconds": round(time.monotonic() - started, 1)}


def pipeline(parts: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure `cold`, `base_model`, `noop` and `edit`, in this order, in one temporary clone; yield each as it ends."""
    with temporary_clone() as clone:
        # As if nothing had been run, here or elsewhere; what is made goes to this folder's cache, which is large.
        cache = Path(".dvc/cache").absolute()
        subprocess.run(["dvc", "cache", "dir", "--local", str(cache)], cwd=clone, check=True, env=environment())
        (clone / "dvc.lock").unlink()
        cold = repro(clone, "--no-run-cache")
        _keep_training(clone, cold["stages"])
        changed = subprocess.run(["git", "status", "--porcelain", "metrics"], cwd=clone, capture_output=True, text=True)
        yield "cold", {**cold, "metrics_identical_to_the_committed": not changed.stdout}
        if "base_model" in parts:
            yield "base_model", base_model(clone)
        if "noop" in parts:
            runs = [repro(clone) for _ in range(REPEATS)]
            assert not any(run["stages"] for run in runs), "a second dvc repro ran stages"
            yield "noop", {name: statistics.median(run[name] for run in runs) for name in ("seconds", "cpu_seconds")}
        if "edit" in parts:
            prompt = clone / "prompts" / f"{EDITED}.yaml"
            prompt.write_text(prompt.read_text().replace("a quick and certain ear", "a quick, certain ear"))
            _stop_server(clone)  # so that its start counts
            edit = repro(clone)
            evidence = {"arms", "compare", "errors", "headline", "judge", "compare_models", "submission", "report"}
            assert set(edit["stages"]) == {f"answer@{EDITED}", "score", "recipes", *evidence}, edit
            yield "edit", edit


def _keep_training(clone: Path, stages: dict[str, float]) -> None:
    """What the cold run's self-training gave belongs beside that of other presets and seeds."""
    from benchmarks.models import keep, outcome  # which imports from here

    params = yaml.safe_load((clone / "params.yaml").read_text())
    if params["models"]:
        keep(params["training"]["preset"], params["rest"]["seed"], outcome(clone, stages))


def throughput(params: Project) -> dict[str, Any]:
    """Questions a second under one variant, a warm server, an empty cache."""
    requests, decoding = (
        _requests(read_questions(QUESTIONS / "test.jsonl")),
        params.infer.decoding().model_copy(update={"n": 1}),
    )
    engine = _engine(params)
    with _server(params), _no_cache() as cache:
        Cached(engine, cache).generate(requests[:64], decoding)
    rates = []
    for _ in range(REPEATS):
        with _server(params), _no_cache() as cache:
            started = time.monotonic()
            results = Cached(engine, cache).generate(requests, decoding)
            rates.append(len(requests) / (time.monotonic() - started))
            assert not any(result.error for result in results)
    return {"questions": len(requests), "questions_per_s": round(statistics.median(rates), 1)}


def sampling(params: Project) -> dict[str, Any]:
    """Tokens a second with n=16: our client and a bare loop, in turn; the ratio of their medians.

    Also how often train questions are answered rightly in 16 samples: self-training feeds on those between.
    """
    questions = read_questions(QUESTIONS / "train.jsonl")[:200]
    requests = _requests(questions)
    decoding = params.infer.decoding().model_copy(update={"n": 16, "temperature": 0.9})
    engine, chats = _engine(params), [chat_request(request, decoding, token_ids=True) for request in requests]
    ours, bare = [], []
    with _server(params) as server:
        asyncio.run(_bare_loop(chats, server, params.runtime.concurrency))  # warm-up
        for _ in range(REPEATS):
            with _no_cache() as cache:
                started = time.monotonic()
                results = Cached(engine, cache).generate(requests, decoding)
                tokens = sum(sample.completion_tokens or 0 for result in results for sample in result.samples)
                ours.append(tokens / (time.monotonic() - started))
            started = time.monotonic()
            tokens = asyncio.run(_bare_loop(chats, server, params.runtime.concurrency))
            bare.append(tokens / (time.monotonic() - started))
    ratio = statistics.median(ours) / statistics.median(bare)
    rates = [
        sum(correct(q, read_answer(each, q.choices)) for each in rollouts_of(q.id, result, 16, False)) / 16
        for q, result in zip(questions, results, strict=True)
    ]
    return {
        "requests": len(requests),
        "client_tokens_per_s": round(statistics.median(ours)),
        "bare_loop_tokens_per_s": round(statistics.median(bare)),
        "ratio": round(ratio, 3),
        "pass_rate_0": _share(rate == 0 for rate in rates),
        "pass_rate_26_to_75": _share(0.25 < rate <= 0.75 for rate in rates),
        "pass_rate_100": _share(rate == 1 for rate in rates),
    }


async def _bare_loop(requests: list[ChatRequest], server: Server, concurrency: int) -> int:
    """The same requests with nothing around them; completion tokens."""
    gate = asyncio.Semaphore(concurrency)
    headers = {"Authorization": f"Bearer {server.api_key}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:

        async def one(request: ChatRequest) -> int:
            url = f"{server.base_url}/chat/completions"
            async with gate, client.post(url, json=body(request, server)) as response:
                answer = await response.json()
            return sum(sample.completion_tokens or 0 for sample in parse(answer, request).samples)

        return sum(await asyncio.gather(*map(one, requests)))


def _share(values: Iterable[bool]) -> float:
    return round(statistics.fmean(values), 3)


def _requests(questions: list[Question]) -> list[Request]:
    prompt = load_prompt(VARIANT, PROMPTS)
    return [request_for(question, prompt) for question in questions]


def _engine(params: Project) -> Engine:
    return open_engine(Setup("vllm", BASE_MODEL, None, params.serve, params.runtime, AUDIO, work=cache_dir()))


@contextmanager
def _server(params: Project) -> Iterator[Server]:
    with ensure(BASE_MODEL, params.serve, params.runtime, AUDIO.resolve(), cache_dir()) as server:
        yield server


@contextmanager
def _no_cache() -> Iterator[ResponseCache]:
    with tempfile.TemporaryDirectory() as folder:
        cache = ResponseCache(Path(folder) / "responses.sqlite")
        yield cache
        cache.close()


@contextmanager
def temporary_clone() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        subprocess.run(["git", "clone", "-q", ".", str(folder / "clone")], check=True)
        yield folder / "clone"
    finally:
        _stop_server(folder / "clone")
        shutil.rmtree(folder, ignore_errors=True)


def _stop_server(clone: Path) -> None:
    command = [sys.executable, "-m", "cli", "server", "stop"]
    subprocess.run(command, cwd=clone, env=environment(), check=False, stdout=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("DVC_ROOT", "PYTHONPATH")} | {"DVC_NO_ANALYTICS": "1"}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    clean = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "stages", "params.yaml", "prompts"])
    return {
        "cpu": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "commit": commit.stdout.strip() + ("" if clean.returncode == 0 else " with changes"),
    }


def main() -> None:
    """Measure the parts asked for; the others keep their last figures."""
    parts = ["cold", "base_model", "noop", "edit", "throughput", "sampling", "compare"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help="which parts (all)")
    asked = parser.parse_args().parts or parts
    for part, values in _measure(asked):
        # Each as it ends: what breaks later costs no figure.
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        write_json(RESULTS, {**results, part: {**values, "on": machine()}})
        print(part, json.dumps(values), flush=True)


def _measure(asked: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if {"cold", "base_model", "noop", "edit"} & set(asked):
        yield from pipeline(asked)
    if "throughput" in asked:
        yield "throughput", throughput(load_project())
    if "sampling" in asked:
        yield "sampling", sampling(load_project())
    if "compare" in asked:
        yield "compare", compare.measure()


if __name__ == "__main__":
    main()
