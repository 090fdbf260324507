"""The engine `vllm`: a local server, started when something has to be answered (see `engines.server`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from audio_reasoning.core.models import merged_path
from audio_reasoning.engines.client import ask
from audio_reasoning.engines.engine import Decoding, OnAnswer, Request, Setup
from audio_reasoning.engines.messages import ChatRequest, cache_key, chat_request
from audio_reasoning.engines.server.server import ensure, planned

# Around the model's own chat template: the conversation as it was first asked, then the last message as it stands.
# `continue_final_message` would not do, since some templates, Qwen3-Omni's among them, drop the thinking of an
# assistant's message, and it can only continue what they leave.
CONTINUE = (
    "{{% set unfinished = messages[-1]['content'] %}}"
    "{{% set messages = messages[:-1] %}}{{% set add_generation_prompt = true %}}"
    "{template}"
    "{{{{ unfinished if unfinished is string else unfinished[0]['text'] }}}}"
)


class Vllm:
    """See `audio_reasoning.engines.engine.Engine`."""

    gives_token_ids = True
    can_continue = True

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        root = setup.media_root.resolve()
        self._planned = planned(setup.model, setup.serve, root, setup.work, setup.adapter, setup.clips)
        self._template = ""
        self.identity: dict[str, Any] = self._planned.identity

    def keys(self, requests: Sequence[Request], decoding: Decoding) -> list[str]:
        """A key for each request, whatever is asked beside it."""
        return [cache_key(self._chat(request, decoding), self._planned) for request in requests]

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """Start or find the server of this model, and ask."""
        setup = self._setup
        if setup.serve.adapters == "merge":
            self._merge()
        root = setup.media_root.resolve()
        with ensure(
            setup.model, setup.serve, setup.runtime, root, setup.work, adapter=setup.adapter, clips=setup.clips
        ) as server:
            ask(
                [self._chat(request, decoding) for request in requests],
                server,
                setup.runtime,
                on_answer,
                folder=setup.work,
                on_load=setup.on_load,
                label=setup.label,
                known=known,
            )

    def _merge(self) -> None:
        model, adapter, work = self._setup.model, self._setup.adapter, self._setup.work
        if adapter is not None and not merged_path(model, adapter, work).is_dir():
            from audio_reasoning.families.merged import merged_checkpoint  # imports torch

            merged_checkpoint(model, adapter, work)

    def _chat(self, request: Request, decoding: Decoding) -> ChatRequest:
        chat = chat_request(request, decoding, token_ids=True)
        if not request.continues:
            return chat
        messages = [*chat.messages, {"role": "assistant", "content": request.continues}]
        template = self._template or self._continuing()
        return replace(chat, messages=messages, extra={"chat_template": template, "add_generation_prompt": False})

    def _continuing(self) -> str:
        from audio_reasoning.families.family import family_of

        template = str(family_of(self._setup.model).processor(self._setup.model).tokenizer.chat_template)
        # Jinja drops one newline at the end of a template, which here is no end.
        self._template = CONTINUE.format(template=template.removesuffix("\n"))
        return self._template


def open_engine(setup: Setup) -> Vllm:
    """The engine for one model; raises UserError where vLLM is not installed or there is no such model."""
    return Vllm(setup)
