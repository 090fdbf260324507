"""A judge behind an OpenAI-compatible endpoint, over real HTTP, whose replies a test decides."""

import json
from collections.abc import Callable
from typing import Any

from tests.fake_openai import FakeOpenAI


def reply(*met: Any, first: int = 1) -> str:
    """A reply in the form that is asked for."""
    return json.dumps({"items": [{"item": n, "why": "so", "met": m} for n, m in enumerate(met, start=first)]})


class FakeJudge(FakeOpenAI):
    """Replies with `decide(prompt, seed)`; `seeds` lists what was asked for, by prompt."""

    def __init__(self, decide: Callable[[str, int], str], latency_s: float = 0.0) -> None:
        super().__init__(model="judge", latency_s=latency_s)
        self.decide = decide

    @property
    def seeds(self) -> list[int]:
        return sorted(body["seed"] for body in self.bodies)

    def _completion(self, body: dict[str, Any], text: str, samples: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.decide(text, body["seed"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        return {"object": "chat.completion", "choices": [choice], "usage": usage}
