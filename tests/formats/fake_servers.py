"""A package index and a model hub on the loopback address, with the faults that networks have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeServer(ThreadingHTTPServer):
    """`asked` are the paths that were asked for; `fault` is how it fails, "" not at all."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.fault = ""
        self.files: dict[str, bytes] = {}  # by path
        self.listed: dict[str, Any] | None = None  # what /api/models/… answers
        self.freed = threading.Event()  # ends what hangs

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle is what some tests are about."""

    def offer_wheel(self, file: Path, project: str) -> None:
        self.files[f"/files/{file.name}"] = file.read_bytes()
        page = f'<a href="/files/{file.name}">{file.name}</a>'
        self.files[f"/simple/{project}/"] = f"<!DOCTYPE html><html><body>{page}</body></html>".encode()

    def offer_model(self, repository: str, folder: Path, *, extra: dict[str, bytes] | None = None) -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} | (extra or {})
        siblings = []
        for name, data in files.items():
            self.files[f"/{repository}/resolve/{COMMIT}/{name}"] = data
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git}
            if name.endswith((".safetensors", ".bin")):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        self.listed = {
            "id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings,
            "tags": ["license:apache-2.0"], "private": False, "downloads": 0, "likes": 0,
        }  # fmt: skip


@contextlib.contextmanager
def serving() -> Iterator[FakeServer]:
    server = FakeServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.freed.set()
        server.shutdown()
        server.server_close()


def write_wheel(folder: Path, project: str, members: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel with these members, as pip expects one."""
    name = project.replace("-", "_")
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_CONNECT(self) -> None:
        """As a proxy."""
        self._answer(body=True)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        fault = self.server.fault
        if fault == "hangs":
            self.server.freed.wait()
            return
        if fault == "trickles":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not self.server.freed.wait(0.3):
                    self.wfile.write(b"X-Wait: 1\r\n")
            return
        if fault == "is a login page":
            return self._send(200, b"<!DOCTYPE html><html>Please log in</html>", body, {"Content-Type": "text/html"})
        if fault == "is broken":
            return self._send(503, b"sorry", body)
        self._serve(fault, body)

    def _serve(self, fault: str, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            listed = self.server.listed
            repository = "/".join(path.split("/")[3:5])
            if listed is None or repository != listed["id"]:
                return self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})
            if "/revision/" in path and path.split("/")[-1] not in (COMMIT, "main"):
                return self._send(404, b"{}", body, {"X-Error-Code": "RevisionNotFound"})
            return self._send(200, json.dumps(listed).encode(), body, {"Content-Type": "application/json"})
        data = self.server.files.get(path)
        if data is None:
            return self._send(404, b"not here", body)
        if fault == "exchanges files" and "." in path and len(data) > 10 and not path.startswith("/simple"):
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._send_file(fault, path, data, body)

    def _send_file(self, fault: str, path: str, data: bytes, body: bool) -> None:
        kind = "text/html" if path.startswith("/simple") else "application/octet-stream"
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Content-Type": kind}
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest = data[start:]
        self.send_response(206 if asked else 200)
        for name, value in {**headers, "Content-Length": str(len(rest))}.items():
            self.send_header(name, value)
        self.end_headers()
        if not body:
            return
        large = len(rest) > 100_000
        if fault == "breaks off" and large:
            rest = rest[: len(rest) // 2]
        if fault == "stops midway" and large:
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.server.freed.wait()
            return
        if fault == "is slow" and large:
            for at in range(0, len(rest), 50_000):
                self.wfile.write(rest[at : at + 50_000])
                time.sleep(0.1)
            return
        self.wfile.write(rest)

    def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)
