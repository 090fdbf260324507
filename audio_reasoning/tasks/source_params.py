"""The parameters of the sources that others publish, typed; docs/sources.md tells of each source."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from audio_reasoning.core.typed import Count, Share, Strict


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
Seed = Annotated[int, Field(ge=0)]
Filled = Annotated[str, Field(min_length=1)]
ZENODO = "https://zenodo.org"


class Published(Strict):
    """What every such source has: its split, what becomes of invalid questions, and how many are taken at most."""

    split: SplitOrShares
    invalid: Literal["stop", "drop"] = "drop"
    limit: Count | None = None  # of a trial study; None: all


class HubSource(Published):
    """A dataset repository on the Hugging Face hub that holds metadata and an audio archive, like MMAR's.

    `questions_file`, where it is set, is a file on this machine that is read instead of the repository's metadata:
    corrected metadata may be published elsewhere. `questions_sha256` pins it as a files source's `sha256` does.
    """

    loader: Literal["hub"]
    repo: str
    revision: str
    questions: str
    archive: str
    invalid: Literal["stop", "drop"]
    license: str = ""
    questions_file: str = ""
    questions_sha256: Sha256 = ""


class MmarSource(Published):
    """MMAR, as it is published: metadata and audio of one commit, or `audio`, a folder that holds the audio already.

    `questions_file` and `questions_sha256` are as those of a hub source. With both files here, nothing is downloaded.
    """

    loader: Literal["mmar"]
    repo: str = "BoJack/MMAR"
    revision: str = "3bd051123480e80d273ae9e8e9f1653f49010ac7"
    questions: str = "MMAR-meta.json"
    archive: str = "mmar-audio.tar.gz"
    audio: str = ""
    questions_file: str = ""
    questions_sha256: Sha256 = ""


class MmauSource(Published):
    """MMAU's test-mini: 1,000 questions with their audio in one Parquet file."""

    loader: Literal["mmau"]
    repo: str = "gamma-lab-umd/MMAU-test-mini"
    revision: Filled
    file: str = "test_mini.parquet"


class AudioMcqSource(Published):
    """AudioMCQ-StrongAC-GeminiCoT: questions in JSON lines, a file of audio for each clip beside them."""

    loader: Literal["audiomcq"]
    repo: str = "Harland/AudioMCQ-StrongAC-GeminiCoT"
    revision: Filled
    questions: str = "data.jsonl"


class AvqaSource(Published):
    """AVQA: its annotations and a folder of its videos' sound, both on this machine."""

    loader: Literal["avqa"]
    questions: Filled  # train_qa.json or val_qa.json
    audio: Filled  # a folder of <video_name>.wav


class MusicBenchSource(Published):
    """MusicBench: questions about tempo, key, mode and metre, made from its annotations."""

    loader: Literal["musicbench"]
    repo: str = "amaai-lab/MusicBench"
    revision: Filled
    questions: str = "MusicBench_train.json"
    archive: str = "MusicBench.tar.gz"
    seed: Seed = 0


class TacosSource(Published):
    """TACOS: questions about order, number and presence of sounds, made from its strong captions."""

    loader: Literal["tacos"]
    record: Annotated[str, Field(pattern=r"^\d+$")] = "15379789"
    endpoint: str = ZENODO
    part: Literal["development", "test"] = "development"  # TACOS' own; its test clips are for its own evaluation
    seed: Seed = 0


class CountingQaSource(Published):
    """CountingQA of AudioSkills: its annotations from the hub, its audio in a folder on this machine."""

    loader: Literal["countingqa"]
    repo: str = "nvidia/AudioSkills"
    revision: Filled
    questions: str = "audioskills_xl/CountingQA.json"
    audio: Filled
    seed: Seed = 0


class ReasonAqaSource(Published):
    """ReasonAQA: its annotations from Zenodo, the audio of AudioCaps and Clotho in a folder on this machine."""

    loader: Literal["reasonaqa"]
    record: Annotated[str, Field(pattern=r"^\d+$")] = "15036628"
    endpoint: str = ZENODO
    part: Literal["train", "val", "test"] = "train"
    audio: Filled


class YoutubeSource(Published):
    """Questions in MMAR's schema about videos, with `url` and `timestamp`; `videos` keeps what was fetched of them."""

    loader: Literal["youtube"]
    questions: Filled
    videos: Filled
    license: str = ""
    pause_s: Annotated[float, Field(ge=0)] = 5.0  # seconds between two videos
    limit_rate: Annotated[str, Field(pattern=r"^\d+[KM]$")] = "2M"  # bytes a second, as yt-dlp writes them
