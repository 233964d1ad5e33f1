"""Several URLs of one service: who is asked, and what becomes of requests when endpoints go and come back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter

import pytest

from tests.fakes.endpoints import GET, POST, Clock, ask, deaf, endpoints, service
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering

OFF = {"ejection": "off"}


async def test_endpoints_are_asked_in_turn() -> None:
    async with endpoints(3) as several, running(table({"legacy": service(several)})) as fig:
        got = Counter([(await ask(fig)).body for _ in range(12)])

        assert got == {b"a": 4, b"b": 4, b"c": 4}


async def test_the_less_busy_endpoint_is_asked() -> None:
    async with endpoints(2) as several, running(table({"legacy": service(several, balance="least_requests")})) as fig:
        several[0].delay = float("inf")
        hanging = await fig.connect()
        hanging.send(GET)
        await until(lambda: several[0].requests, "a request at the one that chance drew")

        assert {(await ask(fig)).body for _ in range(8)} == {b"b"}


async def test_a_request_that_one_endpoint_takes_no_connection_for_goes_to_another_whatever_its_method() -> None:
    """Nothing was sent, so a POST is as good as a GET."""
    async with endpoints(3) as several, running(table({"legacy": service(several, **OFF)})) as fig:
        await several[0].kill()
        got = [(await ask(fig, request)).status for request in (GET, POST) * 6]

        assert got == [200] * 12
        assert fig.notes.counts["service_failovers", "legacy"] == 4
        assert len(several[1].requests) + len(several[2].requests) == 12
        assert [f.failure for f in await fig.finished(12)] == [""] * 12


async def test_each_endpoint_is_tried_once_and_then_the_service_is_down() -> None:
    async with endpoints(3) as several, running(table({"legacy": service(several, **OFF)})) as fig:
        for each in several:
            await each.kill()
        got = await ask(fig)

        assert got.status == 502
        assert fig.notes.counts["service_failovers", "legacy"] == 2
        tried = [fig.notes.counts["service_connect_failures", each.url, "connect", "legacy"] for each in several]
        assert tried == [1, 1, 1]


async def test_an_endpoint_killed_under_load_fails_no_request_that_may_be_repeated() -> None:
    """What it had not answered goes over a fresh connection, and as it takes none, to another endpoint."""
    async with endpoints(3) as several, running(table({"legacy": service(several)})) as fig:
        for each in several:
            each.delay = 0.005
        statuses: Counter[int] = Counter()

        async def client() -> None:
            wire = await fig.connect()
            for _ in range(40):
                wire.send(GET)
                statuses[(await wire.message()).status] += 1

        clients = [asyncio.create_task(client()) for _ in range(8)]
        await until(lambda: len(several[1].requests) > 40, "load on the endpoint")
        await several[1].kill()
        await asyncio.gather(*clients)

        assert statuses == {200: 320}
        assert fig.notes.counts["service_failovers", "legacy"] > 0
        assert fig.notes.counts["endpoint_changes", several[1].url, "ejected", "legacy"] == 1


async def test_a_service_whose_endpoints_were_all_killed_answers_again_when_they_are_back() -> None:
    async with endpoints(2) as several, running(table({"legacy": service(several)})) as fig:
        assert (await ask(fig)).status == 200
        for each in several:
            await each.kill()
        assert {(await ask(fig)).status for _ in range(20)} == {502}
        for each in several:
            await each.start()

        assert {(await ask(fig)).status for _ in range(4)} == {200}


async def test_a_retry_goes_to_an_endpoint_that_has_not_failed_the_request() -> None:
    route = {
        "name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live",
        "retries": {"attempts": 1, "on": ["503"], "budget": "100%"},
    }  # fmt: skip
    async with endpoints(3) as several, Answering() as legacy:
        several[0].status = "503 Broken"
        spec = {"balance": "least_requests", **OFF}  # of two that are not busy, the first: chance is 0 here
        async with running(table({"legacy": legacy.url, "candidate": service(several, **spec)}, route)) as fig:
            assert [(await ask(fig)).status for _ in range(4)] == [200] * 4
            assert len(several[0].requests) == 4


async def test_the_retry_on_a_stale_connection_goes_elsewhere_when_its_endpoint_is_gone() -> None:
    async with endpoints(2) as several, running(table({"legacy": service(several, **OFF)})) as fig:
        client = await fig.connect()
        for _ in range(4):
            client.send(GET)
            assert (await client.message()).status == 200
        for each in several[:1]:
            await each.kill()
        got = []
        for _ in range(4):
            client.send(GET)
            got.append((await client.message()).body)

        assert got == [b"b"] * 4


async def test_the_retry_on_a_stale_connection_opens_none_beyond_the_limit_of_another_endpoint() -> None:
    async with endpoints(2) as several:
        spec = service(
            several,
            max_connections=1,
            health={"path": "/healthz", "every": "100ms", "timeout": "100ms", "unhealthy": 1},
            **OFF,
        )
        async with running(table({"legacy": spec})) as fig:
            a, b = fig.plane.services["legacy"].pools
            for _ in range(2):
                assert (await ask(fig)).status == 200
            assert (a.open, b.open) == (1, 1)
            several[0].delay = float("inf")
            client = await fig.connect()
            client.send(GET)
            assert (await client.message()).body == b"b"
            client.send(GET)
            await until(lambda: len(several[0].requests) == 2, "a request at the other one")
            several[0].health = "503 Ill"
            await until(lambda: a.is_ill, "a bad check")
            await several[0].kill()
            assert (await client.message()).body == b"b"
            assert b.open == 1


async def test_a_name_that_leads_nowhere_is_one_endpoint_less() -> None:
    async with endpoints(1) as (one,):
        spec = {"urls": [one.url, "http://nowhere.invalid:80"], **OFF}

        async def lookup(host: str, port: int) -> list[str]:
            raise socket.gaierror

        async with running(table({"legacy": spec}), lookup=lookup) as fig:
            assert {(await ask(fig)).status for _ in range(4)} == {200}
            assert fig.notes.counts["resolution_failures", "http://nowhere.invalid", "legacy"] == 2


async def test_a_reload_that_does_not_change_a_service_leaves_its_connections_and_what_is_known_of_it() -> None:
    clock = Clock()
    async with endpoints(3) as several:
        spec = service(several, ejection={"consecutive_5xx": 1, "success_rate": "off"})
        async with running(table({"legacy": spec}), now=clock) as fig:
            several[0].status = "500 Broken"
            for _ in range(3):
                await ask(fig)
            open_before = fig.plane.services["legacy"].open
            fig.plane.load(table({"legacy": spec}, generation=2))

            assert {(await ask(fig)).body for _ in range(6)} == {b"b", b"c"}
            assert fig.plane.services["legacy"].open == open_before
            fig.plane.load(table({"legacy": {**spec, "timeout": "7s"}}, generation=3))
            assert {(await ask(fig)).body for _ in range(3)} == {b"a", b"b", b"c"}


@pytest.mark.parametrize("first", [GET, POST])
async def test_a_single_url_is_asked_however_often_it_failed(first: bytes) -> None:
    async with endpoints(1) as (one,), running(table({"legacy": {"url": one.url}})) as fig:
        one.status = "500 Broken"
        assert {(await ask(fig, first)).status for _ in range(10)} == {500}
        assert len(one.requests) == 10


async def test_endpoints_that_take_no_connection_in_time_are_all_tried_before_one_deadline() -> None:
    """However many there are, an exchange waits for `connect_timeout` and `timeout` together, as it does for one."""
    with contextlib.ExitStack() as held:
        urls = [held.enter_context(deaf()) for _ in range(10)]
        spec = {"urls": urls, "connect_timeout": "100ms", "timeout": "50ms", **OFF}
        async with running(table({"legacy": spec})) as fig:
            assert (await ask(fig)).status == 504
            assert fig.notes.counts["service_failovers", "legacy"] < 9, "some were never tried"
