"""A small OpenAI-compatible server over real HTTP, with faults on demand.

In a test: `with FakeOpenAI() as fake`. As a program, in vLLM's place: `python tests/fake_openai.py --port N …`;
it ignores vLLM's own options, and takes its key from VLLM_API_KEY as vLLM does.
"""

import argparse
import asyncio
import base64
import hashlib
import io
import os
import sys
import threading
import time
import wave
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from aiohttp import web

from audio_reasoning.families.qwen3_omni.audio_tokens import audio_token_count

Fault = Callable[[web.Request], Any]


def status(code: int, **headers: str) -> Fault:
    """Answer with an error."""

    async def fault(request: web.Request) -> web.Response:
        body = {"error": {"message": f"injected {code}", "code": code}}
        return web.json_response(body, status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return fault


def reset() -> Fault:
    """Drop the connection."""

    async def fault(request: web.Request) -> web.Response:
        request.transport.abort()
        return web.Response()

    return fault


def hang(seconds: float) -> Fault:
    """Answer much later."""

    async def fault(request: web.Request) -> None:
        await asyncio.sleep(seconds)

    return fault


def hold(until: Callable[[], bool], seconds: float = 15) -> Fault:
    """Answer once `until()` holds, or after `seconds` all the same, so that a test fails instead of standing still."""

    async def fault(request: web.Request) -> None:
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    return fault


def answer(payload: Any) -> Fault:
    """Answer 200 with this JSON."""

    async def fault(request: web.Request) -> web.Response:
        return web.json_response(payload)

    return fault


def raw(content: bytes, content_type: str = "application/json", code: int = 200, **headers: str) -> Fault:
    """Answer with these very bytes."""

    async def fault(request: web.Request) -> web.Response:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=content, status=code, headers={"Content-Type": content_type, **more})

    return fault


class FakeOpenAI:
    """Samples are hashes of the text, the seed and the sample's number; audio counts as in Qwen3-Omni."""

    def __init__(self, key: str = "key", model: str = "fake", latency_s: float = 0.0) -> None:
        self.key, self.model, self.latency_s = key, model, latency_s
        self.deaf = self.unseeded = False
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()  # requests by their last text, faults included
        self.answered: list[str] = []  # texts, in the order of their answers
        self.answered_at: dict[str, float] = {}  # when each text was last answered, by time.monotonic()
        self.most_samples: int | None = None  # in one answer, whatever n says
        self.metrics: list[str] = []  # texts of /metrics; one a request, then the last again
        self.faults: dict[str, list[Fault]] = defaultdict(list)  # by text; one a request, then none
        self.in_flight = self.peak = 0
        self.port = 0
        self.adapters: dict[str, str] = {}  # paths by name
        self.lora = "off"  # on | off: no such address | refuse | forget: say it is loaded, and list it not

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/chat/completions", self._chat)
        if self.lora != "off":
            app.router.add_post("/v1/load_lora_adapter", self._load)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, request: web.Request) -> web.Response:
        if not self.metrics:
            raise web.HTTPNotFound
        return web.Response(text=self.metrics.pop(0) if len(self.metrics) > 1 else self.metrics[0])

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        return None

    async def _models(self, request: web.Request) -> web.Response:
        return self._refused(request) or web.json_response({"data": [{"id": name} for name in self._names()]})

    def _names(self) -> list[str]:
        return [self.model, *self.adapters]

    async def _load(self, request: web.Request) -> web.Response:
        """As vLLM 0.32 answers: an error with its message, or a line of plain text."""
        if refused := self._refused(request):
            return refused
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        if self.lora == "refuse" or name in self.adapters:
            reason = "LoRA rank 128 is greater than max_lora_rank 64." if self.lora == "refuse" else "already loaded"
            return web.json_response({"error": {"message": reason, "code": 400}}, status=400)
        if self.lora == "on":
            self.adapters[name] = path
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _chat(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        body = await request.json()
        text, seconds = _content(body)
        self.bodies.append(body)
        self.asked[text] += 1
        if body["model"] not in self._names():
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self.faults[text] and (reply := await self.faults[text].pop(0)(request)) is not None:
                return reply
            await asyncio.sleep(self.latency_s)
            self.answered.append(text)
            self.answered_at[text] = time.monotonic()
            return web.json_response(self._completion(body, text, seconds))
        finally:
            self.in_flight -= 1

    def _completion(self, body: dict[str, Any], text: str, samples: int) -> dict[str, Any]:
        count = 1 if body["max_tokens"] == 1 else min(body["max_tokens"], 16)
        choices = []
        for index in range(min(body.get("n", 1), self.most_samples or 1_000)):
            seed = os.urandom(8) if self.unseeded else (body.get("seed", 0) + index, body.get("temperature", 1.0))
            spoken = text if body["model"] == self.model else f"{body['model']}: {text}"
            ids = list(hashlib.sha256(f"{spoken}|{seed}".encode()).digest()[:count])
            message = {"role": "assistant", "content": f"{spoken} #{'-'.join(map(str, ids[:3]))}"}
            choice = {"index": index, "message": message, "finish_reason": "stop"}
            choices.append(choice | ({"token_ids": ids} if body.get("return_token_ids") else {}))
        prompt = len(text.split()) + 4 + (0 if self.deaf or not samples else audio_token_count(samples) + 2)
        usage = {"prompt_tokens": prompt, "completion_tokens": count * len(choices), "total_tokens": 0}
        extra = {"prompt_token_ids": list(range(prompt))} if body.get("return_token_ids") else {}
        return {"object": "chat.completion", "choices": choices, "usage": usage} | extra

    def __enter__(self) -> "FakeOpenAI":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, in a thread."""
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            self._runner = web.AppRunner(self.app(), shutdown_timeout=0.1)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
            await site.start()
            self.port = self._runner.addresses[0][1]
            started.set()

        def run() -> None:
            self._loop.create_task(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(30)

    def stop(self) -> None:
        """Drop all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def _content(body: dict[str, Any]) -> tuple[str, int]:
    """The last message's text, and the number of samples of its inline WAV clips."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content, 0
    text = " ".join(part["text"] for part in content if part["type"] == "text")
    clips = [part["input_audio"]["data"] for part in content if part["type"] == "input_audio"]
    return text, sum(wave.open(io.BytesIO(base64.b64decode(clip))).getnframes() for clip in clips)


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--latency", type=float, default=0)
    parser.add_argument("--die", help="print this and end")
    parser.add_argument("--lora", default="on" if os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") else "off")
    for flag in ("--mute", "--deaf", "--unseeded"):
        parser.add_argument(flag, action="store_true")
    args, _ = parser.parse_known_args()
    if args.die:
        sys.exit(args.die)
    while args.mute:
        time.sleep(1)
    fake = FakeOpenAI(os.environ["VLLM_API_KEY"], args.served_model_name, args.latency)
    fake.deaf, fake.unseeded, fake.lora = args.deaf, args.unseeded, args.lora
    web.run_app(fake.app(), host="127.0.0.1", port=args.port, print=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
