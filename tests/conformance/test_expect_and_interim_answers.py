"""RFC 9110 sections 10.1.1 and 15.2: Expect, and answers before the answer."""

from __future__ import annotations

import pytest

from tests.conformance.cases import (
    LAST,
    OK,
    Case,
    Forwarded,
    Refused,
    Returned,
    Scripted,
    Untrusted,
    conformance,
    soon,
)
from tests.conformance.messages import get, ok, post, raw
from tests.fakes.planes import running, table
from tests.fakes.wires import Service, Wire

EXPECTING = post("Expect: 100-continue", "Content-Length: 5", body="hello")
HINTS = raw("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload")


@conformance(
    Forwarded("9110 10.1.1", "the expectation is forwarded", EXPECTING,
              post("Content-Length: 5", "Expect: 100-continue", body="hello")),
    Forwarded("9110 10.1.1", "its value knows no case", post("Expect: 100-Continue", "Content-Length: 5", body="hello"),
              post("Content-Length: 5", "Expect: 100-continue", body="hello")),
    Forwarded("9110 10.1.1", "without content nothing is expected", get("Expect: 100-continue"), get()),
    Forwarded("9110 10.1.1", "nor from HTTP/1.0", raw("POST / HTTP/1.0", "Host: a", "Expect: 100-continue",
              "Content-Length: 5", body="hello"), post("Content-Length: 5", body="hello"), last=True),
    Refused("9110 10.1.1", "another expectation is not met", get("Expect: 200-ok"), 417, "expect"),
    Refused("9110 10.1.1", "nor one beside it", post("Expect: 100-continue, x", "Content-Length: 5", body="hello"), 417,
            "expect"),
)  # fmt: skip
async def test_expectations(case: Case) -> None:
    await case.check()


@conformance(
    Returned("9110 15.2", "interim answers are passed on", HINTS + OK, HINTS + OK),
    Returned("9110 15.2", "several of them, in their order",
             HINTS + raw("HTTP/1.1 102 Processing") + HINTS + OK, HINTS + raw("HTTP/1.1 102 Processing") + HINTS + OK),
    Returned("9110 15.2", "also those that nobody knows", raw("HTTP/1.1 199 Odd") + OK, raw("HTTP/1.1 199 Odd") + OK),
    Returned("9110 15.2.1", "100 comes though nobody asked", raw("HTTP/1.1 100 Continue") + OK,
             raw("HTTP/1.1 100 Continue") + OK),
    Returned("9110 15.2", "not to a client of 1.0", HINTS + OK, ok("Content-Length: 2", "Connection: close", body="ok"),
             request=raw("GET / HTTP/1.0", "Host: a"), last=True),
    Returned("9112 6.1", "they have no body, whatever they say",
             raw("HTTP/1.1 103 Early Hints", "Content-Length: 9", "Transfer-Encoding: chunked") + OK,
             raw("HTTP/1.1 103 Early Hints") + OK),
    Returned("9110 7.6.1", "what is said to the next hop is not passed on",
             raw("HTTP/1.1 103 Early Hints", "Connection: X-A", "X-A: 1", "Keep-Alive: 5", "Link: </a>") + OK,
             raw("HTTP/1.1 103 Early Hints", "Link: </a>") + OK),
    Untrusted("9110 7.8", "101 that nobody asked for", raw("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
              "Connection: upgrade")),
    Untrusted("9110 15.2", "a flood of them", HINTS * 500 + OK),
    Untrusted("9112 5.1", "a malformed one", raw("HTTP/1.1 103 Early Hints", "Link : </a>") + OK),
)  # fmt: skip
async def test_interim_answers(case: Case) -> None:
    await case.check()


async def test_a_body_waits_for_the_word_of_the_service() -> None:
    """RFC 9110 10.1.1: an expecting client sends its content when it has got 100."""

    async def invite(wire: Wire) -> None:
        assert b"Expect: 100-continue" in await wire.head()
        wire.send(raw("HTTP/1.1 100 Continue"))
        assert await wire.reader.readexactly(5) == b"hello"
        wire.send(OK)
        await wire.some()

    async with Service(invite) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(EXPECTING.removesuffix(b"hello"))
        assert (await client.message()).status == 100
        client.send(b"hello")
        assert (await client.message()).status == 200


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "413 Content Too Large", "417 Expectation Failed"])
async def test_a_final_answer_in_place_of_100_is_passed_on(status: str) -> None:
    """RFC 9110 10.1.1: the client then sends no content. What it sends all the same is no request."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:

        async def decide(wire: Wire) -> None:
            await wire.head()
            wire.send(raw(f"HTTP/1.1 {status}", "Content-Length: 2", body="no"))
            await wire.some()

        service.handler = decide
        client = await fig.connect()
        client.send(EXPECTING.removesuffix(b"hello"))
        got = await client.message()

        assert got.start == f"HTTP/1.1 {status}"
        assert got.get("connection") == "close"  # whether the content comes cannot be known
        client.send(LAST)
        await soon()
        assert await client.rest() == (b"", True)
