"""The circuit breaker between real sockets: what clients get while it is open, what closes it, what it counts."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from proxy.rows import ROW
from proxy.wire import Record, Rows
from proxy.worker.tallies import Tallies
from rules.failures import FAILURES
from tests.fakes.endpoints import GET, POST, Clock, Endpoint, ask, endpoints
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

BREAKER = {"consecutive": 3, "open_for": "10s"}


def route(**more: Any) -> dict[str, Any]:
    return {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live", **more}


def turned(fig: Fig, side: str = "legacy", service: str = "legacy") -> dict[str, float]:
    return {
        state: count
        for (name, *labels, state), count in fig.notes.counts.items()
        if name == "breaker_changes" and labels == [service, side]
    }


def legacy(one: Endpoint, **more: Any) -> dict[str, Any]:
    return {"legacy": {"url": one.url, "breaker": BREAKER, **more}}


async def test_an_open_breaker_answers_503_with_retry_after_and_asks_nobody() -> None:
    async with endpoints(1) as (one,), running(table(legacy(one)), now=(clock := Clock())) as fig:
        one.status = "500 Broken"
        assert [(await ask(fig)).status for _ in range(3)] == [500] * 3
        clock.forward(2.5)
        got = await ask(fig)

        assert (got.status, got.get("retry-after")) == (503, "8")
        assert len(one.requests) == 3
        last = (await fig.finished(4))[-1]
        assert (last.failure, last.exchange.refused) == ("breaker", "breaker")
        assert fig.notes.counts["service_turned_away", "breaker", "legacy"] == 1


async def test_a_probe_that_succeeds_closes_it_and_one_that_fails_opens_it_for_longer() -> None:
    async with endpoints(1) as (one,), running(table(legacy(one)), now=(clock := Clock())) as fig:
        one.status = "500 Broken"
        for _ in range(3):
            await ask(fig)
        clock.forward(10)
        assert (await ask(fig)).status == 500
        clock.forward(11)
        assert (await ask(fig)).status == 503, "twice as long"
        clock.forward(10)
        one.status = "200 OK"
        assert [(await ask(fig)).status for _ in range(3)] == [200] * 3

        assert turned(fig) == {"open": 2, "half_open": 2, "closed": 1}


async def test_a_flood_of_its_own_refusals_neither_keeps_it_open_nor_opens_it() -> None:
    async with endpoints(1) as (one,), running(table(legacy(one)), now=(clock := Clock())) as fig:
        one.status = "500 Broken"
        for _ in range(3):
            await ask(fig)
        one.status = "200 OK"
        client = await fig.connect()
        for _ in range(200):
            client.send(GET)
            assert (await client.message()).status == 503
        clock.forward(10)

        assert (await ask(fig)).status == 200
        assert turned(fig) == {"open": 1, "half_open": 1, "closed": 1}


async def test_what_fig_refuses_by_itself_and_clients_that_leave_open_no_breaker() -> None:
    limit = route(max_body="1KB")
    async with endpoints(1) as (one,), Answering() as other:
        services = {"legacy": other.url, "candidate": {"url": one.url, "breaker": BREAKER}}
        async with running(table(services, limit)) as fig:
            for _ in range(5):
                assert (await ask(fig, POST.replace(b"3", b"3000"))).status == 413
            one.delay = float("inf")
            for number in range(5):
                client = await fig.connect()
                client.send(GET)
                await until(lambda number=number: len(one.requests) > number, "the request at the service")  # type: ignore[misc]
                client.reset()
            await fig.finished(10)
            one.delay = 0

            assert (await ask(fig)).status == 200
            assert not turned(fig, "candidate", "candidate")


async def test_a_probe_whose_client_leaves_frees_its_place() -> None:
    async with endpoints(1) as (one,), running(table(legacy(one)), now=(clock := Clock())) as fig:
        one.status = "500 Broken"
        for _ in range(3):
            await ask(fig)
        clock.forward(10)
        one.status, one.delay = "200 OK", float("inf")
        probing = await fig.connect()
        probing.send(GET)
        await until(lambda: len(one.requests) == 4, "the probe at the service")
        assert (await ask(fig)).status == 503, "one probe at a time"
        probing.reset()
        await fig.finished(5)
        one.delay = 0

        assert (await ask(fig)).status == 200


@pytest.mark.parametrize("how", ["killed", "silent", "nonsense"])
async def test_a_service_that_does_not_answer_opens_it(how: str) -> None:
    async with endpoints(1) as (one,), running(table(legacy(one, timeout="50ms"))) as fig:
        if how == "killed":
            await one.kill()
        elif how == "silent":
            one.delay = float("inf")
        else:
            one.status = "what is this"
        statuses = [(await ask(fig)).status for _ in range(4)]

        assert statuses == [504 if how == "silent" else 502] * 3 + [503]


async def test_it_is_open_for_one_side_only() -> None:
    """The same service is legacy to one route and candidate to another."""
    shadowed = {"name": "s", "match": {"path": "/s"}, "candidate": "legacy", "legacy": "other", "stage": "live"}
    async with endpoints(1) as (one,), running(table({**legacy(one), "other": one.url}, shadowed)) as fig:
        one.status = "500 Broken"
        for _ in range(3):
            await ask(fig, GET.replace(b"/ ", b"/s "))
        one.status = "200 OK"

        assert (await ask(fig, GET.replace(b"/ ", b"/s "))).status == 503
        assert (await ask(fig)).status == 200
        assert turned(fig, "candidate") == {"open": 1}
        assert turned(fig, "legacy") == {}


async def test_legacy_answers_for_a_candidate_that_is_left_alone_where_the_request_may_be_repeated() -> None:
    async with endpoints(1) as (one,), Answering() as other:
        services = {"legacy": other.url, "candidate": {"url": one.url, "breaker": BREAKER}}
        async with running(table(services, route(fallback="legacy"))) as fig:
            await one.kill()
            assert [(await ask(fig)).status for _ in range(5)] == [200] * 5
            assert (await ask(fig, POST)).status == 503

            seen = [f.fallback for f in await fig.finished(6)]
            assert seen == ["connect"] * 3 + ["breaker"] * 2 + [""]


async def test_those_who_wait_when_it_opens_are_not_sent_after_those_that_failed() -> None:
    async with endpoints(1) as (one,), Answering() as other:
        candidate = {"url": one.url, "breaker": {"consecutive": 1}, "max_connections": 1}
        async with running(table({"legacy": other.url, "candidate": candidate}, route(fallback="legacy"))) as fig:
            one.delay = float("inf")
            clients: list[Wire] = []
            for _ in range(4):
                clients.append(await fig.connect())
                clients[-1].send(GET)
            await until(lambda: len(fig.plane.services["candidate"].waiting) == 3 and one.requests, "a queue")
            await one.kill()
            for client in clients:
                assert (await client.message()).status == 200

            assert len(one.requests) == 1
            assert sorted(f.fallback for f in await fig.finished(4)) == ["breaker"] * 3 + ["reset"]


@pytest.mark.parametrize("care", [{}, {"breaker": BREAKER}])
async def test_a_probe_that_waits_in_vain_for_room_and_falls_back_frees_its_place(care: dict[str, Any]) -> None:
    """The place is the candidate's, whether or not legacy has a breaker too."""
    release = asyncio.Event()

    async def play(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\n")
        await release.wait()
        wire.send(b"slow")
        while await wire.message():
            wire.send(answer(b"candidate"))

    async with Answering() as other, Service(play) as one:
        candidate = {
            "url": one.url, "breaker": {"consecutive": 1, "open_for": "5s"}, "max_connections": 1, "timeout": "10s",
        }  # fmt: skip
        services = {"legacy": {"url": other.url, **care}, "candidate": candidate}
        async with running(table(services, route(fallback="legacy")), now=(clock := Clock())) as fig:
            first, second = await fig.connect(), await fig.connect()
            first.send(GET)
            await until(lambda: turned(fig, "candidate", "candidate"), "an open breaker")
            clock.forward(6)
            second.send(GET)
            await until(lambda: fig.plane.services["candidate"].waiting, "the probe in the queue")
            clock.forward(11)
            assert (await second.message()).body == b"ok"
            assert [f.fallback for f in await fig.finished(1)] == ["overloaded"]
            release.set()
            assert (await first.message()).body == b"slow"

            assert (await ask(fig)).body == b"candidate"
            assert turned(fig, "candidate", "candidate") == {"open": 1, "half_open": 1, "closed": 1}


@pytest.mark.parametrize("fallback", [{}, {"fallback": "legacy"}])
async def test_a_breaker_that_is_open_is_evidence_against_its_side(fallback: dict[str, str]) -> None:
    tallies = Tallies()
    canary = {**route(unit={"cookie": "unit"}, **fallback), "stage": "canary", "share": "100%"}
    async with endpoints(1) as (one,), Answering() as other:
        services = {"legacy": other.url, "candidate": {"url": one.url, "breaker": BREAKER}}
        async with running(table(services, canary), observer=tallies) as fig:
            await one.kill()
            for _ in range(5):
                await ask(fig, GET.replace(b"\r\n\r\n", b"\r\nCookie: unit=u\r\n\r\n"))
            await fig.finished(5)

    told: list[Record] = []
    tallies.flush_rows(lambda record: not told.append(record))
    (batch,) = told
    assert isinstance(batch, Rows)
    kinds = [(row["side"], FAILURES[row["failure"]]) for row in np.frombuffer(batch.rows, ROW)]
    assert kinds == [(1, "fallback")] * 5 if fallback else [(1, "connect")] * 3 + [(1, "breaker")] * 2
