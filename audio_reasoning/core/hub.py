"""The Hugging Face hub: what a revision stands for, a model's weights, and one message for all that goes wrong there.

HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are honoured, as by the hub's own client. It is imported where it is
used: that takes half a second.
"""

import errno
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.parse import parse_json
from audio_reasoning.core.progress import progress

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAME_WEIGHTS = ["*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack"]  # beside safetensors
_GB = 1e9
_ATTEMPTS, _FIRST_WAIT_S, _LONGEST_WAIT_S = 6, 2.0, 60.0  # of a download of many gigabytes
_AT_ONCE = 8  # small files in flight: more of them are refused as too many requests


def is_commit(revision: str) -> bool:
    """Whether a revision can stand for one state only; a branch or a tag can be moved.

    >>> is_commit("3bd051123480e80d273ae9e8e9f1653f49010ac7"), is_commit("main")
    (True, False)
    """
    return bool(_COMMIT.fullmatch(revision))


@contextmanager
def reaching_hub(what: str, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Turn whatever the hub's client raises in the block into a UserError about `what` was to be had.

    An error of the kind `but` is let through.
    """
    from httpx import HTTPError, InvalidURL  # an address that is none is no HTTPError
    from huggingface_hub.errors import EntryNotFoundError, RevisionResolutionError, XetDownloadError

    try:
        yield
    except but:
        raise
    except (
        OSError,
        ValueError,
        HTTPError,
        InvalidURL,
        EntryNotFoundError,
        RevisionResolutionError,
        XetDownloadError,
    ) as error:
        first = next(iter(str(error).strip().splitlines()), "")
        raise UserError(
            f"{what}: cannot be had from the hub: {_reason(error)}({type(error).__name__}: {first}); "
            "check the names in params.yaml, the network, HF_ENDPOINT, and HF_TOKEN for a gated repository"
        ) from None


def _reason(error: Exception) -> str:
    """What a kind of error means, with a space behind it; nothing where its own message has to do."""
    from httpx import InvalidURL, RequestError
    from huggingface_hub import constants, errors

    for kind, reason in (
        (errors.GatedRepoError, "it is gated: accept its terms on its page, with the account of HF_TOKEN"),
        (errors.RepositoryNotFoundError, "there is no such repository, or HF_TOKEN may not see it"),
        (errors.RevisionNotFoundError, "there is no such revision"),
        (errors.RemoteEntryNotFoundError, "the repository has no such file"),
        (errors.HFValidationError, "that is no name of a repository"),
    ):
        if isinstance(error, kind):
            return f"{reason} "
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {constants.HF_HUB_CACHE} is full; what came is kept, and HF_HOME names another place "
    if constants.HF_HUB_OFFLINE:
        return f"HF_HUB_OFFLINE is set, and it is not in {constants.HF_HUB_CACHE}; unset it to download "
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return "HF_TOKEN is refused, or may not see it "
        if status == 429:
            return "it was asked too often: wait, or set HF_TOKEN, which may ask more "
        if status >= 500:
            return f"it fails at the moment (status {status}): try again later; what came is kept "
    unreached = (RequestError, InvalidURL, ConnectionError, errors.LocalEntryNotFoundError, errors.FileMetadataError)
    if isinstance(error, (*unreached, errors.DryRunError, errors.HfHubHTTPError)):
        return f"{constants.ENDPOINT} cannot be reached, or does not answer as a hub "
    return ""


def commit_of(repo: str, revision: str, parameter: str, kind: Literal["model", "dataset"] = "model") -> str:
    """The commit that a revision stands for; a commit is itself, and is not looked up.

    Of a branch or a tag it says so on stderr: `parameter` is what would pin it. Raises UserError when it is not found.
    """
    if is_commit(revision):
        return revision
    from huggingface_hub import HfApi

    with reaching_hub(f"{repo}@{revision}"):
        commit = HfApi().repo_info(repo, repo_type=kind, revision=revision).sha
    if not commit:
        raise UserError(f"{repo}@{revision}: the hub names no commit for it")
    print(
        f"note: {parameter} {revision} is a branch or a tag, which can be moved; on the hub it stands for the commit "
        f"{commit} now. Set {parameter} to that commit, and everyone gets the same",
        file=sys.stderr,
    )
    return commit


def dataset_file(repo: str, commit: str, name: str, anew: bool = False) -> Path:
    """One file of a dataset repository, in the hub's own cache; `anew`: downloaded whatever lies there.

    An interrupted download goes on where it stopped. Raises UserError when it cannot be had.
    """
    from huggingface_hub import hf_hub_download

    with reaching_hub(f"{repo}@{commit}: {name}"):
        return Path(hf_hub_download(repo, name, repo_type="dataset", revision=commit, force_download=anew))


def dataset_files(repo: str, commit: str, names: Iterable[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Many small files of a dataset repository, several at once: their paths, and why there is none of others.

    Raises UserError as `dataset_file` does, but for files that the repository lacks.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def fetch(name: str) -> tuple[str, Path | None]:
        try:
            with reaching_hub(f"{repo}@{commit}: {name}", but=RemoteEntryNotFoundError):
                return name, Path(hf_hub_download(repo, name, repo_type="dataset", revision=commit))
        except RemoteEntryNotFoundError:
            return name, None

    wanted = sorted(set(names))
    paths: dict[str, Path] = {}
    with progress(len(wanted), "file", f"fetching from {repo}") as bar, ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, path in pool.map(fetch, wanted):
            if path:
                paths[name] = path
            bar.update()
    return paths, {name: f"{repo} has no such file" for name in wanted if name not in paths}


def fetch_model(model_id: str, commit: str) -> Path:
    """The folder of a hub model in the hub's own cache; what is missing is downloaded, with progress.

    An interrupted download goes on where it stopped, and so does one that the hub breaks off or fails at for a while.
    Its size and the free disk are told before.

    Raises UserError when it cannot be downloaded, or the disk has no room for it.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    what = f"{model_id}@{commit}"
    with reaching_hub(what):
        try:
            folder = Path(
                snapshot_download(model_id, revision=commit, ignore_patterns=_SAME_WEIGHTS, local_files_only=True)
            )
            if _has_weights(folder):
                return folder
        except LocalEntryNotFoundError:
            pass
        plan = snapshot_download(model_id, revision=commit, ignore_patterns=_SAME_WEIGHTS, dry_run=True)
        size = sum(file.file_size or 0 for file in plan)
        missing = sum(file.file_size or 0 for file in plan if file.will_download)
        cache = Path(constants.HF_HUB_CACHE)
        free = shutil.disk_usage(next(path for path in (cache, *cache.absolute().parents) if path.is_dir())).free
        print(
            f"{what}: {size / _GB:.1f} GB in {len(plan)} files, {missing / _GB:.1f} GB to download to {cache}, where "
            f"{free / _GB:.1f} GB are free",
            file=sys.stderr,
            flush=True,
        )
        if missing > free:
            raise UserError(
                f"{what}: {missing / _GB:.1f} GB are to be downloaded, and {cache} has {free / _GB:.1f} GB free; make "
                "room, or set HF_HOME to a folder on a larger disk"
            )
        folder = Path(
            _patiently(lambda: snapshot_download(model_id, revision=commit, ignore_patterns=_SAME_WEIGHTS), what)
        )
    if not _has_weights(folder):
        raise UserError(f"{what}: the repository holds no safetensors, and other formats are not loaded")
    return folder


def _patiently(download: Callable[[], str], what: str) -> str:
    """What `download` returns, tried again where the hub fails or breaks off: its client gives up at the first 5xx.

    That client itself waits where it is asked too often (429).
    """
    from httpx import TransportError
    from huggingface_hub.errors import HfHubHTTPError
    from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    def passes(error: BaseException) -> bool:
        failed = isinstance(error, HfHubHTTPError) and error.response.status_code >= 500
        return failed or isinstance(error, TransportError | ConnectionError)

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        seconds = state.next_action.sleep if state.next_action else 0
        print(f"{what}: {type(error).__name__}; going on in {seconds:.0f} s", file=sys.stderr, flush=True)

    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
        retry=retry_if_exception(passes),
        before_sleep=tell,
        reraise=True,
    )
    return retrying(download)


def _has_weights(folder: Path) -> bool:
    """Whether the safetensors are there, all shards that the index names; a file is there once it is whole."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    shards = set(parse_json(index.read_text(encoding="utf-8"), str(index))["weight_map"].values())
    return all((folder / shard).is_file() for shard in shards)
