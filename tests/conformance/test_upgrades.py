"""RFC 9110 section 7.8: the way to another protocol, asked for by the client and granted by the service."""

from __future__ import annotations

import pytest

from tests.conformance.cases import LAST, OK, Case, Forwarded, Scripted, conformance
from tests.conformance.messages import get, raw
from tests.fakes.planes import running, table
from tests.fakes.wires import Service, Wire

ASKING = get("Connection: Upgrade", "Upgrade: websocket")
SWITCHED = raw("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")


@conformance(
    Forwarded("9110 7.8", "what Connection names is asked of the service", get("Connection: upgrade", "Upgrade: foo/2"),
              get("Connection: Upgrade", "Upgrade: foo/2")),
    Forwarded("9110 7.8", "several, in their order", get("Connection: upgrade", "Upgrade: a/1, b"),
              get("Connection: Upgrade", "Upgrade: a/1, b")),
    Forwarded("9110 7.8", "unless Connection does not name it", get("Upgrade: websocket"), get()),
    Forwarded("9110 7.8", "nor from HTTP/1.0", raw("GET / HTTP/1.0", "Host: a", "Connection: upgrade",
              "Upgrade: websocket"), get(), last=True),
    Forwarded("9113 3.1", "not to a protocol that would carry requests past fig",
              get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"), get()),
    Forwarded("9110 7.8", "nor to TLS inside", get("Connection: Upgrade", "Upgrade: TLS/1.2, websocket"),
              get("Connection: Upgrade", "Upgrade: websocket")),
)  # fmt: skip
async def test_what_is_asked_for(case: Case) -> None:
    await case.check()


async def test_after_101_bytes_pass_both_ways_as_they_are() -> None:
    """RFC 9110 7.8 and 15.2.2."""

    async def echo(wire: Wire) -> None:
        await wire.head()
        wire.send(SWITCHED + b"\x00hello")
        while piece := await wire.some():
            wire.send(piece)

    async with Service(echo) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(ASKING)
        got = await client.head()
        assert b"101 Switching Protocols\r\n" in got
        assert b"Upgrade: websocket\r\n" in got
        assert await client.reader.readexactly(6) == b"\x00hello"
        client.send(b"\r\n\r\nGET / HTTP/1.1\r\n\x00\xff")
        assert await client.reader.readexactly(22) == b"\r\n\r\nGET / HTTP/1.1\r\n\x00\xff"
        client.finish()
        assert await client.rest() == (b"", True)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "426 Upgrade Required"])
async def test_a_service_may_decline(status: str) -> None:
    """RFC 9110 7.8: a server MAY ignore Upgrade; the connection then goes on as it was."""
    declined = raw(f"HTTP/1.1 {status}", "Content-Length: 2", body="no")
    async with Scripted(declined) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(ASKING)
        assert (await client.message()).body == b"no"
        client.send(LAST)
        assert (await client.message()).body == b"last"


async def test_another_protocol_than_was_asked_for_is_no_switch() -> None:
    """RFC 9110 7.8: a server MUST NOT switch to a protocol that was not indicated by the client."""
    other = SWITCHED.replace(b"websocket", b"h2c")
    async with Scripted(other) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(ASKING)
        assert (await client.message()).status == 502


async def test_a_client_that_asks_and_goes_on_in_http_is_answered_in_http() -> None:
    """RFC 9110 7.8: until 101, what follows is HTTP."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(ASKING + get() + LAST)
        for _ in range(3):
            assert (await client.message()).status == 200
