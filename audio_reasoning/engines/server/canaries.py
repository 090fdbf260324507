"""Questions with known answers, asked once of each new server.

vLLM ignores a request's unknown fields without a word, and a wrong chat template can drop the audio. So
before any result is made, see that audio reaches the model at its true length, and that the sampling
parameters act.
"""

import asyncio
import base64
import io
import random
import wave
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from audio_reasoning.core.audio import SAMPLE_RATE_HZ
from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.endpoint import Server, call, public_url
from audio_reasoning.engines.messages import ChatRequest
from audio_reasoning.engines.params import Runtime

_SAMPLES, _TOKENS = 4, 16
_HOT = 2.0  # a temperature at which two samples of 16 tokens are never the same


def check_canaries(base_url: str, api_key: str, model_name: str, audio_tokens: Callable[[int], int]) -> None:
    """Raise UserError unless the server hears audio, and obeys max_tokens, n, temperature and seed.

    `audio_tokens` gives the tokens that a clip of so many samples becomes in the model's family.
    """

    def ask(content: Any, **parameters: Any) -> Any:
        body = {"model": model_name, "messages": [{"role": "user", "content": content}], **parameters}
        try:
            return call(base_url, api_key, "/v1/chat/completions", body, timeout_s=300)
        except (OSError, ValueError, HTTPException) as error:
            detail = error.read().decode(errors="replace") if hasattr(error, "read") else ""
            raise UserError(f"the new server does not answer a chat request: {error} {detail}") from None

    def prompt_tokens(*seconds: int) -> int:
        usage = ask(_clips(*seconds), max_tokens=1, temperature=0)["usage"]
        _expect(usage["completion_tokens"] == 1, f"max_tokens=1 gave {usage['completion_tokens']} tokens")
        return int(usage["prompt_tokens"])

    def sampled(seed: int) -> list[list[int]]:
        answer = ask(
            "Hi",
            **{"n": _SAMPLES, "temperature": _HOT, "top_p": 1.0, "max_tokens": _TOKENS, "seed": seed},
            return_token_ids=True,
        )
        return [choice["token_ids"] for choice in answer["choices"]]

    silent, short, long = prompt_tokens(), prompt_tokens(2), prompt_tokens(4)
    expected = [audio_tokens(seconds * SAMPLE_RATE_HZ) for seconds in (2, 4)]
    _expect(short >= silent + expected[0], f"a 2 s clip added {short - silent} prompt tokens, not {expected[0]}")
    _expect(
        long - short == expected[1] - expected[0],
        f"2 s more of audio added {long - short} prompt tokens, not {expected[1] - expected[0]}",
    )
    first, again, other = sampled(1), sampled(1), sampled(1001)
    _expect(len(first) == _SAMPLES, f"n={_SAMPLES} gave {len(first)} samples")
    _expect(any(a != b for a, b in zip(first, other, strict=True)), "seed or temperature does not act")
    # Batched arithmetic may differ in the last digit on a GPU, so one equal sample is proof enough.
    _expect(any(a == b for a, b in zip(first, again, strict=True)), "the same seed gave other tokens")


def check_hearing(server: Server, runtime: Runtime) -> None:
    """Raise UserError if an endpoint of any make does not count more prompt tokens for a clip than for none.

    How many more depends on its model. An endpoint that tells no usage cannot be checked. Also raises as
    `Connection.ask` does.
    """
    silent, hearing = asyncio.run(_prompt_tokens(server, runtime, _clips(), _clips(2)))
    if silent and hearing <= silent:
        raise UserError(
            f"{public_url(server.base_url)}: a clip adds no prompt tokens, so {server.model_name} does not hear the "
            "audio it is sent"
        )


async def _prompt_tokens(server: Server, runtime: Runtime, *contents: list[dict[str, Any]]) -> list[int]:
    """How many prompt tokens an endpoint counts for each of these contents, 0 where it does not tell."""
    from audio_reasoning.engines.connection import (
        Connection,  # imports aiohttp, which a local server's check does not need
    )

    connection = Connection(server, runtime)
    try:
        counts = []
        for content in contents:
            messages = [{"role": "user", "content": content}]
            request = ChatRequest("a probe", messages, temperature=0.0, top_p=1.0, max_tokens=1, seed=0)
            result = await connection.ask(request)
            if result.error:
                raise UserError(
                    f"{public_url(server.base_url)} does not answer a chat request to {server.model_name}: "
                    f"{result.error}"
                )
            counts.append(result.prompt_tokens)
        return counts
    finally:
        await connection.close()


def _clips(*seconds: int) -> list[dict[str, Any]]:
    return [*({"type": "input_audio", "input_audio": _noise(s)} for s in seconds), {"type": "text", "text": "Hi"}]


def _expect(holds: bool, finding: str) -> None:
    if not holds:
        raise UserError(f"the new server cannot be trusted with an experiment: {finding}; it is stopped")


def _noise(seconds: int) -> dict[str, str]:
    """A clip of white noise, 16 kHz mono, as an input_audio part holds it."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(random.Random(0).randbytes(2 * seconds * SAMPLE_RATE_HZ))
    return {"data": base64.b64encode(buffer.getvalue()).decode(), "format": "wav"}
