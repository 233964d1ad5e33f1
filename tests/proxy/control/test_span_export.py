"""Spans that find no room with the worker, in control's queue or at the collector: counted, and nothing waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from proxy.control.otel import OtlpExport, resource, spans_of
from proxy.control.spans import SpanExport, Waiting
from proxy.dataplane.tracing import Tracing
from proxy.frames import Decoder, encode
from proxy.wire import Record, Spans, TracedAttempt, TracedExchange
from proxy.worker import spans as worker_spans
from proxy.worker.spans import SpanLog
from tests.fakes.collector import collector
from tests.fakes.planes import running, table
from tests.fakes.served import eventually
from tests.fakes.wires import Answering


def told(number: int = 0, attempts: int = 1, **more: object) -> TracedExchange:
    values: dict[str, object] = {
        "trace": b"%032x" % (number + 1),
        "span": b"%016x" % (number + 1),
        "parent": b"",
        "state": b"",
        "flags": 1,
        "started": 5.0,
        "ended": 6.5,
        "inside": 0.25,
        "method": "GET",
        "scheme": "http",
        "host": "shop",
        "port": 80,
        "path": "/cart",
        "client": "10.0.0.1",
        "peer": "127.0.0.1",
        "version": "1.1",
        "request_id": "id",
        "route": "cart",
        "side": "legacy",
        "service": "monolith",
        "stage": "shadow",
        "generation": 3,
        "reason": "stage",
        "bucket": -1,
        "status": 200,
        "failure": "",
        "refused": "",
        "fallback": "",
        "bytes_in": 0,
        "bytes_out": 2,
        "attempts": [
            TracedAttempt(
                b"%016x" % (100 + each), 5.5, 6.0, "monolith", "https://shop", "/cart", ("127.0.0.1", 443), 200, ""
            )
            for each in range(attempts)
        ],
    }
    return TracedExchange(**{**values, **more})  # type: ignore[arg-type]


class Exporting:
    """Takes spans once `may` is set, by what `result` says then."""

    def __init__(self, result: Callable[[], bool] = lambda: True) -> None:
        self.may = threading.Event()
        self.got: list[Waiting] = []
        self.is_closed = False
        self._result = result

    def send(self, exchanges: list[Waiting]) -> bool:
        self.may.wait()
        self.got += exchanges
        return self._result()

    def close(self) -> None:
        self.is_closed = True
        self.may.set()


def test_what_finds_no_room_in_the_queue_is_counted_and_nobody_waits() -> None:
    exporting = Exporting()
    export = SpanExport(exporting, limit=3)

    for number in range(50):
        export.take(Spans(1000.0, [told(number)]))
    exporting.may.set()
    export.stop()

    counts = dict(export.counts())
    assert counts["sent"] == len(exporting.got) >= 3
    assert counts["sent"] + counts["queue"] == 50
    assert exporting.is_closed


def _fails() -> bool:
    raise RuntimeError("the exporter broke")


@pytest.mark.parametrize("result", [lambda: False, _fails])
def test_what_the_collector_does_not_take_is_counted_and_the_next_is_tried(result: Callable[[], bool]) -> None:
    exporting = Exporting(result)
    exporting.may.set()
    export = SpanExport(exporting)

    export.take(Spans(1000.0, [told(1), told(2)]))
    eventually(lambda: dict(export.counts())["collector"] == 2, "both counted")
    export.take(Spans(1000.0, [told(3)]))
    export.stop()

    assert dict(export.counts()) == {"sent": 0, "queue": 0, "collector": 3}


def test_a_collector_that_is_not_there_keeps_nobody_from_ending() -> None:
    export = SpanExport(OtlpExport("http://127.0.0.1:1/v1/traces"))
    export.take(Spans(1000.0, [told()]))
    export.stop(0.5)
    eventually(lambda: not export._thread.is_alive(), "the thread's end")


def test_spans_have_epoch_times_and_the_conventions_attributes() -> None:
    exporter = OtlpExport("http://127.0.0.1:1/v1/traces")
    exchange = told(state=b"vendor=1", parent=b"00000000000000aa", method="PURGE", status=404, port=8080)
    own, sent = spans_of(exchange, 1_700_000_000.0, resource(), exporter._scope)
    exporter.close()

    assert (own.start_time, own.end_time) == (1_700_000_005_000_000_000, 1_700_000_006_500_000_000)
    assert own.parent is not None
    assert own.parent.span_id == 0xAA
    assert own.context.trace_state.get("vendor") == "1"
    assert own.attributes is not None
    assert own.attributes["http.request.method"] == "_OTHER"
    assert own.attributes["http.request.method_original"] == "PURGE"
    assert own.name == "HTTP cart"
    assert own.status.is_unset, "a 4xx is the client's fault"
    assert "error.type" not in own.attributes
    assert sent.attributes is not None
    assert own.attributes["server.port"] == 8080
    assert sent.attributes["url.full"] == "https://shop/cart"
    assert (sent.attributes["server.address"], sent.attributes["server.port"]) == ("shop", 443)
    assert sent.parent == own.context


def test_batches_reach_a_collector_whole() -> None:
    with collector() as seen:
        export = SpanExport(OtlpExport(f"http://127.0.0.1:{seen.server_address[1]}/v1/traces"))
        export.take(Spans(1000.0, [told(number, attempts=2) for number in range(1200)]))
        eventually(lambda: dict(export.counts())["sent"] == 1200, "all sent")
        export.stop()

    assert len(seen.spans) == 3600
    assert len(seen.bodies) >= 3


async def test_a_worker_drops_and_counts_what_control_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_spans, "LIMIT", 2)
    counted: list[tuple[str, object, float]] = []
    log = SpanLog(lambda *one: counted.append(one), lambda: 10.0, lambda: 1010.0)
    async with Answering() as service, running(table({"legacy": service.url})) as fig:
        fig.plane.tracing = Tracing(fig.plane.ids, lambda: 0, sample=1_000_000, parents=0, records=True)
        client = await fig.connect()
        for _ in range(3):
            client.send(b"GET /a?s3cret HTTP/1.1\r\nHost: shop\r\n\r\n")
            await client.message()
        exchanges = [one.exchange for one in await fig.finished(3)]

    got: list[Record] = []
    for exchange in exchanges:
        assert exchange.traced is not None
        log.finished(exchange, exchange.traced)
    log.flush(lambda record: not got.append(record))  # type: ignore[func-returns-value]
    log.finished(exchanges[0], exchanges[0].traced)  # type: ignore[arg-type]
    log.flush(lambda record: False)
    log.flush(lambda record: not got.append(record))  # type: ignore[func-returns-value]

    [record] = got
    assert isinstance(record, Spans)
    assert (record.epoch, len(record.exchanges)) == (1000.0, 2)
    assert [(name, amount) for name, _, amount in counted] == [("spans_dropped", 1.0), ("spans_dropped", 1.0)]
    assert b"s3cret" not in encode(record)
    [back] = Decoder().feed(encode(record))
    assert back == record
