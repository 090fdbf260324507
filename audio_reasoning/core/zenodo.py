"""Records on Zenodo: their files with the hashes that Zenodo gives, fetched into the folder of the hub's own cache.

A record's files never change: a new version is a new record. The API is described at https://developers.zenodo.org.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from audio_reasoning.core.download import download
from audio_reasoning.core.errors import UserError, nearest
from audio_reasoning.core.parse import parse_json
from audio_reasoning.core.validate import validated

_TIMEOUT_S = 60.0


class _File(BaseModel):
    """One file, as the API describes it."""

    key: Annotated[str, Field(description="a file's name", pattern=r"^[^/\\]+$")]
    size: Annotated[int, Field(description="a whole number of bytes", ge=0)]
    checksum: Annotated[str, Field(description="an MD5, as md5:<hex>", pattern=r"^md5:[0-9a-f]{32}$")]


class _Described(BaseModel):
    """A record, as the API describes it."""

    files: Annotated[list[_File], Field(description="a list of files")]
    metadata: Annotated[dict[str, Any], Field(description="an object")]


@dataclass(frozen=True)
class Record:
    """A record: where it is, its licence ("" where it names none), and its files' sizes and MD5s by name."""

    number: str
    endpoint: str
    license: str
    files: dict[str, tuple[int, str]]


def read_record(number: str, endpoint: str) -> Record:
    """Ask `endpoint` (https://zenodo.org) what a record holds; UserError where that cannot be had or understood."""
    from httpx import HTTPError, InvalidURL, get

    url = f"{endpoint}/api/records/{number}"
    try:
        response = get(url, timeout=_TIMEOUT_S, follow_redirects=True)
    except (HTTPError, InvalidURL) as error:
        raise UserError(f"{url}: cannot be reached ({type(error).__name__}: {error}); check the network") from None
    if response.status_code != 200:
        raise UserError(f"{url}: cannot be had: the server answers {response.status_code}; check the record's number")
    described = validated(_Described, parse_json(response.text, url), url)
    files = {file.key: (file.size, file.checksum.removeprefix("md5:")) for file in described.files}
    license = described.metadata.get("license")
    name = license.get("id", "") if isinstance(license, dict) else license
    return Record(number, endpoint, str(name or ""), files)


def record_file(record: Record, name: str, anew: bool = False) -> Path:
    """The path of one of the record's files, downloaded where it is not there whole; `anew`: in any case.

    Raises UserError for a name that the record lacks, and as `download` does.
    """
    from huggingface_hub import constants  # HF_HOME names the place of all downloads

    if name not in record.files:
        raise UserError(f"Zenodo record {record.number} has no file {name!r}; {nearest(name, record.files)}")
    target = Path(constants.HF_HOME) / "zenodo" / record.number / name
    if anew:
        target.unlink(missing_ok=True)
    size, md5 = record.files[name]
    return download(f"{record.endpoint}/api/records/{record.number}/files/{name}/content", target, size, md5)
