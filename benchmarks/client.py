"""Measure the client beside a bare aiohttp loop, and beside other evaluation tools where they are installed.

    python -m benchmarks.client                                          # against the tests' own small server
    python -m benchmarks.client --url http://127.0.0.1:8000/v1 --key KEY --model NAME --file --media FOLDER
    python -m benchmarks.client --peers                                  # inspect_ai and evalscope, where installed

Each contender is a process of its own, start-up included, and they run in turn; figures are medians. `cpu_s_per_100` is
the process's CPU time for 100 answers, `first_s` the time from its launch to its first request. The cache and all
checks are on; each run has an empty cache but for `again`, where the clips that were converted are kept. Nothing else
should run meanwhile.

| contender | what it is                                                                               |
|-----------|------------------------------------------------------------------------------------------|
| bare      | aiohttp, a semaphore, response.json(): the least that asks the questions                 |
| ours      | `ask`, clips inside the request or (--file) as file:// addresses                         |
| again     | ours with other seeds, in the same folder: no clip is converted                          |
| inspect   | inspect_ai's generate over its OpenAI provider (--peers)                                 |
| evalscope | evalscope's perf over the same bodies (--peers), without clips                           |
"""

import argparse
import asyncio
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/client.json"
REPEATS = 5
CLIP_S = 3.0
TEXT = "Which of these is heard in the clip? (A) a dog (B) a cat (C) a bell (D) rain. Think, then answer. Clip {}"


def make_clips(folder: Path, count: int) -> None:
    """Noise as FLAC, one file a question, and as WAV for those who read no other."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    for i in range(count):
        noise = rng.integers(-3_000, 3_000, round(16_000 * CLIP_S), dtype=np.int16)
        for kind in ("flac", "wav"):
            soundfile.write(folder / f"{i}.{kind}", noise, 16_000, subtype="PCM_16")


def contend(spec: dict[str, Any]) -> None:
    """Run one contender in this process and print its figures; `spec` says which, and what it asks."""
    run = {"bare": bare, "ours": ours, "again": ours, "inspect": inspect_ai, "evalscope": evalscope}[spec["who"]]
    first = run(spec)
    seconds, used = time.time() - spec["launched"], resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "questions_per_s": round(spec["count"] / seconds, 2),
                "cpu_s_per_100": round((used.ru_utime + used.ru_stime) / spec["count"] * 100, 4),
                "first_s": None if first is None else round(first - spec["launched"], 3),
                "peak_mib": round(used.ru_maxrss / 1024),
            }
        )
    )


def ours(spec: dict[str, Any]) -> float:
    """Our client; returns when its first request went out."""
    from audio_reasoning.core.files import sha256_file
    from audio_reasoning.core.records import Audio
    from audio_reasoning.engines.cache import ResponseCache
    from audio_reasoning.engines.client import ask
    from audio_reasoning.engines.endpoint import Server
    from audio_reasoning.engines.messages import ChatRequest, audio_part, text_part
    from stages.params import Runtime

    media = Path(spec["media"])
    server = Server(
        *("vllm" if spec["file"] else "openai", spec["url"], spec["key"], spec["model"]), {"model": "m"}, "", media
    )
    runtime = Runtime(
        concurrency=spec["in_flight"],
        request_timeout_s=600,
        retries=6,
        server_start_s=1,
        server_idle_s=1,
        checkpoint_steps=1,
    )
    requests = []
    for i in range(spec["count"]):
        parts = [audio_part(Audio(f"{i}.flac", sha256_file(media / f"{i}.flac"), CLIP_S)), text_part(TEXT.format(i))]
        messages = [{"role": "user", "content": parts}]
        requests.append(ChatRequest(str(i), messages, 0.1, 1.0, spec["tokens"], seed=spec["seed"]))
    sent: list[float] = []
    cache = ResponseCache(Path(spec["folder"]) / "responses.sqlite")
    results = ask(requests, server, cache, runtime, on_send=lambda: sent or sent.append(time.time()))
    assert not any(result.error for result in results)
    return sent[0]


def bare(spec: dict[str, Any]) -> float:
    """The same requests with nothing around them; returns when its first request went out."""
    import base64

    import aiohttp

    gate = asyncio.Semaphore(spec["in_flight"])
    sent: list[float] = []

    def clip(path: Path) -> dict[str, Any]:
        if spec["file"]:
            return {"type": "audio_url", "audio_url": {"url": path.as_uri()}}
        import io

        import soundfile

        samples, rate_hz = soundfile.read(path, dtype="int16")
        wav = io.BytesIO()
        soundfile.write(wav, samples, rate_hz, format="WAV", subtype="PCM_16")
        data = base64.b64encode(wav.getvalue()).decode()
        return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}

    async def run() -> None:
        headers, timeout = {"Authorization": f"Bearer {spec['key']}"}, aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as client:

            async def one(i: int) -> None:
                async with gate:
                    parts = [clip(Path(spec["media"]) / f"{i}.flac"), {"type": "text", "text": TEXT.format(i)}]
                    body = {
                        **{"model": spec["model"], "messages": [{"role": "user", "content": parts}], "n": 1},
                        **{"temperature": 0.1, "top_p": 1.0, "max_tokens": spec["tokens"], "seed": spec["seed"]},
                        **({"return_token_ids": True} if spec["file"] else {}),
                    }
                    sent.append(time.time())
                    async with client.post(f"{spec['url']}/chat/completions", json=body) as reply:
                        assert (await reply.json())["choices"][0]["message"]["content"] is not None

            await asyncio.gather(*map(one, range(spec["count"])))

    asyncio.run(run())
    return sent[0]


def inspect_ai(spec: dict[str, Any]) -> float | None:
    """An eval by inspect_ai of a task without a scorer, logs as it makes them."""
    os.environ.update(OPENAI_BASE_URL=spec["url"], OPENAI_API_KEY=spec["key"])
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser, ContentAudio, ContentText, GenerateConfig

    def content(i: int) -> list[Any]:
        path = str(Path(spec["media"]) / f"{i}.wav")
        return [ContentAudio(audio=path, format="wav"), ContentText(text=TEXT.format(i))]

    samples = [Sample(input=[ChatMessageUser(content=content(i))]) for i in range(spec["count"])]
    config = GenerateConfig(
        max_connections=spec["in_flight"], temperature=0.1, max_tokens=spec["tokens"], seed=spec["seed"]
    )
    logs = eval(
        Task(dataset=MemoryDataset(samples), config=config),
        model=f"openai/{spec['model']}",
        log_dir=spec["folder"],
        max_samples=spec["in_flight"],
        display="none",
    )
    assert logs[0].status == "success", logs[0].error
    return None


def evalscope(spec: dict[str, Any]) -> float | None:
    """Evalscope's load generator over the same texts."""
    from evalscope.perf.arguments import Arguments
    from evalscope.perf.main import run_perf_benchmark

    prompts = Path(spec["folder"]) / "prompts.txt"
    prompts.write_text("".join(TEXT.format(i) + "\n" for i in range(spec["count"])))
    run_perf_benchmark(
        Arguments(
            model=spec["model"],
            url=f"{spec['url']}/chat/completions",
            api="openai",
            api_key=spec["key"],
            dataset="line_by_line",
            dataset_path=str(prompts),
            number=spec["count"],
            parallel=spec["in_flight"],
            max_tokens=spec["tokens"],
            stream=False,
            outputs_dir=spec["folder"],
        )
    )
    return None


@contextmanager
def fake_server() -> Iterator[tuple[str, str, str]]:
    """Address, key and model of the tests' server, in a process of its own; an answer takes it 0.1 s."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.fake_openai", "--port", str(port), "--served-model-name", "fake"]
    env = os.environ | {"VLLM_API_KEY": "key"}
    process = subprocess.Popen([*command, "--latency", "0.1"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", "key", "fake"
    finally:
        process.terminate()
        process.wait()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Medians of each contender at each number in flight, and the ratio of ours to the bare loop."""
    peers = {"inspect": "inspect_ai", "evalscope": "evalscope"} if args.peers else {}
    contenders = ["bare", "ours", "again", *(who for who, module in peers.items() if importlib.util.find_spec(module))]
    results: dict[str, Any] = {}
    with ExitStack() as stack:
        url, key, model = (args.url, args.key, args.model) if args.url else stack.enter_context(fake_server())
        media = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=args.media)))
        make_clips(media, args.count)
        for in_flight in args.in_flight:
            runs: dict[str, list[dict[str, Any]]] = {who: [] for who in contenders}
            for repeat in range(args.repeats):
                folder = Path(tempfile.mkdtemp(prefix="client-"))
                for number, who in enumerate(contenders):
                    spec = {
                        **{"who": who, "url": url, "key": key, "model": model, "media": str(media)},
                        **{"folder": str(folder), "file": args.file, "count": args.count, "tokens": args.tokens},
                        # Seeds of their own, so that no contender is answered from a server's cache of another's.
                        **{"in_flight": in_flight, "seed": 1_000 * repeat + number, "launched": time.time()},
                    }
                    command = [sys.executable, "-m", "benchmarks.client", "--contend", json.dumps(spec)]
                    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
                    runs[who].append(json.loads(done.stdout.splitlines()[-1]))
                shutil.rmtree(folder)
            table = {who: _medians(rows) for who, rows in runs.items()}
            ratio = table["ours"]["questions_per_s"] / table["bare"]["questions_per_s"]
            results[f"in_flight_{in_flight}"] = {**table, "ratio": round(ratio, 3)}
    return results


def _medians(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: None if rows[0][name] is None else round(statistics.median(row[name] for row in rows), 4)
        for name in rows[0]
    }


def main() -> None:
    """Measure, print, and write benchmarks/client.json where the server is the tests' own or --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an endpoint, instead of the tests' server")
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", default="m")
    parser.add_argument("--file", action="store_true", help="name clips by file://, as for a local vLLM")
    parser.add_argument("--media", help="a folder that the server may read, for --file")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contend:
        contend(json.loads(args.contend))
        return
    results = measure(args)
    print(json.dumps(results, indent=2))
    if args.write:
        from audio_reasoning.core.files import write_json
        from benchmarks.run import machine

        write_json(RESULTS, {**results, "on": machine()})


if __name__ == "__main__":
    main()
