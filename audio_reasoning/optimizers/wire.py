"""Our requests and answers as DSPy's language models pass them on (`dspy.lm15`), and back again."""

from typing import Any

from audio_reasoning.core.records import Audio
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.engine import Request
from audio_reasoning.optimizers.library import dspy

lm15: Any = dspy.lm15


def to_lm(request: Request, model: str) -> Any:
    """A request of ours as one of DSPy's; a clip is named by its hash, and its file goes along as an extension."""
    clips = {request.audio.sha256: [request.audio.path, request.audio.duration_s]} if request.audio else {}
    heard = [lm15.AudioPart(file_id=request.audio.sha256)] if request.audio else []
    return lm15.Request(
        model=model,
        system=request.system or None,
        messages=(lm15.Message.user([*heard, lm15.TextPart(request.user)]),),
        config=lm15.Config(extensions={"question": request.id, "clips": clips}),
    )


def from_lm(request: Any) -> Request:
    """The request of ours that `to_lm` was given."""
    extensions = request.config.extensions
    [message] = request.messages
    audio = None
    for part in message.parts:
        if part.type == "audio":
            path, duration_s = extensions["clips"][part.file_id]
            audio = Audio(path, part.file_id, duration_s)
    return Request(extensions["question"], request.system or "", message.text, audio)


def answered(result: ChatResult, model: str) -> Any:
    """One answer of an engine of ours; `provider_data` has what a program is told beside its text."""
    text = result.samples[0].text if result.samples else ""
    reason = result.samples[0].finish_reason if result.samples else "error"
    return written(text, model, finish_reason=reason, error=result.error)


def written(text: str, model: str, **told: str) -> Any:
    """A text as a response of DSPy's."""
    return lm15.Response(
        id=None,
        model=model,
        message=lm15.Message.assistant([lm15.TextPart(text)]),
        finish_reason="stop",
        usage=lm15.Usage(),
        provider_data=told or None,
    )
