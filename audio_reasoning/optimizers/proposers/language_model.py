"""The proposers that are models: `served`, the one whose prompt is optimised, and `endpoint`, any other."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from audio_reasoning.core.thinking import split_thinking
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.cached import Cached, cached
from audio_reasoning.engines.client import ask
from audio_reasoning.engines.endpoint import named_endpoint
from audio_reasoning.engines.engine import Decoding, Engine, Request
from audio_reasoning.engines.messages import cache_key, chat_request
from audio_reasoning.engines.params import Runtime
from audio_reasoning.optimizers.params import ProposerParams
from audio_reasoning.optimizers.proposers.proposer import NoReplyError, ProposerUsage, Wanted

URL, KEY = "AUDIO_REASONING_PROPOSER_URL", "AUDIO_REASONING_PROPOSER_KEY"
TOP_P = 1.0
FENCE = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
FIELD = re.compile(r"\[\[ ## \w+ ## \]\]")  # MIPROv2 asks for a text under such a line

Ask = Callable[[Request, Decoding], ChatResult]


class LanguageModel:
    """See `Proposer`; `ask` gives one reply, from a cache where it has one."""

    def __init__(self, label: str, ask: Ask, params: ProposerParams) -> None:
        self.label, self._ask = label, ask
        self._decoding = Decoding(
            temperature=params.temperature, top_p=TOP_P, max_tokens=params.max_tokens, n=1, seed=0
        )
        self.usage = ProposerUsage()

    def propose(self, wanted: Wanted, seed: int) -> str:
        """The reply without its thinking, and without a fence around all of it."""
        return self._reply(wanted.system, wanted.user, seed)

    def describe(self, system: str, user: str, seed: int) -> str:
        """The reply, empty where none came: it only helps with what is asked next."""
        try:
            return self._reply(system, user, seed)
        except NoReplyError:
            return ""

    def label_of(self, instruction: str) -> str:
        """Its first words."""
        return instruction if len(instruction) <= 60 else f"{instruction[:59]}…"

    def _reply(self, system: str, user: str, seed: int) -> str:
        decoding = self._decoding.model_copy(update={"seed": seed})
        result = self._ask(Request(f"proposal {seed}", system, user, None), decoding)
        self.usage.calls += 1
        if result.error:
            raise NoReplyError("no reply")
        [sample] = result.samples
        self.usage.prompt_tokens += result.prompt_tokens
        self.usage.completion_tokens += sample.completion_tokens or 0
        if sample.finish_reason == "length":
            raise NoReplyError("cut off")
        return said(sample.text)


def said(text: str) -> str:
    r"""What a reply says: without thinking, its first field if it has fields, and of a fenced text what is within.

    >>> said("<think>Hm.</think>\n```text\nListen.\n```"), said("[[ ## summary ## ]]\nBells.\n\n[[ ## completed ## ]]")
    ('Listen.', 'Bells.')
    """
    fields = FIELD.split(split_thinking(text)[1])
    body = fields[min(1, len(fields) - 1)].strip()
    fenced = FENCE.fullmatch(body)
    return fenced[1] if fenced else body


def served(engine: Engine, cache: ResponseCache, params: ProposerParams) -> LanguageModel:
    """The model that is served, asked in text alone."""
    model = Cached(engine, cache)
    return LanguageModel("served", lambda request, decoding: model.generate([request], decoding)[0], params)


def endpoint(name: str, cache: ResponseCache, params: ProposerParams, runtime: Runtime) -> LanguageModel:
    """The model `params.model` behind the endpoint that the environment names, for the search `name`.

    Raises UserError where it names none.
    """
    server = named_endpoint(*needs(name), params.model, Path())
    alone = runtime.model_copy(update={"concurrency": 1})

    def reply(request: Request, decoding: Decoding) -> ChatResult:
        chat = replace(chat_request(request, decoding), messages=_plain(request))
        [result] = cached(
            [chat],
            [cache_key(chat, server)],
            cache,
            lambda missing, known, answer: ask(
                missing, server, alone, answer, folder=cache.folder, label="proposer", known=known
            ),
        )
        return result

    return LanguageModel(f"endpoint {params.model}", reply, params)


def needs(name: str) -> tuple[str, str, str]:
    """What of the search `name` needs an endpoint, and the environment variables of its address and its key."""
    return f"optimize.{name}.proposer.kind is endpoint", URL, KEY


def _plain(request: Request) -> list[dict[str, str]]:
    """The messages with contents that are texts: many endpoints know no parts."""
    return [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}]
