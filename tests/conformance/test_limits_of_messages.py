"""RFC 9110 sections 2.3, 5.4 and 15.5, RFC 6585 section 5: how much is enough, and how long. Each answer says which."""

from __future__ import annotations

import asyncio

import pytest

from proxy.dataplane.ports import Limits
from tests.conformance.cases import OK, Case, Forwarded, Refused, Scripted, conformance
from tests.conformance.messages import chunked, get, post, raw
from tests.fakes.planes import running, table
from tests.fakes.wires import Service, Wire

LONG = "a" * 8000


@conformance(
    Forwarded("9112 3", "a request line of 8,000 bytes is understood", raw(f"GET /{LONG} HTTP/1.1", "Host: a"),
              raw(f"GET /{LONG} HTTP/1.1", "Host: a")),
    Refused("9112 3", "one that is longer than fig reads is refused", raw(f"GET /{LONG * 9} HTTP/1.1", "Host: a"), 414,
            "target_size"),
    Refused("9112 3", "also while it has no end", f"GET /{LONG * 9}".encode(), 414, "target_size"),
    Refused("6585 5", "a field that is too large", get(f"X: {LONG * 9}"), 431, "head_size"),
    Refused("6585 5", "also by its name", get(f"{LONG * 9}: 1"), 431, "head_size"),
    Refused("6585 5", "all of them together", get(*(f"X-{n}: {LONG}" for n in range(9))), 431, "head_size"),
    Refused("6585 5", "too many of them", get(*(f"X-{n}: 1" for n in range(200))), 431, "header_count"),
    Refused("9112 7.1.1", "extensions of more bytes than a body is worth",
            chunked(f"1;a={'b' * 200}\r\nx\r\n" * 400, "0\r\n\r\n"), 400, "chunk_size"),
)  # fmt: skip
async def test_sizes(case: Case) -> None:
    await case.check()


async def test_the_whole_head_may_be_as_large_as_common_servers_take() -> None:
    """RFC 9110 5.4: no limit is prescribed. 32 KB in cookies happens."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get(f"Cookie: {'c' * 32_000}", f"Authorization: Bearer {'t' * 16_000}"))
        assert (await client.message()).status == 200


@pytest.mark.parametrize("sent", ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: dri"])
async def test_a_head_that_takes_too_long_gets_408(sent: str) -> None:
    """RFC 9110 15.5.9: 408, and the connection is closed."""
    async with (
        Scripted(OK) as service,
        running(table({"legacy": service.url}), limits=Limits(head_seconds=0.05)) as fig,
    ):
        client = await fig.connect()
        client.send(sent.encode())
        got = await client.message()

        assert (got.status, got.get("connection")) == (408, "close")
        assert fig.notes.refusals == ["head_timeout"]
        assert service.connections == 0


@pytest.mark.parametrize("start", [post("Content-Length: 9", body="hel"), chunked("3\r\nhel\r\n"), chunked("9\r\nhel")])
async def test_a_body_that_takes_too_long_gets_408(start: bytes) -> None:
    """RFC 9110 15.5.9."""
    async with Scripted(OK) as service:
        spec = {"url": service.url, "idle_timeout": "50ms"}
        async with running(table({"legacy": spec})) as fig:
            client = await fig.connect()
            client.send(start)
            got = await client.message()

            assert (got.status, got.get("connection")) == (408, "close")
            assert [f.exchange.refused for f in await fig.finished()] == ["body_timeout"]


async def test_a_connection_without_a_request_ends_in_silence() -> None:
    """RFC 9112 9.5: an idle connection may be closed at any time; 408 would answer nothing."""
    async with Scripted(OK) as service, running(table({"legacy": service.url}), limits=Limits(keep_alive=0.05)) as fig:
        client = await fig.connect()
        assert await client.rest() == (b"", True)


@pytest.mark.parametrize("body", [post("Content-Length: 99", body="x" * 99), chunked("63\r\n" + "x" * 99 + "\r\n")])
async def test_a_body_larger_than_its_route_takes_gets_413(body: bytes) -> None:
    """RFC 9110 15.5.14."""
    async with Scripted(OK) as service:
        route = {"name": "r", "match": {"path": "/**"}, "candidate": "legacy2", "stage": "live", "max_body": "10B"}
        async with running(table({"legacy": service.url, "legacy2": service.url}, route)) as fig:
            client = await fig.connect()
            client.send(body)
            got = await client.message()

            assert (got.status, got.get("connection")) == (413, "close")
            assert [f.exchange.refused for f in await fig.finished()] == ["body"]


async def test_a_service_without_room_gets_503_with_a_time_to_come_again() -> None:
    """RFC 9110 15.6.4 and 10.2.3."""
    go = asyncio.Event()

    async def wait(wire: Wire) -> None:
        await wire.head()
        await go.wait()
        wire.send(OK)

    async with Service(wait) as service:
        spec = {"url": service.url, "max_connections": 1, "max_pending": 0}
        async with running(table({"legacy": spec})) as fig:
            first, second = await fig.connect(), await fig.connect()
            first.send(get())
            await asyncio.sleep(0.02)
            second.send(get())
            got = await second.message()

            assert (got.status, got.get("retry-after")) == (503, "1")
            assert [f.exchange.refused for f in await fig.finished()] == ["overloaded"]
            go.set()
            assert (await first.message()).status == 200


@pytest.mark.parametrize(("kind", "status"), [("nobody listens", 502), ("nobody answers", 504), ("it hangs up", 502)])
async def test_a_service_that_does_not_answer(kind: str, status: int) -> None:
    """RFC 9110 15.6.3 and 15.6.5."""

    async def behave(wire: Wire) -> None:
        await wire.head()
        if kind == "nobody answers":
            await wire.some()

    async with Service(behave) as service:
        url = "http://127.0.0.1:1" if kind == "nobody listens" else service.url
        async with running(table({"legacy": {"url": url, "timeout": "50ms"}})) as fig:
            client = await fig.connect()
            client.send(get())
            got = await client.message()

            assert got.status == status
            assert got.get("connection") is None  # it is the service's fault, and not this connection's
