"""Two services that probes are asked of, each answering in a thread by a function, and a rules file for them."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.threaded import QuietServer, answering


@dataclass(frozen=True)
class Got:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes


Answer = tuple[int, dict[str, str], bytes]
Behaviour = Callable[[Got], Answer | bytes | None]
"""An answer, the bytes of something else, or None to hang until the test is over."""


def says(status: int = 200, body: bytes = b"{}", **headers: str) -> Behaviour:
    """Always the same; names of headers with '_' for '-'."""
    named = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda got: (status, named, body)


@dataclass
class Probed:
    """A service: what it does may be changed while it runs."""

    behave: Behaviour = field(default_factory=says)
    got: list[Got] = field(default_factory=list)
    url: str = ""

    @contextlib.contextmanager
    def up(self, tls: ssl.SSLContext | None = None) -> Iterator[Probed]:
        over, service = threading.Event(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                got = Got(self.command, self.path, headers, body)
                service.got.append(got)
                told = service.behave(got)
                if told is None:
                    over.wait(60)
                elif isinstance(told, bytes):
                    self.wfile.write(told)
                else:
                    status, lines, said = told
                    self.send_response(status)
                    for name, value in {**lines, "content-length": str(len(said))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(said)
                self.close_connection = True

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing."""

        server = QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        self.url = server.url.replace("http:", "https:") if tls is not None else server.url
        try:
            with answering(server):
                yield self
        finally:
            over.set()


@contextlib.contextmanager
def both(legacy: Behaviour | None = None, candidate: Behaviour | None = None) -> Iterator[tuple[Probed, Probed]]:
    """Legacy and candidate, up."""
    with Probed(legacy or says()).up() as first, Probed(candidate or says()).up() as second:
        yield first, second


NOBODY = "http://127.0.0.1:9"
"""Where nobody listens."""


def rules_of(
    legacy: Probed | str,
    candidate: Probed | str,
    probes: dict[str, Any],
    routes: list[dict[str, Any]] | None = None,
    tls: dict[str, Any] | None = None,
    **route: Any,
) -> dict[str, Any]:
    """Plain data of a rules file: the route cart, changed by `route`, before `routes`."""
    urls = [each if isinstance(each, str) else each.url for each in (legacy, candidate)]
    shop = {"url": urls[1], "timeout": "1s", "connect_timeout": "1s"} | ({"tls": tls} if tls else {})
    cart = {"name": "cart", "match": {"path": "/cart/**"}, "candidate": "shop", "unit": {"cookie": "u"}}
    return {
        "version": 1,
        "services": {"legacy": {"url": urls[0], "timeout": "1s", "connect_timeout": "1s"}, "shop": shop},
        "legacy": "legacy",
        "routes": [{**cart, **route}, *(routes or [])],
        "probes": probes,
    }


def probe(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """One that guards cart."""
    return {"routes": ["cart"], "steps": list(steps) or [{"path": "/cart/1"}], **keys}


def write(folder: Path, rules: dict[str, Any]) -> Path:
    path = folder / "fig.yaml"
    path.write_text(yaml.safe_dump(rules))
    return path
