"""A service that knows nothing of fig, on the standard library's HTTP server; run as a program or in a thread.

GET /who            its name
GET /page           an HTML page whose script fetches /who and writes the answer into the page
GET /bytes/N        N bytes, with Content-Length
GET /slow/SECONDS   answers late
GET /status/CODE    answers with that status
POST, PUT anything  how many bytes came, and their SHA-256
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler

from tests.fakes.threaded import QuietServer, answering

PAGE = """<!doctype html><title>shop</title><p id=who>waiting</p>
<script>
fetch('/who').then(r => r.text()).then(t => document.getElementById('who').textContent = 'served by ' + t)
</script>
"""
BLOCK = b"0123456789abcdef" * 4096


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PlainService

    def do_GET(self) -> None:
        _, first, *rest = self.path.split("?")[0].split("/")
        if first == "page":
            self._answer(200, PAGE.encode(), "text/html")
        elif first == "bytes":
            self._send_bytes(int(rest[0]))
        elif first == "slow":
            time.sleep(float(rest[0]))
            self._answer(200, b"late", "text/plain")
        elif first == "status":
            self._answer(int(rest[0]), b"as asked", "text/plain")
        else:
            self._answer(200, self.server.name.encode(), "text/plain")

    def do_POST(self) -> None:
        digest, size = hashlib.sha256(), 0
        for piece in self._body():
            digest.update(piece)
            size += len(piece)
        answer = {"name": self.server.name, "bytes": size, "sha256": digest.hexdigest()}
        self._answer(200, json.dumps(answer).encode(), "application/json")

    do_PUT = do_POST  # noqa: N815 - the standard library's name

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read(min(left, len(BLOCK)))
                if not piece:
                    return
                left -= len(piece)
                yield piece

    def _send_bytes(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        whole, rest = divmod(size, len(BLOCK))
        for _ in range(whole):
            self.wfile.write(BLOCK)
        self.wfile.write(BLOCK[:rest])

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read answers, not logs."""


class PlainService(QuietServer):
    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        super().__init__(("127.0.0.1", port), _Handler)


def plain_service(name: str, port: int = 0) -> AbstractContextManager[PlainService]:
    """The service, answering until the block ends."""
    return answering(PlainService(name, port))
