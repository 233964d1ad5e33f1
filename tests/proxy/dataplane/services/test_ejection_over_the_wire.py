"""Endpoints that fail are left alone for a while: what ejects them between real sockets, what does not, and the way
back."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.endpoints import GET, POST, Clock, Endpoint, ask, endpoints, service
from tests.fakes.planes import SWEEP, Fig, running, table, until

EJECTION = {"consecutive_5xx": 3, "success_rate": "off", "base_ejection_time": "30s", "interval": "10s"}


def legacy(several: list[Endpoint], **more: object) -> dict[str, object]:
    return {"legacy": service(several, ejection=EJECTION, **more)}


def changes(fig: Fig, endpoint: Endpoint) -> dict[str, float]:
    return {
        what: count
        for (name, *labels), count in fig.notes.counts.items()
        if name == "endpoint_changes" and labels[0] == endpoint.url
        for what in labels[1:2]
    }


@pytest.mark.parametrize("how", ["500", "killed", "silent", "nonsense"])
async def test_an_endpoint_that_fails_in_a_row_is_left_out(how: str) -> None:
    async with endpoints(3) as several, running(table(legacy(several, timeout="50ms"))) as fig:
        bad = several[0]
        if how == "killed":
            await bad.kill()
        elif how == "silent":
            bad.delay = float("inf")
        else:
            bad.status = {"500": "500 Broken", "nonsense": "what is this"}[how]
        for _ in range(12):
            await ask(fig)
        assert changes(fig, bad) == {"ejected": 1}
        asked = len(bad.requests)

        assert {(await ask(fig)).body for _ in range(6)} == {b"b", b"c"}
        assert len(bad.requests) == asked


async def test_an_endpoint_comes_back_when_its_time_is_over() -> None:
    async with endpoints(3) as several, running(table(legacy(several)), now=(clock := Clock())) as fig:
        several[0].status = "500 Broken"
        for _ in range(9):
            await ask(fig)
        several[0].status = "200 OK"
        for _ in range(4):
            clock.forward(10.1)
            await asyncio.sleep(5 * SWEEP)
        await until(lambda: changes(fig, several[0]) == {"ejected": 1, "readmitted": 1}, "its return")

        assert {(await ask(fig)).body for _ in range(3)} == {b"a", b"b", b"c"}


async def test_clients_that_leave_and_what_fig_refuses_eject_nobody() -> None:
    async with endpoints(2) as several, running(table(legacy(several))) as fig:
        for each in several:
            each.delay = float("inf")
        for number in range(8):
            client = await fig.connect()
            client.send(GET)
            await until(lambda number=number: sum(len(e.requests) for e in several) > number, "the request")  # type: ignore[misc]
            client.reset()
        for _ in range(8):
            client = await fig.connect()
            client.send(POST.replace(b"abc", b"a"))
            client.finish()

        await fig.finished(16)
        assert [changes(fig, each) for each in several] == [{}, {}]


async def test_a_kept_connection_that_was_just_closed_is_nobodys_failure() -> None:
    """The service closes idle connections as it likes (RFC 9112 9.3.1); asked anew, it answers."""
    async with endpoints(2) as several, running(table(legacy(several))) as fig:
        for _ in range(4):
            await ask(fig)
            await ask(fig)
            for each in several:
                await each.kill()
                await each.start()

        assert {f.status for f in await fig.finished(8)} == {200}
        assert [changes(fig, each) for each in several] == [{}, {}]


async def test_when_too_few_would_be_left_all_are_asked() -> None:
    spec = service([], ejection={**EJECTION, "max_ejection_percent": "100%"})
    async with endpoints(3) as several:
        spec["urls"] = [each.url for each in several]
        async with running(table({"legacy": spec})) as fig:
            for each in several[:2]:
                each.status = "500 Broken"
            for _ in range(12):
                await ask(fig)

            assert [changes(fig, each) for each in several[:2]] == [{"ejected": 1}] * 2
            assert {(await ask(fig)).body for _ in range(3)} == {b"a", b"b", b"c"}
