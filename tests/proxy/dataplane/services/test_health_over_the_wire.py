"""Active health checks: what is asked, what counts as well, what an ill endpoint is spared, when the checks end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.endpoints import Clock, Endpoint, ask, endpoints, service
from tests.fakes.planes import SWEEP, Fig, running, table, until
from tests.fakes.wires import Answering, Message, Wire, answer
from tests.fakes.wires import Service as Listening

HEALTH = {"path": "/healthz", "every": "60ms", "timeout": "50ms", "healthy": 2, "unhealthy": 2}


def is_up(fig: Fig, endpoint: Endpoint) -> bool:
    ups = [gauge for gauge in fig.plane.services["legacy"].gauges() if gauge[0] == "endpoint_up"]
    return any(value for _, labels, value in ups if ("endpoint", endpoint.url) in labels)


async def test_an_endpoint_that_is_ill_is_left_out_until_it_is_well() -> None:
    async with endpoints(3) as several, running(table({"legacy": service(several, health=HEALTH)})) as fig:
        several[0].health = "503 Starting"
        await until(lambda: not is_up(fig, several[0]), "the endpoint ill")
        assert {(await ask(fig)).body for _ in range(6)} == {b"b", b"c"}
        several[0].health = "200 OK"
        await until(lambda: is_up(fig, several[0]), "the endpoint well")

        assert {(await ask(fig)).body for _ in range(3)} == {b"a", b"b", b"c"}
        assert all(each.checks for each in several)
        assert fig.notes.counts["health_checks", several[0].url, "bad", "legacy"] >= 1
        assert fig.notes.counts["endpoint_changes", several[0].url, "ill", "legacy"] == 1


@pytest.mark.parametrize(
    ("said", "is_well"),
    [
        (answer(b"", "204 No Content"), True),
        (answer(b"", "302 Found", "Location: /login"), False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", False),
        (b"nonsense\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, False),
        (b"", False),
    ],
)
async def test_a_check_is_good_when_its_status_is_whatever_the_body(said: bytes, is_well: bool) -> None:
    async with Answering(lambda _: said) as one:
        spec = {"url": one.url, "health": {**HEALTH, "healthy": 1, "unhealthy": 1}}
        async with running(table({"legacy": spec})) as fig:
            result = ("health_checks", one.url, "good" if is_well else "bad", "legacy")
            await until(lambda: fig.notes.counts[result] > 1, "two checks")

            other = ("health_checks", one.url, "bad" if is_well else "good", "legacy")
            assert not fig.notes.counts[other]


async def test_a_check_says_who_asks_and_for_what_host() -> None:
    asked: list[Message] = []
    async with Answering(lambda request: asked.append(request) or answer()) as one:  # type: ignore[func-returns-value]
        spec = {"url": one.url, "health": {**HEALTH, "path": "/up?deep=1", "host": "shop.example"}}
        async with running(table({"legacy": spec})):
            await until(lambda: asked, "a check")

    assert asked[0].start == "GET /up?deep=1 HTTP/1.1"
    assert asked[0].get("host") == "shop.example"
    assert asked[0].get("user-agent") == "fig-health"


async def test_a_check_that_is_never_answered_ends_and_its_connection_with_it() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    async with Listening(silent) as one, running(table({"legacy": {"url": one.url, "health": HEALTH}})) as fig:
        await until(lambda: fig.notes.counts["health_checks", one.url, "bad", "legacy"] > 2, "three checks")
        await until(lambda: one.connections - one.ended <= 1, "the end of their connections")


async def test_when_all_are_ill_all_are_asked() -> None:
    async with endpoints(2) as several, running(table({"legacy": service(several, health=HEALTH)})) as fig:
        for each in several:
            each.health = "503 Down"
        await until(lambda: not any(is_up(fig, each) for each in several), "all ill")

        assert {(await ask(fig)).body for _ in range(4)} == {b"a", b"b"}


async def test_a_service_that_is_taken_away_is_checked_no_more() -> None:
    async with endpoints(2) as several:
        services: dict[str, Any] = {"legacy": several[0].url, "gone": {"url": several[1].url, "health": HEALTH}}
        async with running(table(services)) as fig:
            await until(lambda: several[1].checks, "a check")
            del services["gone"]
            fig.plane.load(table(services, generation=2))
            await asyncio.sleep(0.05)
            checks = several[1].checks
            await asyncio.sleep(0.2)

            assert several[1].checks == checks


async def test_a_check_under_way_ends_with_its_service_and_says_nothing_more() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    slow = {"path": "/healthz", "every": "60s", "timeout": "60s", "unhealthy": 1}
    async with Answering() as legacy, Listening(silent) as one:
        services: dict[str, Any] = {"legacy": legacy.url, "gone": {"url": one.url, "health": slow}}
        async with running(table(services)) as fig:
            await until(lambda: one.connections, "a check")
            del services["gone"]
            fig.plane.load(table(services, generation=2))
            await until(lambda: one.ended, "the end of the check")

            told = {name for name, *_ in fig.notes.counts}
            assert not told & {"health_checks", "endpoint_changes"}


async def test_a_service_that_was_taken_away_begins_no_check_also_where_it_is_still_looked_at() -> None:
    clock = Clock()
    async with endpoints(1) as (one,), running(table({"legacy": {"url": one.url, "health": HEALTH}}), now=clock) as fig:
        await until(lambda: one.checks, "a check")
        fig.plane.services["legacy"].retire()
        await asyncio.sleep(5 * SWEEP)
        checks = one.checks
        clock.forward(3600)
        await asyncio.sleep(5 * SWEEP)

        assert one.checks == checks


async def test_an_endpoint_that_was_ejected_returns_when_checks_that_found_it_ill_find_it_well() -> None:
    ejection = {"consecutive_5xx": 1, "success_rate": "off"}
    async with endpoints(3) as several:
        spec = service(several, health=HEALTH, ejection=ejection)
        async with running(table({"legacy": spec})) as fig:
            changes = ("endpoint_changes", several[0].url)
            several[0].status = "500 Broken"
            for _ in range(3):
                await ask(fig)
            assert fig.notes.counts[*changes, "ejected", "legacy"] == 1
            several[0].health = "500 Broken"
            await until(lambda: not is_up(fig, several[0]), "the endpoint ill")
            several[0].status = several[0].health = "200 OK"
            await until(lambda: is_up(fig, several[0]), "the endpoint well")

            assert fig.notes.counts[*changes, "readmitted", "legacy"] == 1
            assert {(await ask(fig)).body for _ in range(3)} == {b"a", b"b", b"c"}
