"""Writes of routes with `writes:`: recorded before they are forwarded, followed to their outcome, told exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.dataplane.canonical import added_fields, copied_request
from proxy.dataplane.ports import Limits
from proxy.dataplane.recording import Recording
from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering, Service, Wire, answer

BODY = b'{"item": 1}'
POST = b"POST /api/checkout/17 HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n" + BODY


def table(legacy: str, candidate: str = "http://127.0.0.1:1", generation: int = 1, **writes: Any) -> Table:
    route = {
        "name": "checkout",
        "match": {"path": "/api/checkout/{order}"},
        "candidate": "candidate",
        "stage": "shadow",
        "fallback": "legacy",
        "writes": {"order_by": "path:order", **writes},
    }
    service = {"url": legacy, "timeout": "2s"}
    return make_table({"legacy": service, "candidate": candidate}, route, generation=generation)


def silent(recording: Recording) -> bool:
    return True


def absent(recording: Recording) -> bool:
    return False


def broken(recording: Recording) -> bool:
    asyncio.get_running_loop().call_soon(recording.unrecorded, "the link to the shadower broke")
    return True


async def test_a_write_is_forwarded_only_after_its_intent_is_durable() -> None:
    copies = FakeCopies(silent)
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        await until(lambda: copies.intents, "the intent")
        await asyncio.sleep(0.05)
        assert legacy.connections == 0
        copies.grant(copies.intents[0][0])

        assert (await client.message()).body == b"ok"
        assert copies.log == [("intend", "17", BODY), ("granted",), ("outcome", 1, 200, "")]


async def test_what_is_recorded_is_what_is_forwarded() -> None:
    copies = FakeCopies()
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(
            b"POST /api/checkout/17 HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nX-App: shop-ios\r\n"
            b"Connection: X-Hop\r\nX-Hop: 1\r\nCookie: a=1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
            b'4\r\n{"it\r\n7\r\nem": 1}\r\n0\r\nX-Trailer: 1\r\n\r\n'
        )
        await client.message()
        got = legacy.requests[0]
        recording, body = copies.intents[0]
        exchange = recording.exchange
        fields = copied_request(exchange.head) + added_fields(exchange.head, exchange.request_id, exchange.trace())

        assert (got.body, body) == (BODY, BODY)
        assert got.get("content-length") == "11"
        assert got.get("transfer-encoding") is None
        recorded = {(name.decode().lower(), value.decode()) for name, value in fields}
        key = ("idempotency-key", recording.idempotency_key.decode())
        assert recorded | {key, ("host", "shop"), ("content-length", "11")} == set(got.fields)


async def test_a_clients_own_idempotency_key_is_kept_and_another_made_where_there_is_none() -> None:
    async with Answering() as legacy, running(table(legacy.url), copies=FakeCopies()) as fig:
        client = await fig.connect()
        client.send(POST.replace(b"Host: a", b"Host: a\r\nIdempotency-Key: mine"))
        await client.message()
        for _ in range(2):  # one request id for both, as some clients send one for a whole page
            client.send(POST.replace(b"Host: a", b"Host: a\r\nIdempotency-Key:\r\nX-Request-Id: page-1"))
            await client.message()

        mine, first, second = [request.get("idempotency-key") for request in legacy.requests]
        assert mine == "mine"
        assert first
        assert second
        assert first != second


async def test_a_denied_write_is_told_when_to_come_again_and_its_connection_goes_on() -> None:
    def deny(recording: Recording) -> bool:
        asyncio.get_running_loop().call_soon(recording.denied, "an earlier write is not delivered", 2.0)
        return True

    copies = FakeCopies(deny)
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(POST)
            got = await client.message()
            assert (got.status, got.get("retry-after")) == (503, "2")

        assert legacy.connections == 0
        assert copies.events == ["intend", "intend"]


@pytest.mark.parametrize("reply", [absent, broken])
async def test_without_a_journal_a_write_is_refused_by_default(reply: Any) -> None:
    copies = FakeCopies(reply)
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        got = await client.message()

        assert (got.status, got.get("retry-after")) == (503, "1")
        assert legacy.connections == 0
        assert copies.events == ["intend"]
        assert [f.failure for f in await fig.finished()] == ["journal"]


@pytest.mark.parametrize("reply", [absent, broken])
async def test_without_a_journal_a_write_is_forwarded_as_a_gap_where_the_route_says_so(reply: Any) -> None:
    copies = FakeCopies(reply)
    async with Answering() as legacy, running(table(legacy.url, on_journal_failure="forward"), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)

        assert (await client.message()).status == 200
        assert copies.events == ["intend", "gap"]


async def test_a_journal_that_does_not_answer_in_time_is_as_none_and_the_intent_withdrawn() -> None:
    copies = FakeCopies(silent)
    async with (
        Answering() as legacy,
        running(table(legacy.url, settle="10ms"), copies=copies, limits=Limits(journal_seconds=0.05)) as fig,
    ):
        client = await fig.connect()
        client.send(POST)

        assert (await client.message()).status == 503
        assert copies.events == ["intend", "withdraw"]
        assert legacy.connections == 0


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /api/checkout/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        b"POST /api/checkout/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + b"x" * 64,
        b"POST /api/checkout/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 65\r\n\r\n",
    ],
)
async def test_a_body_larger_than_a_route_records_is_refused_unrecorded(request_: bytes) -> None:
    copies = FakeCopies()
    async with Answering() as legacy, running(table(legacy.url, max_body="50B"), copies=copies) as fig:
        client = await fig.connect()
        client.send(request_)

        assert (await client.message()).status == 413
        assert await client.rest() == (b"", True)
        assert copies.events == []
        assert legacy.connections == 0
        assert len(await fig.finished()) == 1


async def test_fig_itself_asks_for_a_body_that_it_has_to_read_first() -> None:
    async with Answering() as legacy, running(table(legacy.url), copies=FakeCopies()) as fig:
        client = await fig.connect()
        client.send(POST[: -len(BODY)].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert (await client.message()).status == 100
        client.send(BODY)

        assert (await client.message()).status == 200
        assert legacy.requests[0].get("expect") is None


async def test_a_write_whose_client_is_gone_is_followed_to_its_outcome() -> None:
    copies = FakeCopies()
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.message()
        await gate.wait()
        wire.send(answer(b"done", "201 Created"))
        await wire.some()

    async with Service(slow) as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        await until(lambda: legacy.connections, "the write at the service")
        client.reset()
        await until(lambda: not fig.plane.clients, "the end of the client")
        assert len(fig.plane.orphans) == 1
        gate.set()

        await fig.finished()
        assert copies.log[-1] == ("outcome", 1, 201, "")
        assert not fig.plane.orphans


async def test_a_large_answer_to_a_write_is_read_to_its_end_though_its_slow_client_left() -> None:
    copies = FakeCopies()
    size = 40 * 2**20

    async def large(wire: Wire) -> None:
        await wire.message()
        wire.send(answer(b"x" * size))
        await wire.some()

    async with Service(large) as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.writer.transport.pause_reading()
        client.send(POST)
        await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
        client.reset()

        (done,) = await fig.finished()
        assert copies.log[-1] == ("outcome", 1, 200, "")
        assert done.exchange.bytes_out == size
        assert done.exchange.kept is not None
        assert done.exchange.kept.truncated


async def test_a_write_whose_client_left_before_the_grant_is_never_forwarded() -> None:
    copies = FakeCopies(silent)
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        await until(lambda: copies.intents, "the intent")
        client.reset()
        await until(lambda: not fig.plane.clients, "the end of the client")
        copies.grant(copies.intents[0][0])

        (done,) = await fig.finished()
        assert copies.events == ["intend", "granted", "outcome"]
        assert done.exchange.sent == 0.0
        assert legacy.connections == 0


async def test_a_write_never_falls_back_and_a_lost_answer_is_told_as_such() -> None:
    async def dying(wire: Wire) -> None:
        await wire.message()

    copies = FakeCopies()
    async with Answering() as legacy, Service(dying) as candidate:
        live = make_table(
            {"legacy": legacy.url, "candidate": candidate.url},
            {
                "name": "checkout",
                "match": {"path": "/**"},
                "candidate": "candidate",
                "stage": "live",
                "fallback": "legacy",
                "writes": {},
            },
        )
        async with running(live, copies=copies) as fig:
            client = await fig.connect()
            for method in (b"POST", b"PUT", b"DELETE"):
                client.send(POST.replace(b"POST", method))
                assert (await client.message()).status == 502

            assert legacy.requests == []
            assert [e[2:] for e in copies.log if e[0] == "outcome"] == [(502, "reset")] * 3


async def test_a_write_on_a_kept_connection_that_turns_out_dead_is_not_repeated() -> None:
    served = 0

    async def stale(wire: Wire) -> None:
        nonlocal served
        await wire.message()
        wire.send(answer())
        served += 1
        await wire.message()
        served += 1

    copies = FakeCopies()
    async with Service(stale) as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        for status in (200, 502):
            client.send(POST.replace(b"POST", b"PUT"))
            assert (await client.message()).status == status

        assert served == 2
        assert [entry[1:] for entry in copies.log if entry[0] == "outcome"] == [(1, 200, ""), (2, 502, "reset")]


async def test_a_write_that_the_service_leaves_unanswered_has_one_outcome() -> None:
    async def silence(wire: Wire) -> None:
        await wire.message()
        await wire.some()

    copies = FakeCopies()
    async with Service(silence) as legacy:
        rules = make_table(
            {"legacy": {"url": legacy.url, "timeout": "50ms"}, "candidate": legacy.url},
            {"name": "w", "match": {"path": "/**"}, "candidate": "candidate", "stage": "shadow", "writes": {}},
        )
        async with running(rules, copies=copies) as fig:
            client = await fig.connect()
            client.send(POST)

            assert (await client.message()).status == 504
            assert copies.log[2:] == [("outcome", 1, 504, "timeout")]


async def test_a_recorded_write_cannot_become_a_tunnel() -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    copies = FakeCopies()
    async with Answering(lambda _: raw) as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket"))

        assert (await client.message()).status == 502
        assert legacy.requests[0].get("upgrade") is None
        assert copies.events == ["intend", "granted", "outcome"]


async def test_reads_of_such_a_route_are_mirrored_after_the_answer_and_sampled() -> None:
    copies = FakeCopies()
    async with Answering() as legacy, running(table(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(b"GET /api/checkout/17 HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.message()
        client.send(b"OPTIONS /api/checkout/17 HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.message()

        await fig.finished(2)
        assert copies.log == [("mirror", 200, b"ok")]


@pytest.mark.parametrize(("roll", "mirrored"), [(99_999, 1), (100_000, 0)])
async def test_a_read_is_copied_when_its_chance_is_below_the_sample(roll: int, mirrored: int) -> None:
    copies = FakeCopies()
    async with Answering() as legacy, Answering() as candidate:
        rules = make_table(
            {"legacy": legacy.url, "candidate": candidate.url},
            {
                "name": "r",
                "match": {"path": "/**"},
                "candidate": "candidate",
                "stage": "shadow",
                "shadow": {"sample": "10%"},
            },
        )
        async with running(rules, copies=copies, roll=roll) as fig:
            client = await fig.connect()
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.message()

            await fig.finished()
            assert len(copies.log) == mirrored


async def test_an_answer_larger_than_is_kept_is_mirrored_as_truncated() -> None:
    copies = FakeCopies()
    async with (
        Answering(lambda _: answer(b"x" * 5000)) as legacy,
        running(table(legacy.url), copies=copies, limits=Limits(capture=1000)) as fig,
    ):
        client = await fig.connect()
        client.send(b"GET /api/checkout/17 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len((await client.message()).body) == 5000

        (done,) = await fig.finished()
        assert copies.log == [("mirror", 200, b"x" * 1000)]
        assert done.exchange.kept is not None
        assert done.exchange.kept.truncated


def legacy_stage(legacy: str) -> Table:
    route = {
        "name": "checkout",
        "match": {"path": "/api/checkout/{order}"},
        "candidate": "candidate",
        "stage": "legacy",
        "writes": {"order_by": "path:order", "max_body": "1KB"},
    }
    return make_table({"legacy": legacy, "candidate": "http://127.0.0.1:1"}, route)


async def test_in_stage_legacy_a_write_waits_for_what_legacy_has_still_to_get() -> None:
    """After a rollback from live straight to legacy, copies of the key may still be on their way."""
    copies = FakeCopies(silent)
    async with Answering() as legacy, running(legacy_stage(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        await until(lambda: copies.intents, "the intent")
        assert legacy.connections == 0
        copies.intents[0][0].denied("an earlier write of the same key is still being copied", 1.0)
        refused = await client.message()
        assert (refused.status, refused.get("retry-after")) == (503, "1")


@pytest.mark.parametrize("reply", [absent, broken])
async def test_in_stage_legacy_a_journal_that_is_away_holds_up_nothing_and_leaves_no_gap(reply: Any) -> None:
    copies = FakeCopies(reply)
    async with Answering() as legacy, running(legacy_stage(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(POST)
        assert (await client.message()).status == 200
        assert copies.events == ["intend"]


async def test_in_stage_legacy_a_body_that_is_too_large_to_record_passes_as_it_always_did() -> None:
    copies = FakeCopies()
    async with Answering() as legacy, running(legacy_stage(legacy.url), copies=copies) as fig:
        client = await fig.connect()
        client.send(b"POST /api/checkout/17 HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
        assert (await client.message()).status == 200
        assert len(legacy.requests[0].body) == 5000
        assert copies.events == []


@pytest.mark.parametrize("method", [b"PUT", b"DELETE"])
async def test_a_write_of_a_retired_route_does_not_fall_back_either(method: bytes) -> None:
    """Nobody records it any more: legacy would say that it is done, and the candidate would never hear of it."""
    async with Answering() as legacy:
        route = {
            "name": "checkout",
            "match": {"path": "/api/checkout/{order}"},
            "candidate": "candidate",
            "stage": "retired",
            "fallback": "legacy",
            "writes": {},
        }
        rules = make_table({"legacy": legacy.url, "candidate": "http://127.0.0.1:1"}, route)
        async with running(rules, copies=FakeCopies()) as fig:
            client = await fig.connect()
            client.send(POST.replace(b"POST", method))
            assert (await client.message()).status == 502
            assert legacy.connections == 0
            client.send(b"GET /api/checkout/17 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.message()).status == 200


async def test_a_key_in_the_body_is_read_when_the_body_is_whole() -> None:
    copies = FakeCopies()
    async with (
        Answering() as legacy,
        running(table(legacy.url, order_by="request:/item"), copies=copies) as fig,
    ):
        client = await fig.connect()
        client.send(POST)
        await client.message()

        assert copies.log[0] == ("intend", "1", BODY)
