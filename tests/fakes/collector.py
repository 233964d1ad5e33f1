"""An OpenTelemetry collector: takes OTLP over HTTP as protobuf, and remembers the spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.threaded import QuietServer, answering

KINDS = {2: "SERVER", 3: "CLIENT"}
STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


@dataclass(frozen=True)
class Span:
    """One span as it came; ids in hexadecimal, "" for none. Times are nanoseconds since the epoch."""

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    status: str
    state: str
    start: int
    end: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def spans_in(body: bytes) -> Iterator[Span]:
    """Every span of one export request."""
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    KINDS[span.kind],
                    STATUSES[span.status.code],
                    span.trace_state,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _plain(span.attributes),
                    _plain(of_resource.resource.attributes),
                )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.hold.wait()
        self.server.paths.append(self.path)
        self.server.bodies.append(body)
        if self.server.status == 200:
            self.server.spans.extend(spans_in(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Collector(QuietServer):
    """Answers `status` once `hold` is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []

    def servers(self) -> list[Span]:
        """The spans of exchanges."""
        return [span for span in self.spans if span.kind == "SERVER"]

    def children(self, span: Span) -> list[Span]:
        """Those that have it as parent, in the order of their start."""
        return sorted((one for one in self.spans if one.parent == span.id), key=lambda one: one.start)


def collector() -> AbstractContextManager[Collector]:
    """One that takes spans until the block ends."""
    return answering(Collector())
