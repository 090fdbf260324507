"""A real HTTP server on loopback that speaks the part of the hub's protocol that downloads use."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Seen = list[tuple[str, str, str | None]]


@contextmanager
def serve_hub(
    prefix: str,
    files: dict[str, bytes],
    models: tuple[str, ...] = (),
    refusal: tuple[int, str] = (404, ""),
    sizes: dict[str, int] | None = None,
    datasets: tuple[str, ...] = (),
) -> Iterator[tuple[Seen, str]]:
    """Serve `files` below `prefix`, and a description of each of `models`; yield (requests seen, endpoint).

    A request is (method, path, Authorization header). `refusal` is the status and the code of what is not there;
    `sizes` are those that are claimed to who asks for no content, where they are not the true ones.
    """
    seen: Seen = []

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
            self.send_response(refusal[0] if data is None else 200)
            if data is None:
                known = any(self.path.startswith((prefix, f"/api/models/{model}/tree/")) for model in ("", *models))
                self.send_header("X-Error-Code", refusal[1] or ("EntryNotFound" if known else "RepoNotFound"))
                data = b""
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hash(data) & 0xFFFFFFFF:08x}"')
            claimed = {} if body or sizes is None else sizes
            self.send_header("Content-Length", str(claimed.get(self.path.rpartition("/")[2], len(data))))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield seen, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
