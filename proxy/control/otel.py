"""OpenTelemetry's spans of a traced exchange: one SERVER span, and one CLIENT span for each time that it was sent.

The only module that imports OpenTelemetry, which is an extra; imported when spans are exported. Attributes follow the
semantic conventions for HTTP spans (opentelemetry.io, stable since 1.23); what is fig's own begins with ``fig.``. No
header, cookie or query is among them: they never reach this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

from proxy.wire import TracedAttempt, TracedExchange

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
"""Known to the conventions; others are ``_OTHER``, so that nobody can invent values without end."""
OWN_PORTS = {"http": 80, "https": 443}

Attributes = dict[str, AttributeValue]


def _own_version() -> str:
    try:
        return version("strangler-fig")
    except PackageNotFoundError:
        return "0"


def resource() -> Resource:
    """Who tells: ``fig``, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    told = Resource.create()
    own: Attributes = {"service.version": _own_version()}
    if str(told.attributes.get("service.name", "")).startswith("unknown_service"):
        own["service.name"] = "fig"
    else:
        own = {name: value for name, value in own.items() if name not in told.attributes}
    return told.merge(Resource(own))


class OtlpExport:
    """Sends spans to a collector. `send` blocks: for the network, and while it tries again."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=endpoint)
        self._resource = resource()
        self._scope = InstrumentationScope("fig", _own_version())

    def send(self, exchanges: list[tuple[float, TracedExchange]]) -> bool:
        """Whether the collector took them. `exchanges` with what makes epoch seconds of their times."""
        spans = [span for epoch, told in exchanges for span in spans_of(told, epoch, self._resource, self._scope)]
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Ends a `send` that is waiting to try again, too."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # as the SDK has it


def spans_of(
    told: TracedExchange, epoch: float, resource: Resource, scope: InstrumentationScope
) -> Iterator[ReadableSpan]:
    """The exchange's own span, then those of its attempts."""
    trace, state = int(told.trace, 16), _state(told.state)
    flags = TraceFlags(told.flags)
    own = SpanContext(trace, int(told.span, 16), is_remote=False, trace_flags=flags, trace_state=state)
    parent = None
    if told.parent:
        parent = SpanContext(trace, int(told.parent, 16), is_remote=True, trace_flags=flags, trace_state=state)
    method = told.method if told.method in METHODS else "HTTP"
    common: Attributes = {"http.request.method": told.method if told.method in METHODS else "_OTHER"}
    if told.method not in METHODS:
        common["http.request.method_original"] = told.method[:64]
    yield ReadableSpan(
        name=f"{method} {told.route}",
        context=own,
        parent=parent,
        resource=resource,
        attributes={**common, **_of_exchange(told)},
        kind=SpanKind.SERVER,
        status=_status(told.status, told.failure, worst=500),
        start_time=_nanoseconds(told.started + epoch),
        end_time=_nanoseconds(told.ended + epoch),
        instrumentation_scope=scope,
    )
    for number, attempt in enumerate(told.attempts):
        yield ReadableSpan(
            name=f"{method} {attempt.service}",
            context=SpanContext(trace, int(attempt.span, 16), is_remote=False, trace_flags=flags, trace_state=state),
            parent=own,
            resource=resource,
            attributes={**common, **_of_attempt(attempt, number)},
            kind=SpanKind.CLIENT,
            status=_status(attempt.status, attempt.failure, worst=400),
            start_time=_nanoseconds(attempt.started + epoch),
            end_time=_nanoseconds(max(attempt.started, attempt.ended) + epoch),
            instrumentation_scope=scope,
        )


def _of_exchange(told: TracedExchange) -> Attributes:
    found: Attributes = {
        "url.scheme": told.scheme,
        "url.path": told.path,
        "network.protocol.version": told.version,
        "client.address": told.client,
        "network.peer.address": told.peer,
        "http.request.body.size": told.bytes_in,
        "http.response.body.size": told.bytes_out,
        "fig.route": told.route,
        "fig.stage": told.stage,
        "fig.reason": told.reason,
        "fig.generation": told.generation,
        "fig.request_id": told.request_id,
    }
    if told.host:
        found["server.address"] = told.host
        found["server.port"] = told.port
    if told.side:
        found["fig.side"] = told.side
        found["fig.service"] = told.service
    if told.bucket >= 0:
        found["fig.unit_bucket"] = told.bucket
    if told.fallback:
        found["fig.fallback"] = told.fallback
    if told.refused:
        found["fig.refused"] = told.refused
    if told.inside >= 0:
        found["fig.inside"] = told.inside
    if told.status:
        found["http.response.status_code"] = told.status
    kind = told.failure or (str(told.status) if told.status >= 500 else "")
    if kind:
        found["error.type"] = kind
    return found


def _of_attempt(attempt: TracedAttempt, number: int) -> Attributes:
    found: Attributes = {
        "url.full": attempt.endpoint + attempt.path,
        "network.protocol.version": "1.1",
        "fig.service": attempt.service,
    }
    where = urlsplit(attempt.endpoint)
    if where.hostname is not None:
        found["server.address"] = where.hostname
        found["server.port"] = where.port or OWN_PORTS[where.scheme]
    if attempt.peer is not None:
        found["network.peer.address"] = attempt.peer[0]
        found["network.peer.port"] = attempt.peer[1]
    if number:
        found["http.request.resend_count"] = number
    if attempt.status:
        found["http.response.status_code"] = attempt.status
    kind = attempt.failure or (str(attempt.status) if attempt.status >= 400 else "")
    if kind:
        found["error.type"] = kind
    return found


def _status(status: int, failure: str, worst: int) -> Status:
    """ERROR for a failure, and from `worst` on: 500 for who answered, 400 for who asked."""
    return Status(StatusCode.ERROR if failure or status >= worst else StatusCode.UNSET)


def _state(text: bytes) -> TraceState | None:
    return TraceState.from_header([text.decode("ascii")]) if text else None


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
