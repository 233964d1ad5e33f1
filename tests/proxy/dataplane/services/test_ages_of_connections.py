"""`max_age`: a connection that is too old takes no further request, and none is cut for its age."""

from __future__ import annotations

import asyncio

from tests.fakes.endpoints import GET, Clock, endpoints
from tests.fakes.planes import SWEEP, running, table, until


async def test_an_idle_connection_that_is_too_old_is_closed() -> None:
    async with endpoints(1) as (one,):
        spec = {"url": one.url, "max_age": "15s"}
        async with running(table({"legacy": spec}), now=(clock := Clock())) as fig:
            client = await fig.connect()
            for wait in (0, 14):  # of which the first is below the 20 s that idle connections may last anyway
                clock.forward(wait)
                await asyncio.sleep(3 * SWEEP)
                client.send(GET)
                await client.message()
            assert one.connections == 1
            clock.forward(2)
            await until(lambda: not fig.plane.services["legacy"].open, "the end of the connection")
            client.send(GET)

            assert (await client.message()).status == 200
            assert one.connections == 2


async def test_a_busy_connection_that_becomes_too_old_ends_behind_its_answer() -> None:
    async with endpoints(1) as (one,):
        spec = {"url": one.url, "max_age": "15s"}
        async with running(table({"legacy": spec}), now=(clock := Clock())) as fig:
            one.delay = 0.1
            client = await fig.connect()
            client.send(GET)
            await until(lambda: one.requests, "the request at the service")
            clock.forward(16)

            assert (await client.message()).body == b"a"
            await until(lambda: not fig.plane.services["legacy"].open, "the end of the connection")


async def test_chance_makes_connections_up_to_a_tenth_younger() -> None:
    async with endpoints(1) as (one,):
        spec = {"url": one.url, "max_age": "10s"}
        async with running(table({"legacy": spec}), now=(clock := Clock()), roll=999_999) as fig:
            client = await fig.connect()
            client.send(GET)
            await client.message()
            clock.forward(8.9)
            await asyncio.sleep(3 * SWEEP)
            assert fig.plane.services["legacy"].open == 1
            clock.forward(0.2)

            await until(lambda: not fig.plane.services["legacy"].open, "the end of the connection")
