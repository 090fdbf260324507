"""Files from plain web servers: gone on with where they stopped, checked, and fetched anew where they are broken."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from audio_reasoning.core.errors import DamagedError, UserError, no_room

Used = TypeVar("Used")
_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_LONGEST_WAIT_S = 60.0


def use_fetched(fetch: Callable[[bool], Path], use: Callable[[Path], Used]) -> Used:
    """What `use` makes of a fetched file; where it finds the file damaged, the file is fetched anew, once.

    `fetch` is told whether to fetch it anew, whatever there is. `use`, where it raises that, leaves nothing half made.
    """
    try:
        return use(fetch(False))
    except DamagedError:
        return use(fetch(True))


def download(url: str, target: Path, size: int, md5: str, attempts: int = 5) -> Path:
    """Fetch `url` to `target` unless it is there as promised: of `size` bytes, with this MD5 in hex.

    What was fetched before an interruption lies beside it, in `<name>.part`, and is gone on from. Servers that are
    busy, fail or break off are asked again, after as long as they say or else twice as long each time.

    Raises UserError for a server that refuses or keeps failing, a full disk, and content that is not the promised one.
    """
    if target.is_file() and target.stat().st_size == size and _md5(target) == md5:
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, size, attempts)
        if _md5(part) != md5:
            part.unlink()  # nothing of it can be trusted
            _fetch(url, part, size, attempts)
        if _md5(part) != md5:
            part.unlink()
            raise UserError(f"{url}: what the server sends is not the published file (MD5 {md5}); try again later")
        part.replace(target)
    except OSError as error:
        if (full := no_room(error, part)) is not None:
            raise full from None
        raise UserError(f"{url}: cannot be written to {target.parent} ({error.strerror})") from None
    return target


def _fetch(url: str, part: Path, size: int, attempts: int) -> None:
    """Append to `part` until it holds `size` bytes."""
    from httpx import HTTPError, InvalidURL, stream

    wait_s, why = 1.0, ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(min(wait_s, _LONGEST_WAIT_S))
            wait_s *= 2
        if part.is_file() and part.stat().st_size > size:
            part.unlink()
        have = part.stat().st_size if part.is_file() else 0
        if have == size:
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            with stream("GET", url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as response:
                if response.status_code == 429 or response.status_code >= 500:
                    why = f"it answers {response.status_code}"
                    wait_s = _seconds(response.headers.get("Retry-After"), wait_s)
                    continue
                if response.status_code not in (200, 206):
                    raise UserError(f"{url}: cannot be had: the server answers {response.status_code}")
                with part.open("ab" if response.status_code == 206 else "wb") as file:
                    for chunk in response.iter_raw(_CHUNK):
                        file.write(chunk)
            why = f"it sent {part.stat().st_size} of {size} bytes"
        except (HTTPError, InvalidURL) as error:
            why = f"{type(error).__name__}: {error}"
    if part.is_file() and part.stat().st_size == size:
        return
    raise UserError(f"{url}: cannot be had after {attempts} attempts ({why}); run the command again to go on")


def _seconds(retry_after: str | None, otherwise: float) -> float:
    """The seconds of a Retry-After header; it may give a date instead, which is passed over."""
    return float(retry_after) if retry_after and retry_after.isdigit() else otherwise


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
