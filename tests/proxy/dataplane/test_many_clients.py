"""A worker holds so many clients and no more: one too many is told so, and those that are there notice nothing."""

from __future__ import annotations

import asyncio

from proxy.dataplane.ports import Limits
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_client_too_many_gets_503_and_the_others_their_answers() -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(connections=2, linger=0.2)) as fig,
    ):
        inside = [await fig.connect() for _ in range(2)]
        for client in inside:
            client.send(GET)
            assert (await client.message()).status == 200

        outside = await fig.connect()
        outside.send(GET)
        refused = await outside.message()
        assert refused.status == 503
        assert refused.get("retry-after") == "1"
        assert refused.get("connection") == "close"
        assert await outside.rest() == (b"", True)
        assert fig.notes.refusals == ["connections"]

        for client in inside:
            client.send(GET)
            assert (await client.message()).status == 200
        inside[0].writer.close()
        await until(lambda: len(fig.plane.clients) == 1, "room for another client")
        again = await fig.connect()
        again.send(GET)
        assert (await again.message()).status == 200


async def test_a_crowd_outside_is_cut_off_and_never_held() -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(connections=1, linger=5)) as fig,
    ):
        first = await fig.connect()
        crowd = await asyncio.gather(*(fig.connect() for _ in range(60)))
        await until(lambda: len(fig.notes.refusals) == 60, "all of the crowd were told")
        await until(lambda: len(fig.plane.clients) <= 1 + 16, "and most of them are gone")
        first.send(GET)
        assert (await first.message()).status == 200
        for client in crowd:
            client.writer.transport.abort()
