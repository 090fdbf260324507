"""The parameters of where questions come from, typed; `conf/profile/` documents them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.typed import Name, Strict
from audio_reasoning.tasks.combine_params import Combine, Decontaminate
from audio_reasoning.tasks.source_params import (
    AudioMcqSource,
    AvqaSource,
    CountingQaSource,
    HubSource,
    MmarSource,
    MmauSource,
    MusicBenchSource,
    Published,
    ReasonAqaSource,
    Sha256,
    SplitOrShares,
    TacosSource,
    YoutubeSource,
)
from audio_reasoning.tasks.source_params import Shares as Shares


class MiniSource(Strict):
    """MMAR-mini: questions synthesised in MMAR's taxonomy."""

    loader: Literal["mini"]
    seed: int
    train: Annotated[int, Field(ge=0)]
    dev: Annotated[int, Field(ge=0)]
    test: Annotated[int, Field(ge=0)]
    min_share: Annotated[float, Field(ge=0, le=1 / 16)]


class FilesSource(Published):
    """Questions in MMAR's schema (JSON array or JSONL) with an audio folder, on this machine.

    `sha256` pins their content: `audio-reasoning fingerprint NAME --write`.
    """

    loader: Literal["files"]
    questions: str
    audio: str
    invalid: Literal["stop", "drop"]
    sha256: Sha256
    license: str = ""


class OtherSource(Strict):
    """Questions that a function of anybody's makes: `loader` names it as module:object.

    It is called as the loaders here are, with this source, whose `options` are the function's own.
    """

    loader: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    options: dict[str, Any] = Field(default_factory=dict)
    split: SplitOrShares | None = None  # None: every row names its own


_OURS = "mini files hub mmar mmau audiomcq avqa musicbench tacos countingqa reasonaqa youtube".split()  # noqa: SIM905


def _loader(value: Any) -> str | None:
    """The tag of a source: its loader's name, "other" for any module:object."""
    loader = value.get("loader") if isinstance(value, dict) else getattr(value, "loader", None)
    if isinstance(loader, str) and ":" in loader:
        return "other"
    return loader if loader in _OURS else None


Source = Annotated[
    Annotated[MiniSource, Tag("mini")]
    | Annotated[FilesSource, Tag("files")]
    | Annotated[HubSource, Tag("hub")]
    | Annotated[MmarSource, Tag("mmar")]
    | Annotated[MmauSource, Tag("mmau")]
    | Annotated[AudioMcqSource, Tag("audiomcq")]
    | Annotated[AvqaSource, Tag("avqa")]
    | Annotated[MusicBenchSource, Tag("musicbench")]
    | Annotated[TacosSource, Tag("tacos")]
    | Annotated[CountingQaSource, Tag("countingqa")]
    | Annotated[ReasonAqaSource, Tag("reasonaqa")]
    | Annotated[YoutubeSource, Tag("youtube")]
    | Annotated[OtherSource, Tag("other")],
    Discriminator(
        _loader,
        custom_error_type="unknown_loader",
        custom_error_message=f"a source needs a loader: {', '.join(_OURS)}, or module:object",
    ),
]


class Data(Strict):
    """Where questions come from, what is taken of them, and what goes since a test set holds it."""

    sources: dict[Name, Source] = Field(min_length=1)
    combine: Combine = Combine()
    decontaminate: Decontaminate = Decontaminate()

    @model_validator(mode="after")
    def _sources_exist(self) -> "Data":
        # decontaminate.synthetic may name absent ones: a profile's own source can be taken out.
        for name in self.combine.parts:
            if name not in self.sources:
                raise ValueError(f"combine.parts: no source is called {name!r}; {nearest(name, self.sources)}")
        return self
