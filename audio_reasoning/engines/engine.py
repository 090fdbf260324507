"""The one seam through which models are asked: requests in, answers out, and decoding is a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from audio_reasoning.core.plugins import load_part
from audio_reasoning.core.records import Audio
from audio_reasoning.engines.params import Decoding as Decoding
from audio_reasoning.engines.params import Runtime, Serve

if TYPE_CHECKING:
    from audio_reasoning.engines.answers import ChatResult

ENGINES = {
    "vllm": "audio_reasoning.engines.vllm:open_engine",
    "openai": "audio_reasoning.engines.openai:open_engine",
    "transformers": "audio_reasoning.engines.transformers:open_engine",
}

OnAnswer = Callable[[int, "ChatResult"], object]  # with the index of its request


@dataclass(frozen=True)
class Exchange:
    """Two turns before the question, of the user, with a clip or without, and of the assistant: a worked example."""

    user: str
    response: str
    audio: Audio | None


@dataclass(frozen=True)
class Request:
    """One question to a model: texts, a clip (None: text alone), and text of its own that it is to write on from.

    `demonstrations` stand between the system text and the question.
    """

    id: str
    system: str
    user: str
    audio: Audio | None
    continues: str = ""
    demonstrations: tuple[Exchange, ...] = ()

    @property
    def clips(self) -> list[Audio]:
        """All clips of the conversation, in their order."""
        return [audio for audio in (*(one.audio for one in self.demonstrations), self.audio) if audio]


class Engine(Protocol):
    """Something that answers. `identity` holds what of it decides answers.

    `gives_token_ids` tells whether results hold the ids of prompt and completion, `can_continue` whether a request's
    `continues` is heeded.
    """

    identity: dict[str, Any]
    gives_token_ids: bool
    can_continue: bool

    def keys(self, requests: Sequence[Request], decoding: Decoding) -> list[str]:
        """For each request a hash of all that decides its answer; requests of one key share one."""

    def generate(self, requests: Sequence[Request], decoding: Decoding, known: int, on_answer: OnAnswer) -> None:
        """Answer all requests, and call `on_answer` once with each as it comes.

        They are those of the last call of `keys` whose answers are not known, of equal keys one; `known` is how many
        others are. A request that cannot be answered has a result with an error. Raises UserError when the engine
        cannot be used at all.
        """


@dataclass(frozen=True)
class Setup:
    """What an engine is opened with: its name, a model folder, an adapter on it if any, and how it is run.

    `model` is a checkpoint or a pointer to one on the hub, never an adapter's folder (see `core.models.resolve`).
    Resumable work is kept in the folder `work`; `label` names what is asked in its log of runs. `on_load` is told every
    second what a local server does. `clips` is how many a request may hold.
    """

    backend: str
    model: Path
    adapter: Path | None
    serve: Serve
    runtime: Runtime
    media_root: Path
    endpoint_model: str = ""
    label: str = ""
    clips: int = 1
    on_load: Callable[[str], object] | None = None
    work: Path = field(kw_only=True)


def open_engine(setup: Setup) -> Engine:
    """The engine `setup.backend` (`vllm`, `openai`, `transformers`), or any that `module:object` makes of a Setup.

    Nothing is started or loaded before it has to answer. Raises UserError for an unknown name, and as the engine does.
    """
    engine: Engine = load_part(setup.backend, ENGINES, "infer.backend")(setup)
    return engine
