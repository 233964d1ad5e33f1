"""A service that writes down what it is told, in order, and deduplicates by Idempotency-Key."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.fakes.threaded import QuietServer, answering

_RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  orders: {{url: "{candidate}"}}
legacy: legacy
routes:
  - name: orders
    match: {{path: "/orders/{{order}}"}}
    candidate: orders
    stage: {stage}
    shadow: {{{shadow}}}
    writes: {{order_by: "path:order", {writes}}}
"""


@dataclass
class Entries:
    """What arrived. `applied` holds each write once, by key and in order; `requests` counts every arrival."""

    applied: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    copies: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Ledger

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        key = self.path.rpartition("/")[2]
        entries = self.server.entries
        idempotency = self.headers.get("Idempotency-Key", "")
        with entries.lock:
            entries.requests += 1
            entries.copies += "X-Fig-Copy" in self.headers
            answer = entries.answers.get(idempotency)
            if answer is None:
                lines = entries.applied.setdefault(key, [])
                lines.append(body)
                answer = f'{{"key": "{key}", "count": {len(lines)}}}'.encode()
                entries.answers[idempotency or body] = answer
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read the entries."""


class Ledger(QuietServer):
    def __init__(self, entries: Entries, port: int) -> None:
        self.entries = entries
        super().__init__(("127.0.0.1", port), _Handler)


def ledger(entries: Entries, port: int = 0) -> AbstractContextManager[Ledger]:
    """Answering until the block ends; what it wrote down stays in `entries`, so that it can come back on its port."""
    return answering(Ledger(entries, port))


def rules_for(legacy: str, candidate: str, *, writes: str = "", stage: str = "shadow", shadow: str = "") -> str:
    """A rules file between two ledgers, by their URLs: one route, `orders`, ordered by the path's last part.

    `writes` and `shadow`: what more stands in those blocks of the route, as YAML in one line.
    """
    return _RULES.format(legacy=legacy, candidate=candidate, writes=writes, stage=stage, shadow=shadow)
