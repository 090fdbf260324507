"""The parameters of where questions come from, typed; `conf/profile/` documents them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from audio_reasoning.core.errors import nearest
from audio_reasoning.core.typed import Name, Share, Strict
from audio_reasoning.tasks.combine_params import Combine, Decontaminate


class Shares(Strict):
    """The shares of a source's questions that go to each split, and the seed that decides which do."""

    train: Share = 0.0
    dev: Share = 0.0
    test: Share = 0.0
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _is_whole(self) -> "Shares":
        total = self.train + self.dev + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of train, dev and test must add up to 1, not {total:g}")
        return self


def _kind(value: Any) -> str:
    return "shares" if isinstance(value, dict | Shares) else "name"  # one message for a mistake, not one for each kind


# One split for all questions of a source, or shares.
SplitOrShares = Annotated[
    Annotated[Literal["train", "dev", "test"], Tag("name")] | Annotated[Shares, Tag("shares")], Discriminator(_kind)
]

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]  # empty: not yet known


class MiniSource(Strict):
    """MMAR-mini: questions synthesised in MMAR's taxonomy."""

    loader: Literal["mini"]
    seed: int
    train: Annotated[int, Field(ge=0)]
    dev: Annotated[int, Field(ge=0)]
    test: Annotated[int, Field(ge=0)]
    min_share: Annotated[float, Field(ge=0, le=1 / 16)]


class FilesSource(Strict):
    """Questions in MMAR's schema (JSON array or JSONL) with an audio folder, on this machine.

    `sha256` pins their content: `audio-reasoning fingerprint NAME --write`.
    """

    loader: Literal["files"]
    questions: str
    audio: str
    split: SplitOrShares
    invalid: Literal["stop", "drop"]
    sha256: Sha256


class HubSource(Strict):
    """A dataset repository on the Hugging Face hub that holds metadata and an audio archive, like MMAR's.

    `questions_file`, where it is set, is a file on this machine that is read instead of the repository's metadata:
    corrected metadata may be published elsewhere. `questions_sha256` pins it as a files source's `sha256` does.
    """

    loader: Literal["hub"]
    repo: str
    revision: str
    questions: str
    archive: str
    split: SplitOrShares
    invalid: Literal["stop", "drop"]
    questions_file: str = ""
    questions_sha256: Sha256 = ""


class OtherSource(Strict):
    """Questions that a function of anybody's makes: `loader` names it as module:object.

    It is called as the loaders here are, with this source, whose `options` are the function's own.
    """

    loader: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    options: dict[str, Any] = Field(default_factory=dict)
    split: SplitOrShares | None = None  # None: every row names its own


_OURS = ("mini", "files", "hub")


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
        named = {"combine.parts": self.combine.parts, "decontaminate.synthetic": self.decontaminate.synthetic}
        for key, names in named.items():
            for name in names:
                if name not in self.sources:
                    raise ValueError(f"{key}: no source is called {name!r}; {nearest(name, self.sources)}")
        return self
