"""A real HTTP server on loopback that speaks the part of the hub's protocol that downloads use."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Seen = list[tuple[str, str, str | None]]
# What goes wrong with the next download of a file: a status, other content, or "cut" after half of it.
Faults = dict[str, list[int | bytes | str]]


@contextmanager
def serve_hub(
    prefix: str,
    files: dict[str, bytes],
    models: tuple[str, ...] = (),
    refusal: tuple[int, str] = (404, ""),
    sizes: dict[str, int] | None = None,
    datasets: tuple[str, ...] = (),
    faults: Faults | None = None,
) -> Iterator[tuple[Seen, str]]:
    """Serve `files` below `prefix`, and a description of each of `models`; yield (requests seen, endpoint).

    A request is (method, path, Authorization header). `refusal` is the status and the code of what is not there;
    `sizes` are those that are claimed to who asks for no content, where they are not the true ones. `faults` are by the
    file's name, and used up.
    """
    seen: Seen = []
    waiting = {} if faults is None else faults

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            seen.append((self.command, self.path, self.headers.get("Authorization")))
            data = files.get(self.path.removeprefix(prefix)) if self.path.startswith(prefix) else None
            for dataset in datasets:
                if self.path.startswith(f"/api/datasets/{dataset}/revision/"):
                    data = json.dumps({"id": dataset, "sha": COMMIT}).encode()
            for model in models:
                if self.path.startswith(f"/api/models/{model}/revision/"):
                    data = json.dumps({"id": model, "sha": COMMIT}).encode()
                if self.path.partition("?")[0] == f"/api/models/{model}/tree/{COMMIT}":
                    tree = [{"type": "file", "path": n, "size": len(d), "oid": COMMIT} for n, d in files.items()]
                    data = json.dumps(tree).encode()
            fault = waiting[name].pop(0) if body and waiting.get(name := self.path.removeprefix(prefix)) else None
            if isinstance(fault, int):
                self.send_response(fault)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = fault if isinstance(fault, bytes) else data
            first = 0
            if body and data is not None and (asked := self.headers.get("Range")):
                first = int(asked.removeprefix("bytes=").partition("-")[0])
            self.send_response(refusal[0] if data is None else 206 if first else 200)
            if data is None:
                known = any(self.path.startswith((prefix, f"/api/models/{model}/tree/")) for model in ("", *models))
                self.send_header("X-Error-Code", refusal[1] or ("EntryNotFound" if known else "RepoNotFound"))
                data = b""
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hash(data) & 0xFFFFFFFF:08x}"')
            claimed = {} if body or sizes is None else sizes
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(claimed.get(self.path.rpartition("/")[2], len(data) - first)))
            self.end_headers()
            if body and fault == "cut":
                self.wfile.write(data[first : (first + len(data)) // 2])
                self.close_connection = True
            elif body:
                self.wfile.write(data[first:])

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield seen, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
