"""One client that asks for very much at once: the others have their turns, and it has its answers, in order."""

from __future__ import annotations

import asyncio
import re

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import Fig, running, table
from tests.fakes.wires import Answering

MANY = 2000
OWN = {"name": "own", "match": {"path": "/own/{number}"}, "respond": {"status": 200, "body": "ok"}}
ASKED = b"GET /own/%d HTTP/1.1\r\nHost: a\r\n\r\n"


def many(last: bytes = b"") -> bytes:
    return b"".join(ASKED % number for number in range(MANY)) + last


async def paths(fig: Fig, count: int) -> list[str]:
    return [done.exchange.head.path for done in await fig.finished(count)]


async def test_others_are_answered_between_the_pipelined_requests_of_one_client() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}, OWN)) as fig:
        busy, other = await fig.connect(), await fig.connect()
        busy.send(many())
        other.send(ASKED % 9999)

        assert "/own/9999" in (await paths(fig, MANY + 1))[:-1000]


@pytest.mark.parametrize("ends", [False, True])
async def test_all_pipelined_requests_are_answered_in_order(ends: bool) -> None:
    """Also those of a client that has closed its half meanwhile."""
    async with Answering() as legacy, running(table({"legacy": legacy.url}, OWN)) as fig:
        client = await fig.connect()
        client.send(many(b"GET /forwarded HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        if ends:
            client.finish()
        got, is_orderly = await client.rest()

        assert is_orderly
        assert got.count(b"HTTP/1.1 200 OK") == MANY + 1
        assert await paths(fig, MANY + 1) == [*(f"/own/{number}" for number in range(MANY)), "/forwarded"]


async def test_a_refused_request_among_many_ends_them() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}, OWN)) as fig:
        client = await fig.connect()
        client.send(many(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") + many())
        got, _ = await client.rest()

        assert re.findall(rb"HTTP/1.1 ([0-9]+)", got) == [b"200"] * MANY + [b"400"]


async def test_what_waits_for_its_turn_is_bounded() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}, OWN), limits=Limits(buffer=4096)) as fig:
        client = await fig.connect()
        reading = asyncio.create_task(client.rest())
        most = 0
        for _ in range(6):
            client.send(many())
            await asyncio.sleep(0)
            most = max(most, *(len(each._buffer) for each in fig.plane.clients))
        client.finish()
        got, _ = await reading

        assert got.count(b"HTTP/1.1 200 OK") == 6 * MANY
        assert most < 600_000  # one read of the loop, at most
