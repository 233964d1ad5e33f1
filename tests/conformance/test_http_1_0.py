"""RFC 9112 sections 9.3 and C.2, RFC 9110 section 6.2: clients and services of 1995, which are still there."""

from __future__ import annotations

import pytest

from tests.conformance.cases import OK, Case, Forwarded, Returned, Scripted, conformance
from tests.conformance.messages import get, ok, post, raw
from tests.fakes.planes import running, table
from tests.fakes.wires import Service, Wire

KEPT = raw("GET / HTTP/1.0", "Host: a", "Connection: keep-alive")


@conformance(
    Forwarded("9110 6.2", "a request of 1.0 goes on as one of 1.1", raw("GET / HTTP/1.0", "Host: a"), get(), last=True),
    Forwarded("9112 6.3", "its body has a length", raw("POST / HTTP/1.0", "Host: a", "Content-Length: 2", body="ab"),
              post("Content-Length: 2", body="ab"), last=True),
    Forwarded("9112 6.3", "or there is none", raw("POST / HTTP/1.0", "Host: a"), post("Content-Length: 0"), last=True),
    Forwarded("9110 7.8", "it cannot ask for another protocol",
              raw("GET / HTTP/1.0", "Host: a", "Connection: upgrade", "Upgrade: websocket"), get(), last=True),
    Returned("9110 6.2", "its answer says 1.1, and that the connection ends", OK,
             ok("Content-Length: 2", "Connection: close", body="ok"), request=raw("GET / HTTP/1.0", "Host: a"),
             last=True),
    Returned("9112 6.1", "chunks are taken apart for it",
             ok("Transfer-Encoding: chunked", body="2\r\nok\r\n0\r\n\r\n"),
             ok("Connection: close", body="ok"), request=KEPT, last=True),
    Returned("9112 9.3", "a service of 1.0 that closes is asked anew", raw("HTTP/1.0 200 OK", body="ok"),
             ok("Transfer-Encoding: chunked", body="2\r\nok\r\n0\r\n\r\n"), ends=True),
    Returned("9112 9.3", "one that keeps alive is asked again",
             raw("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 2", body="ok"), OK),
)  # fmt: skip
async def test_old_versions(case: Case) -> None:
    await case.check()


async def test_without_host_the_service_is_named_by_its_own_name() -> None:
    """RFC 9112 3.2: what goes on as 1.1 has a Host."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(raw("GET / HTTP/1.0"))
        assert (await client.message()).body == b"ok"
        assert f"Host: 127.0.0.1:{service.port}\r\n".encode() in service.heard


@pytest.mark.parametrize("answered", ["by the service", "by fig"])
async def test_a_client_that_asks_to_go_on_is_told_that_it_may(answered: str) -> None:
    """RFC 9112 9.3 and C.2.2: keep-alive holds only where both say it."""

    async def behave(wire: Wire) -> None:
        while await wire.head():
            if answered == "by fig":
                wire.reset()
                return
            wire.send(OK)

    async with Service(behave) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(KEPT)
            got = await client.message()
            assert got.status == (502 if answered == "by fig" else 200)
            assert got.get("connection") == "keep-alive"
