"""A route's own patience and the largest body that it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def table(candidate: str | dict[str, Any], legacy: str = "http://127.0.0.1:1", **route: Any) -> Table:
    one = {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live", **route}
    return make_table({"legacy": legacy, "candidate": candidate}, one)


def post(size: int, method: str = "POST") -> bytes:
    return f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size


def chunked(*sizes: int, end: bool = True) -> bytes:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in sizes) + (b"0\r\n\r\n" if end else b"")


# --- timeout ---


async def late(wire: Wire) -> None:
    await wire.message()
    await asyncio.sleep(0.2)
    wire.send(answer(b"late"))


@pytest.mark.parametrize(
    ("services", "routes", "status"), [("30s", "50ms", 504), ("50ms", "5s", 200), ("50ms", None, 504)]
)
async def test_the_routes_timeout_stands_in_place_of_the_services(
    services: str, routes: str | None, status: int
) -> None:
    async with Service(late) as candidate:
        more = {"timeout": routes} if routes else {}
        async with running(table({"url": candidate.url, "timeout": services}, **more)) as fig:
            client = await fig.connect()
            client.send(GET)

            assert (await client.message()).status == status


async def test_the_timeout_begins_when_the_request_is_complete() -> None:
    async with Answering() as candidate, running(table(candidate.url, timeout="200ms")) as fig:
        client = await fig.connect()
        client.send(post(4)[:-2])
        await asyncio.sleep(0.4)
        client.send(b"xx")

        assert (await client.message()).status == 200


async def test_the_fallback_has_the_whole_timeout_again() -> None:
    async def hang(wire: Wire) -> None:
        await wire.rest()

    async with (
        Service(late) as legacy,
        Service(hang) as candidate,
        running(table(candidate.url, legacy.url, timeout="300ms", fallback="legacy")) as fig,
    ):
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).body == b"late"


async def test_an_answer_that_has_begun_may_take_longer() -> None:
    async def slowly(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await asyncio.sleep(0.3)
        wire.send(b"cd")

    async with Service(slowly) as candidate, running(table(candidate.url, timeout="100ms")) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).body == b"abcd"


async def test_an_answer_that_began_before_its_request_was_complete_may_take_longer_too() -> None:
    async def eagerly(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await wire.some()
        await asyncio.sleep(0.3)
        wire.send(b"cd")

    async with Service(eagerly) as candidate, running(table(candidate.url, timeout="100ms")) as fig:
        client = await fig.connect()
        client.send(post(4)[:-4])
        await until(lambda: any(c.exchange and c.exchange.answer for c in fig.plane.clients), "the answer's head")
        client.send(b"xxxx")

        assert (await client.message()).body == b"abcd"


async def test_a_write_that_waited_for_the_journal_has_its_whole_time_at_the_service() -> None:
    copies = FakeCopies(lambda recording: True)
    async with (
        Answering() as candidate,
        running(table(candidate.url, timeout="100ms", writes={}), copies=copies) as fig,
    ):
        client = await fig.connect()
        client.send(post(4))
        await until(lambda: copies.intents, "the intent")
        await asyncio.sleep(0.2)
        copies.grant(copies.intents[0][0])

        assert (await client.message()).status == 200


# --- max_body ---


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_forwarded() -> None:
    async with Answering() as candidate, running(table(candidate.url, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(post(1024) + post(1025))

        assert (await client.message()).status == 200
        refused = await client.message()
        assert (refused.status, refused.get("connection")) == (413, "close")
        assert len(candidate.requests) == 1
        assert [done.exchange.refused for done in await fig.finished(2)] == ["", "body"]


async def test_a_client_that_asks_first_is_not_invited_to_send_too_much() -> None:
    async with Answering() as candidate, running(table(candidate.url, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n")

        assert (await client.message()).status == 413
        assert candidate.connections == 0


async def test_a_chunked_body_within_the_limit_passes_whatever_its_chunks() -> None:
    async with Answering() as candidate, running(table(candidate.url, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(chunked(*[1] * 24, 1000))

        assert (await client.message()).status == 200
        assert len(candidate.requests[0].body) == 1024


async def test_a_streamed_body_that_grows_too_large_is_cut_off_and_never_completed() -> None:
    async with Answering() as candidate, running(table(candidate.url, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(chunked(1000, end=False))
        await until(lambda: candidate.connections, "the request's beginning at the candidate")
        client.send(b"19\r\n" + b"x" * 25 + b"\r\n0\r\n\r\n")
        got = await client.message()

        assert (got.status, got.get("connection")) == (413, "close")
        await until(lambda: candidate.ended, "the end of the candidate's connection")
        assert candidate.requests == []  # what it has of the request is not complete


async def test_a_body_that_comes_all_at_once_is_measured_too() -> None:
    async with Answering() as candidate, running(table(candidate.url, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(chunked(1025))

        assert (await client.message()).status == 413
        assert candidate.requests == []


@pytest.mark.parametrize(("routes", "writes", "taken"), [("1KB", "1MB", 1024), ("1MB", "2KB", 2048)])
async def test_of_two_limits_the_smaller_one_counts(routes: str, writes: str, taken: int) -> None:
    async with Answering() as candidate:
        rules = table(candidate.url, max_body=routes, writes={"max_body": writes})
        async with running(rules, copies=FakeCopies()) as fig:
            client = await fig.connect()
            client.send(post(taken) + post(taken + 1))
            assert [(await client.message()).status for _ in range(2)] == [200, 413]
            other = await fig.connect()
            other.send(chunked(taken, 1))
            assert (await other.message()).status == 413
            assert len(candidate.requests) == 1


async def test_defaults_of_the_file_hold_for_its_routes_and_not_for_what_no_route_names() -> None:
    async with Answering() as service:
        rules = make_table(
            {"legacy": service.url},
            {"name": "r", "match": {"path": "/r"}, "candidate": "legacy"},
            {"name": "own", "match": {"path": "/own"}, "candidate": "legacy", "max_body": "2KB"},
            defaults={"max_body": "1KB"},
        )
        async with running(rules) as fig:
            for path, status in (("/r", 413), ("/own", 200), ("/other", 200)):
                client = await fig.connect()
                client.send(post(1500).replace(b"POST /", b"POST " + path.encode()))
                assert (await client.message()).status == status
