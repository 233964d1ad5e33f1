"""A shop that gives orders its own numbers: POST /orders makes one, PUT and GET /orders/N change and show it.

GET /orders/of/KEY shows the order that the write with that Idempotency-Key has made.
"""

from __future__ import annotations

import contextlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from tests.fakes.threaded import QuietServer, answering


@dataclass
class Orders:
    """What the shop holds, by its own numbers."""

    first: int
    """The number that the first order gets."""
    held: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Method and target of every request."""
    made: dict[str, int] = field(default_factory=dict)
    """Idempotency-Key -> number."""
    breaks: int = 0
    """How many more orders are made without an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: NumberingShop

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        orders = self.server.orders
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        orders.asked.append(f"{self.command} {self.path}")
        if self.command == "POST":
            number = orders.first + len(orders.held)
            orders.held[number] = {"id": number, **body}
            orders.made[self.headers.get("Idempotency-Key", "")] = number
            if orders.breaks:
                orders.breaks -= 1
                self.close_connection = True
                return None
            return self._say(201, orders.held[number])
        _, is_by_key, key = self.path.partition("/of/")
        if is_by_key and unquote(key) in orders.made:
            return self._say(200, orders.held[orders.made[unquote(key)]])
        with contextlib.suppress(ValueError):
            number = int(self.path.partition("?")[0].rpartition("/")[2])
            if number in orders.held:
                if self.command == "PUT":
                    orders.held[number] |= body
                return self._say(200, orders.held[number])
        return self._say(404, {})

    def _say(self, status: int, value: dict[str, Any]) -> None:
        answer = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read what is held."""


class NumberingShop(QuietServer):
    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        super().__init__(("127.0.0.1", 0), _Handler)


def numbering_shop(orders: Orders) -> AbstractContextManager[NumberingShop]:
    """Answering until the block ends."""
    return answering(NumberingShop(orders))
