"""A dataset repository on the Hugging Face hub that holds questions and an archive of audio, like MMAR's."""

import errno
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.hub import commit_of, reaching_hub
from audio_reasoning.tasks.clips import transcode
from audio_reasoning.tasks.mmar_schema import read_rows
from audio_reasoning.tasks.params import HubSource


def load(source: HubSource, folder: Path, dropped: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Download metadata and audio at the source's revision, and transcode the audio.

    HF_ENDPOINT and HF_TOKEN are honoured. Metadata is read from `questions_file` where the source names one.

    Raises UserError for a file that is not the pinned one, a repository, revision or file that cannot be had, an
    archive that is broken or unsafe, and for what `read_rows` and `transcode` refuse.
    """
    # Once: a branch may move between two files.
    commit = commit_of(source.repo, source.revision, "its revision", "dataset")
    questions = _local(source) if source.questions_file else _download(source.repo, commit, source.questions)
    rows = read_rows(questions, dropped if source.invalid == "drop" else None)
    archive = _download(source.repo, commit, source.archive)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".extracted.") as scratch:
        extract(archive, Path(scratch))
        yield from transcode(rows, Path(scratch), folder, source.invalid, dropped, source.archive)


def fingerprint(source: HubSource) -> str:
    """The SHA-256, in hex, of the file that the source takes its questions from; UserError if it names none."""
    path = Path(source.questions_file)
    if not source.questions_file or not path.is_file():
        raise UserError(f"questions_file {source.questions_file!r}: no such file; a revision pins what is on the hub")
    return sha256_file(path)


def _local(source: HubSource) -> Path:
    sha256 = fingerprint(source)
    if sha256 != source.questions_sha256:
        why = "it has changed" if source.questions_sha256 else "this source's questions_sha256 was never set"
        raise UserError(
            f"{source.questions_file}: {why}; if its content is as you want it, set questions_sha256 to {sha256}: "
            "`audio-reasoning fingerprint NAME --write` does, with this source's NAME"
        )
    return Path(source.questions_file)


def _download(repo: str, commit: str, filename: str) -> Path:
    # Imported here: it takes half a second, and only this loader needs it.
    from huggingface_hub import hf_hub_download

    with reaching_hub(f"{repo}@{commit}: {filename}"):
        return Path(hf_hub_download(repo, filename, repo_type="dataset", revision=commit))


def extract(archive: Path, folder: Path) -> None:
    """Unpack the regular files of a tar archive; a member that is a link, or would land elsewhere, is a UserError.

    By hand, since Debian 12's Python 3.11.2 lacks the extraction filters of PEP 706.
    """
    root = folder.resolve()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                target = (root / member.name).resolve()
                if not (member.isfile() or member.isdir()) or not target.is_relative_to(root):
                    raise UserError(f"{archive}: refused, it holds an unsafe member: {member.name!r}")
                content = tar.extractfile(member)
                if content is None:  # a folder; files make their own
                    continue
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file = target.open("wb")
                except OSError as error:
                    if error.errno != errno.ENAMETOOLONG:
                        raise
                    continue  # one such file must not stop the others: a question about it is told that it is missing
                with content, file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive}: cannot be unpacked ({error}); delete it and run the stage again") from None
