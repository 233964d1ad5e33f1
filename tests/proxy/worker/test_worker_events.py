"""Business events that a canary counts: which exchanges are some, for which unit and side, and what they are worth."""

from __future__ import annotations

import functools
import gzip
import json
import math
from typing import Any

import numpy as np
import pytest

from proxy.dataplane.ports import Limits
from proxy.rows import EVENT_ROW
from proxy.wire import EventRows, Record, Tally
from proxy.worker.events import UnreadableError, number_at
from proxy.worker.tallies import Tallies
from rules.buckets import BUCKETS, unit_hash
from rules.document import Force, Rules
from rules.effective import Effective, Position
from rules.selectors import steps_of
from rules.service import Service
from rules.stages import Stage
from rules.table import Table, compile_table
from tests.fakes.planes import FakeCopies, Notes, running, until
from tests.fakes.wires import Answering, Wire, answer

ORDER = {"match": {"path": "/checkout/**", "methods": ["POST"]}, "value": "response:/total"}
SHARE = 400_000
SHADOWED = {"candidate": "candidate", "stage": "shadow", "unit": {"cookie": "unit"}}
LOOKED = {"orders": ("looked",)}


def rules(legacy: str, events: dict[str, Any], **checkout: Any) -> Rules:
    products = {"name": "products", "match": {"path": "/products/**"}, "candidate": "candidate"}
    orders = {"name": "orders", "match": {"path": "/checkout/**"}, **(checkout or {"candidate": "candidate"})}
    return Rules.model_validate(
        {
            "version": 1,
            "services": {"legacy": {"url": legacy}, "candidate": {"url": legacy}},
            "legacy": "legacy",
            "routes": [products | {"stage": "shadow", "unit": {"cookie": "unit"}}, orders],
            "events": events,
        }
    )


def table(legacy: str, standing: Stage = Stage.CANARY, events: dict[str, Any] | None = None, **checkout: Any) -> Table:
    found = rules(legacy, events or {"order_placed": ORDER}, **checkout)
    positions = {"products": Position(standing, SHARE)}
    return compile_table(Effective(1, found, positions, watches={"products": tuple(found.events)}))


def post(path: str = "/checkout/1", unit: str = "u1", body: bytes = b"{}", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    cookie = f"Cookie: unit={unit}\r\n" if unit else ""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{cookie}{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def shop(body: bytes, status: str = "200 OK", *lines: str) -> Answering:
    return Answering(lambda _: answer(body, status, *lines))


def _finished(notes: Notes, number: int) -> bool:
    return len(notes.finished_all) == number


def _rules_with_a_dead_candidate(legacy: str, events: dict[str, Any]) -> Rules:
    found = rules(legacy, events, candidate="candidate", unit={"cookie": "unit"}, fallback="legacy")
    dead = {"legacy": legacy, "candidate": "http://127.0.0.1:1"}
    services = {name: Service(url=url) for name, url in dead.items()}
    return found.model_copy(update={"services": services})


async def told(
    spec: Table,
    *requests: bytes,
    limits: Limits | None = None,
    copies: FakeCopies | None = None,
    route: str = "products",
) -> tuple[Any, Any]:
    """The rows that control gets of these requests, and what was counted."""
    tallies = Tallies()
    async with running(spec, observer=tallies, limits=limits, copies=copies) as proxy:
        wire = await Wire.to(proxy.port)
        for number, request in enumerate(requests, 1):
            wire.send(request)
            await wire.message()
            await until(functools.partial(_finished, proxy.notes, number), "the exchange ends")
        wire.close()
    got: list[Record] = []
    tallies.flush_rows(lambda record: got.append(record) or True)
    rows = [record for record in got if isinstance(record, EventRows)]
    assert all((record.route, record.generation) == (route, 1) for record in rows)
    tallies.flush(lambda record: got.append(record) or True, [])
    counts = {
        (name, *(value for _, value in labels)): n
        for tally in got
        if isinstance(tally, Tally)
        for name, labels, n in tally.counts
    }
    return np.frombuffer(b"".join(record.rows for record in rows), EVENT_ROW), counts


async def test_an_order_counts_for_the_side_that_the_canary_of_another_route_chooses() -> None:
    async with shop(b'{"total": 42.5}') as service:
        units = [f"u{number}" for number in range(20)]
        rows, _ = await told(table(service.url), *(post(unit=unit) for unit in units))
    hashes = [unit_hash("products", unit) for unit in units]
    assert rows["unit"].tolist() == hashes
    assert rows["side"].tolist() == [int(number % BUCKETS < SHARE) for number in hashes]
    assert set(rows["value"].tolist()) == {42.5}
    assert len(set(rows["side"].tolist())) == 2


@pytest.mark.parametrize("stage", [Stage.LEGACY, Stage.SHADOW, Stage.LIVE])
async def test_nothing_is_looked_for_while_no_route_whose_gate_counts_is_in_canary(stage: Stage) -> None:
    assert table("http://a", stage).events is None


async def test_a_move_into_canary_begins_the_looking_and_a_move_out_of_it_ends_it() -> None:
    before = table("http://a", Stage.SHADOW)
    canary = before.restand(2, {"products": Position(Stage.CANARY, 10)})
    assert canary.events is not None
    assert canary.restand(3, {"products": Position(Stage.SHADOW, 0)}).events is None


@pytest.mark.parametrize(
    ("request_sent", "status"),
    [
        (post("/products/1"), "200 OK"),
        (post(unit=""), "200 OK"),
        (post(), "409 Conflict"),
        (b"GET /checkout/1 HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n", "200 OK"),
    ],
    ids=["another path", "no unit", "a refused order", "another method"],
)
async def test_what_is_no_event_is_not_counted(request_sent: bytes, status: str) -> None:
    async with shop(b'{"total": 1}', status) as service:
        rows, _ = await told(table(service.url), request_sent)
    assert not len(rows)


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", {}, "no_body"),
        (b"thanks", {}, "not_json"),
        (b'{"sum": 1}', {}, "no_value"),
        (b'{"total": true}', {}, "not_a_number"),
        (b'{"total": "much"}', {}, "not_a_number"),
        (b'{"total": 1, "more": "' + b"x" * 500 + b'"}', {}, "too_large"),
        (b'{"total": 1}', {"content_encoding": "br"}, "coding"),
        (b'{"total": 1}', {"content_encoding": "gzip"}, "coding"),
        (gzip.compress(b'{"total": 1}', mtime=0)[:-9], {"content_encoding": "gzip"}, "incomplete"),
        (gzip.compress(b"[" + b" " * 2_000_000 + b"]", 9, mtime=0)[:400], {"content_encoding": "gzip"}, "incomplete"),
    ],
)
async def test_an_event_without_a_readable_value_counts_without_and_says_why(
    body: bytes, headers: dict[str, str], reason: str
) -> None:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    async with shop(body, "200 OK", *lines) as service:
        rows, counts = await told(table(service.url), post(), limits=Limits(event_body=400))
    assert [math.isnan(value) for value in rows["value"]] == [True]
    assert counts["events", "order_placed"] == 1
    assert counts["events_unreadable", "order_placed", reason] == 1


async def test_a_value_is_read_through_a_content_coding_also_of_a_request() -> None:
    packed = gzip.compress(b'{"basket": {"sum": "19.90"}}')
    event = {"match": {"path": "/checkout/**"}, "value": "request:/basket/sum"}
    async with shop(b"thanks") as service:
        spec = table(service.url, events={"order_placed": event})
        rows, _ = await told(spec, post(body=packed, content_encoding="gzip"))
    assert rows["value"].tolist() == [19.9]


async def test_events_of_one_exchange_keep_their_numbers() -> None:
    events = {"seen": {"match": {"path": "/nowhere"}}, "paid": {"match": {"path": "/checkout/**"}}, "order": ORDER}
    async with shop(b'{"total": 7}') as service:
        rows, _ = await told(table(service.url, events=events), post())
    assert rows["event"].tolist() == [1, 2]
    assert math.isnan(rows["value"][0])
    assert rows["value"][1] == 7


async def test_what_fig_answers_itself_may_be_an_event_as_a_beacon_is() -> None:
    spec = table("http://127.0.0.1:1", events={"seen": {"match": {"path": "/checkout/**"}}}, respond={"status": 204})
    rows, _ = await told(spec, post())
    assert len(rows) == 1


async def test_what_somebody_forced_is_no_event() -> None:
    token = "only-for-developers"
    async with shop(b'{"total": 3}') as service:
        found = rules(service.url, {"order_placed": ORDER})
        found = found.model_copy(update={"force": Force(header="x-side", token=token)})
        watches = {"products": ("order_placed",)}
        spec = compile_table(Effective(1, found, {"products": Position(Stage.CANARY, SHARE)}, watches=watches))
        rows, _ = await told(spec, post(x_side=f"candidate:{token}"), post(x_side="candidate:guessed"))
    assert len(rows) == 1


@pytest.mark.parametrize("size", [10, 1000])
async def test_a_mirrored_read_is_copied_whole_when_it_is_an_event_too(size: int) -> None:
    copies, body = FakeCopies(), json.dumps({"total": 3, "more": "x" * size}).encode()
    event = {"match": {"path": "/checkout/**"}, "value": "response:/total"}
    async with shop(body) as service:
        spec = table(service.url, events={"looked": event}, **SHADOWED)
        get = b"GET /checkout/1 HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n"
        rows, _ = await told(spec, get, limits=Limits(event_body=100), copies=copies)
    (mirrored,) = copies.mirrored
    assert mirrored.kept is not None
    assert mirrored.kept.body == body
    assert rows["value"].tolist() == [3]


async def test_what_is_kept_for_an_event_alone_is_never_copied() -> None:
    copies = FakeCopies()
    event = {"match": {"path": "/checkout/**"}, "value": "response:/total"}
    async with shop(b'{"total": 3}') as service:
        get = b"GET /checkout/1 HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n"
        rows, _ = await told(table(service.url, events={"looked": event}), get, copies=copies)
    assert copies.mirrored == []
    assert rows["value"].tolist() == [3]


async def test_an_integer_larger_than_any_float_is_an_event_without_a_value() -> None:
    async with shop(b'{"total": 1' + b"0" * 400 + b"}") as service:
        rows, counts = await told(table(service.url), post())
    assert np.isnan(rows["value"]).tolist() == [True]
    assert counts["events_unreadable", "order_placed", "not_a_number"] == 1


async def test_the_value_of_a_write_is_read_beside_its_journal() -> None:
    copies = FakeCopies()
    events = {"order_placed": ORDER, "asked": ORDER | {"value": "request:/sum"}}
    async with shop(b'{"total": 8}') as service:
        spec = table(service.url, events=events, **SHADOWED, writes={"max_body": "1KB"})
        rows, _ = await told(spec, post(body=b'{"sum": 9}'), copies=copies)
    assert "granted" in copies.events
    assert rows["value"].tolist() == [8, 9]


async def test_an_event_that_legacy_answers_in_the_candidates_place_has_its_value() -> None:
    event = {"match": {"path": "/checkout/**"}, "value": "response:/total"}
    async with shop(b'{"total": 4}') as service:
        rules = _rules_with_a_dead_candidate(service.url, {"looked": event})
        spec = compile_table(Effective(1, rules, {"orders": Position(Stage.CANARY, 1_000_000)}, watches=LOOKED))
        get = b"GET /checkout/1 HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n"
        rows, _ = await told(spec, get, route="orders")
    assert rows["value"].tolist() == [4]
    assert rows["side"].tolist() == [1]


@pytest.mark.parametrize(
    ("document", "pointer", "expected"),
    [
        ({"a": [1, {"b": -2.5}]}, "/a/1/b", -2.5),
        ({"a/b": {"~": 4}}, "/a~1b/~0", 4.0),
        ({"": 5}, "/", 5.0),
        ({"a": "12.30"}, "/a", 12.3),
    ],
)
def test_a_number_is_found_by_its_pointer(document: object, pointer: str, expected: float) -> None:
    assert number_at(json.loads(json.dumps(document)), steps_of(pointer)) == expected


@pytest.mark.parametrize(
    "found", [{"a": "1e400"}, {"a": None}, {"a": [1]}, {"a": "1,000"}, {"a": "9" * 400}, {"a": 10**400}]
)
def test_what_is_no_plain_number_is_refused(found: object) -> None:
    with pytest.raises(UnreadableError, match="not_a_number"):
        number_at(found, ("a",))
