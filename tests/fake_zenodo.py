"""Zenodo on loopback: one record, its description and its files."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.fake_hub import Faults, Seen, serve_hub


@contextmanager
def serve_record(number: str, files: Mapping[str, bytes], faults: Faults) -> Iterator[tuple[Seen, str]]:
    """Serve a record whose description gives the files' sizes and MD5s; faults are by the file's name."""
    described = [
        {"key": name, "size": len(data), "checksum": f"md5:{hashlib.md5(data).hexdigest()}"}
        for name, data in files.items()
    ]
    record = {"id": int(number), "files": described, "metadata": {"license": {"id": "cc-by-4.0"}}}
    served = {f"/api/records/{number}": json.dumps(record).encode()}
    served |= {f"/api/records/{number}/files/{name}/content": data for name, data in files.items()}
    planned = {f"/api/records/{number}/files/{name}/content": of_file for name, of_file in faults.items()}
    with serve_hub("", served, faults=planned) as (seen, endpoint):
        yield seen, endpoint
