"""A service that answers with what it was asked, and remembers it: the request line and every header line, in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.fakes.threaded import QuietServer, answering

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Heard:
    """One request as it came."""

    method: str
    target: str
    lines: Lines

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key.lower() == name.lower()]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: EchoService

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        heard = Heard(self.command, self.path, tuple(self.headers.items()))
        self.server.heard.append(heard)
        body = json.dumps({"service": self.server.name, "target": self.path, "lines": heard.lines}).encode()
        self.send_response_only(self.server.status)
        self.send_header("X-Service", self.server.name)
        for name, value in self.server.answers_with:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # The names are the standard library's.
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


class EchoService(QuietServer):
    """`heard` grows with every request; `answers_with` are header lines of every answer."""

    def __init__(self, name: str, answers_with: Sequence[tuple[str, str]], status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.answers_with = tuple(answers_with)
        self.status = status
        self.heard: list[Heard] = []


def echo_service(
    name: str, answers_with: Sequence[tuple[str, str]] = (), status: int = 200
) -> AbstractContextManager[EchoService]:
    """One that answers until the block ends."""
    return answering(EchoService(name, answers_with, status))
