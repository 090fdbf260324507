"""The parameters of where questions come from, typed; `conf/profile/` documents them."""

from typing import Annotated, Literal

from pydantic import Field

from audio_reasoning.core.typed import Name, Strict

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

    `sha256` pins their content: `python -m stages.acquire --source NAME --fingerprint --write`.
    """

    loader: Literal["files"]
    questions: str
    audio: str
    split: Literal["train", "dev", "test"]
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
    split: Literal["train", "dev", "test"]
    invalid: Literal["stop", "drop"]
    questions_file: str = ""
    questions_sha256: Sha256 = ""


Source = Annotated[MiniSource | FilesSource | HubSource, Field(discriminator="loader")]


class Data(Strict):
    """Where questions come from."""

    sources: dict[Name, Source] = Field(min_length=1)
