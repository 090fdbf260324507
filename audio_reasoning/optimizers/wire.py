"""Our requests and answers as DSPy's language models pass them on (`dspy.lm15`), and back again."""

from typing import Any

from audio_reasoning.core.records import Audio
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.engine import Exchange, Request
from audio_reasoning.optimizers.library import dspy

lm15: Any = dspy.lm15


def to_lm(request: Request, model: str) -> Any:
    """A request of ours as one of DSPy's; a clip is named by its hash, and its file goes along as an extension."""
    messages = []
    for one in request.demonstrations:
        messages += [_user(one.user, one.audio), lm15.Message.assistant([lm15.TextPart(one.response)])]
    clips = {audio.sha256: [audio.path, audio.duration_s] for audio in request.clips}
    return lm15.Request(
        model=model,
        system=request.system or None,
        messages=(*messages, _user(request.user, request.audio)),
        config=lm15.Config(extensions={"question": request.id, "clips": clips}),
    )


def _user(text: str, audio: Audio | None) -> Any:
    return lm15.Message.user([*([lm15.AudioPart(file_id=audio.sha256)] if audio else []), lm15.TextPart(text)])


def from_lm(request: Any) -> Request:
    """The request of ours that `to_lm` was given."""
    extensions = request.config.extensions
    *before, last = request.messages

    def read(message: Any) -> str:
        return "".join(part.text for part in message.parts if part.type == "text")

    def heard(message: Any) -> Audio | None:
        sha256 = next((part.file_id for part in message.parts if part.type == "audio"), None)
        return Audio(extensions["clips"][sha256][0], sha256, extensions["clips"][sha256][1]) if sha256 else None

    shown = [
        Exchange(read(user), read(assistant), heard(user))
        for user, assistant in zip(before[::2], before[1::2], strict=True)
    ]
    return Request(extensions["question"], request.system or "", read(last), heard(last), demonstrations=tuple(shown))


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
