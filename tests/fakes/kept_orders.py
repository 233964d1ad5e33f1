"""A service that keeps orders: GET gives one, PUT sets it, POST adds a line. It writes down who asked for what."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.fakes.threaded import QuietServer, answering


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: KeptOrders

    def do_GET(self) -> None:
        self._note()
        with self.server.lock:
            found = self.server.orders.get(self._key())
        self._answer(404, {"error": "no such order"}) if found is None else self._answer(200, found)

    def do_PUT(self) -> None:
        given = self._note()
        if self._key() in self.server.refuses:
            self._answer(422, {"error": "refused"})
            return
        with self.server.lock:
            self.server.orders[self._key()] = json.loads(given)
        self._answer(200, {"set": True})

    def do_POST(self) -> None:
        given = self._note()
        with self.server.lock:
            lines = self.server.orders.setdefault(self._key(), {"lines": []})["lines"]
            lines.append(json.loads(given))
            count = len(lines)
        self._answer(201, {"count": count})

    def _key(self) -> str:
        return unquote(self.path.rpartition("/")[2])

    def _note(self) -> str:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with self.server.lock:
            self.server.requests.append((self.command, self._key(), dict(self.headers)))
        return body

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read the requests."""


class KeptOrders(QuietServer):
    def __init__(self, orders: dict[str, dict[str, list[object]]], refuses: frozenset[str]) -> None:
        self.orders = orders
        self.refuses = refuses
        """Keys whose PUT gets 422."""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """(method, key, headers)."""
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def asked(self, method: str) -> list[str]:
        """The keys that were asked for by this method, in order."""
        with self.lock:
            return [key for each, key, _ in self.requests if each == method]


def kept_orders(
    orders: dict[str, dict[str, list[object]]], refuses: frozenset[str] = frozenset()
) -> AbstractContextManager[KeptOrders]:
    """Answering until the block ends."""
    return answering(KeptOrders(orders, refuses))
