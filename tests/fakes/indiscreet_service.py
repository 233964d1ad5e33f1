"""A service that tells everybody everything: it answers with what it was asked, and with secrets of its own.

The first step of the path says in which form: /json, /html, /text, /form, /xml, /gzip, /broken, /bytes, /fails (500),
/leaves (no answer). Writes are answered as JSON whatever their path; every `fails_each`th request is answered with 503,
and of every `leaves_each` requests one, if it is a write, not at all.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlencode

from tests.fakes.threaded import QuietServer, answering


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: IndiscreetService

    def do_GET(self) -> None:
        self._answer(self.path.split("/")[1])

    def do_POST(self) -> None:
        self._answer("json")

    do_PUT = do_POST  # noqa: N815 - the standard library's name

    def _answer(self, form: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        count = self.server.count()
        own = [self.server.secret() for _ in range(3)]
        leaves_each = self.server.leaves_each
        if form == "leaves" or (leaves_each and self.command != "GET" and count % leaves_each == 0):
            self.close_connection = True
            return
        told = {
            "path": self.path,
            "headers": dict(self.headers),
            "body": body.decode("latin-1"),
            "pin": own[0],
            own[1]: "a key",
            "text": f"call {own[2]}, please",
            "by": self.server.name,
        }
        kind, shown = _written(form, told)
        fails = form == "fails" or (self.server.fails_each and count % self.server.fails_each == 0)
        self.send_response(503 if fails and form != "fails" else 500 if fails else 200)
        self.send_header("Content-Type", kind)
        if form == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(shown)))
        self.send_header("Set-Cookie", f"session=kanarie-{self.server.name}-{count}; Path=/; Comment={own[2]}")
        self.send_header("X-Seen", own[0])
        self.send_header("Location", f"/at?for={own[1]}")
        self.end_headers()
        self.wfile.write(shown)

    def log_message(self, *_: object) -> None:
        """Nothing: what is looked for in the logs is fig's."""


def _written(form: str, told: dict[str, object]) -> tuple[str, bytes]:
    text = json.dumps(told)
    if form == "html":
        return "text/html", "".join(f"<p title='{key}'>{value}</p>\n" for key, value in told.items()).encode()
    if form == "xml":
        return "application/xml", f"<told><![CDATA[{text}]]></told>".encode()
    if form == "text":
        return "text/plain; charset=utf-16", text.replace(",", ",\n").encode("utf-16")
    if form == "form":
        return "application/x-www-form-urlencoded", urlencode({k: str(v) for k, v in told.items()}).encode()
    if form == "gzip":
        return "application/json", gzip.compress(text.encode())
    if form == "broken":
        return "application/json", text.encode()[:-1] + b", }"
    if form == "bytes":
        return "application/octet-stream", text.encode()
    return "application/json", text.encode()


class IndiscreetService(QuietServer):
    """`secret` gives another secret at every call, from any thread."""

    def __init__(self, name: str, secret: Callable[[], str], fails_each: int, leaves_each: int, port: int) -> None:
        self.name = name
        self.secret = secret
        self.fails_each = fails_each
        self.leaves_each = leaves_each
        self._requests = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def count(self) -> int:
        """Number of this request."""
        with self._lock:
            self._requests += 1
            return self._requests


def indiscreet_service(
    name: str, secret: Callable[[], str], fails_each: int = 0, leaves_each: int = 0, port: int = 0
) -> AbstractContextManager[IndiscreetService]:
    """Answering until the block ends."""
    return answering(IndiscreetService(name, secret, fails_each, leaves_each, port))
