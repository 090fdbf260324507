"""Ratings by a judge model behind an OpenAI-compatible endpoint: cached, within a budget, asked again if unusable."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.progress import progress
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.cached import cached
from audio_reasoning.engines.client import ask
from audio_reasoning.engines.endpoint import Server, named_endpoint
from audio_reasoning.engines.engine import OnAnswer
from audio_reasoning.engines.messages import ChatRequest, cache_key
from audio_reasoning.engines.params import Runtime
from audio_reasoning.judging.params import Judge
from audio_reasoning.judging.ratings import Reply, parse_reply

URL, KEY = "AUDIO_REASONING_JUDGE_URL", "AUDIO_REASONING_JUDGE_KEY"
ENDPOINT = ("judge.kind is endpoint", URL, KEY)
ATTEMPTS = 3  # replies to one rating, until it has failed
_ATTEMPT_SEED = 1_000  # between the seeds of two attempts; rating i has the seed judge.seed + i


@dataclass(frozen=True)
class Failure:
    """Why there is no rating."""

    reason: str


class Budget:
    """Counts the requests that go out, tries included, and lets no more than `limit` of them pass."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sent = 0

    def require(self, needed: int) -> None:
        """Raise UserError unless `needed` requests may still be sent."""
        if needed > self.limit - self.sent:
            raise UserError(
                f"judging needs {needed} more requests, and judge.max_calls = {self.limit} leaves "
                f"{self.limit - self.sent}; raise it, or judge fewer runs (judge.runs). None of them was sent"
            )

    def spend(self) -> None:
        """Count one request; raise UserError where it would be one too many."""
        if self.sent == self.limit:
            raise UserError(
                f"judge.max_calls = {self.limit} requests were sent, those that failed and were tried again included; "
                "what was answered is kept, and the same command goes on from there"
            )
        self.sent += 1


def judge_server(model: str) -> Server:
    """The judge model's endpoint; raises as `named_endpoint` does."""
    return named_endpoint(*ENDPOINT, model, Path())


def rate(
    prompts: Sequence[tuple[str, list[dict[str, Any]]]],
    server: Server,
    judge: Judge,
    cache: ResponseCache,
    runtime: Runtime,
) -> list[list[Reply | Failure]]:
    """`judge.ratings` replies for each of `prompts` (an id for messages, and the messages), in their order.

    A reply that is no rating is asked for again under another seed, ATTEMPTS times in all. Replies are cached, these
    included, so the same call asks only for what is missing. Raises UserError before anything is sent if more is
    missing than judge.max_calls, when that many requests have been sent, and as `ask` does.
    """
    budget = Budget(judge.max_calls)
    places = [(index, number) for index in range(len(prompts)) for number in range(judge.ratings)]
    ratings: dict[tuple[int, int], Reply | Failure] = {}

    def send(missing: Sequence[ChatRequest], known: int, on_answer: OnAnswer) -> None:
        budget.require(len(missing))
        folder = cache.folder
        ask(missing, server, runtime, on_answer, folder=folder, on_send=budget.spend, label="judge", known=known)

    with progress(len(places), "reply", judge.model) as bar:
        for attempt in range(ATTEMPTS):
            requests = [_request(*prompts[index], judge, number, attempt) for index, number in places]
            keys = [cache_key(request, server) for request in requests]
            results = cached(requests, keys, cache, send, lambda *_: bar.update())
            ratings.update((place, _read(result)) for place, result in zip(places, results, strict=True))
            places = [place for place, result in zip(places, results, strict=True) if _unusable(ratings[place], result)]
            bar.total += len(places)
    return [[ratings[index, number] for number in range(judge.ratings)] for index in range(len(prompts))]


def _request(name: str, messages: list[dict[str, Any]], judge: Judge, number: int, attempt: int) -> ChatRequest:
    return ChatRequest(
        id=f"{name}, rating {number + 1}",
        messages=messages,
        temperature=judge.temperature,
        top_p=1.0,
        max_tokens=judge.max_tokens,
        seed=judge.seed + number + attempt * _ATTEMPT_SEED,
    )


def _read(result: ChatResult) -> Reply | Failure:
    if result.error:
        return Failure(result.error)
    [sample] = result.samples
    try:
        return parse_reply(sample.text)
    except ValueError as error:
        cut = " (cut off at judge.max_tokens)" if sample.finish_reason == "length" else ""
        return Failure(f"the reply is no rating: {error}{cut}")


def _unusable(rating: Reply | Failure, result: ChatResult) -> bool:
    """Whether a reply came that is no rating, so that another seed may give one."""
    return isinstance(rating, Failure) and not result.error
