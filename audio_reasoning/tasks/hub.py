"""A dataset repository on the Hugging Face hub that holds questions and an archive of audio, like MMAR's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.download import use_fetched
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.hub import commit_of, dataset_file
from audio_reasoning.tasks.archives import extract
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.mmar_schema import Row, read_rows
from audio_reasoning.tasks.provenance import with_provenance
from audio_reasoning.tasks.published import limited, scratch_beside
from audio_reasoning.tasks.source_params import HubSource, MmarSource, MusicBenchSource


def load(source: HubSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download metadata and audio at the source's revision, and transcode the audio.

    HF_ENDPOINT and HF_TOKEN are honoured. Metadata is read from `questions_file` where the source names one.

    Raises UserError for a file that is not the pinned one, a repository, revision or file that cannot be had, an
    archive that is broken or unsafe, and for what `read_rows` and `transcode` refuse.
    """
    # Once: a branch may move between two files.
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    questions = local_questions(source) or dataset_file(source.repo, commit, source.questions)
    rows = limited(read_rows(questions, dropped if source.invalid == "drop" else None), source.limit)
    audio = from_archive(source, commit, rows, folder, dropped)
    yield from with_provenance(audio, source.license, state_of(source, commit), "as published")


def state_of(source: HubSource | MmarSource, commit: str) -> str:
    """What a source was read from, in words: the repository's commit ("" for none), and the file of its questions."""
    states = [f"{source.repo}@{commit}"] if commit else []
    if source.questions_file:
        states.append(f"questions with the SHA-256 {source.questions_sha256}")
    return ", ".join(states)


def from_archive(
    source: HubSource | MmarSource | MusicBenchSource,
    commit: str,
    rows: list[Row],
    folder: Path,
    dropped: list[dict[str, str]],
) -> Iterator[dict[str, Any]]:
    """The rows with their audio transcoded, of which the source's archive holds the files; a broken one is had anew.

    Raises UserError as `dataset_file`, `extract` and `transcode` do.
    """

    def unpack(archive: Path) -> None:
        extract(archive, scratch, {row.audio_path for row in rows})

    with scratch_beside(folder) as scratch:
        use_fetched(lambda anew: dataset_file(source.repo, commit, source.archive, anew), unpack)
        yield from transcode(rows, scratch, folder, source.invalid, dropped, source.archive)


def fingerprint(source: HubSource | MmarSource) -> str:
    """The SHA-256, in hex, of the file that the source takes its questions from; UserError if it names none."""
    path = Path(source.questions_file)
    if not source.questions_file or not path.is_file():
        raise UserError(f"questions_file {source.questions_file!r}: no such file; a revision pins what is on the hub")
    return sha256_file(path)


def local_questions(source: HubSource | MmarSource) -> Path | None:
    """The file that the source's questions are read from instead of its own, checked; None where it names none.

    Raises UserError if it is not there, or its SHA-256 is not the source's `questions_sha256`.
    """
    if not source.questions_file:
        return None
    sha256 = fingerprint(source)
    if sha256 != source.questions_sha256:
        why = "it has changed" if source.questions_sha256 else "this source's questions_sha256 was never set"
        raise UserError(
            f"{source.questions_file}: {why}; if its content is as you want it, set questions_sha256 to {sha256}: "
            "`audio-reasoning fingerprint NAME --write` does, with this source's NAME"
        )
    return Path(source.questions_file)
