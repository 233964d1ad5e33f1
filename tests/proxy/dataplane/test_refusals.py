"""What clients get for requests that fig cannot forward, and how long they may take. All by the wire."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import running, table
from tests.fakes.wires import Answering, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "host"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "framing",
        ),
        (b"GET / HTTP/1.1\nHost: a\n\n" + GET, 400, "request_line"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, "method"),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nX: ", 414, "target_size"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target_size"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000, 431, "head_size"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "head_size"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431, "header_count"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "request_line"),
    ],
)
async def test_a_request_that_cannot_be_trusted_gets_one_answer_and_the_end(
    raw: bytes, status: int, reason: str
) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(head=16_384, target=8192)) as fig,
    ):
        client = await fig.connect()
        client.send(raw + GET)
        got = await client.message()

        assert (got.status, got.get("connection")) == (status, "close")
        said = json.loads(got.body)
        assert said["status"] == status
        assert said["request_id"] == got.get("x-request-id")
        assert await client.rest() == (b"", True)
        assert fig.notes.refusals == [reason]
        assert legacy.connections == 0


@pytest.mark.parametrize("unfinished", [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\rHost: a\r\r", b"\rG"])
async def test_a_head_that_can_have_no_end_is_refused_before_its_time_is_over(unfinished: bytes) -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(unfinished)
        got = await client.message()

        assert (got.status, got.get("connection")) == (400, "close")
        assert await client.rest() == (b"", True)
        assert legacy.connections == 0


@pytest.mark.parametrize(
    "chunks",
    [b"0x3\r\nabc\r\n", b"3\nabc\n", b"-1\r\n", b"3\r\nabcX\r\n", b"3;\x00\r\nabc\r\n", b"fffffffffffffffff\r\n"],
)
async def test_a_bad_chunk_ends_the_request_at_the_client_and_at_the_service(chunks: bytes) -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await asyncio.sleep(0.01)
        client.send(chunks + b"0\r\n\r\n" + GET)
        got = await client.message()

        assert (got.status, got.get("connection")) == (400, "close")
        assert await client.rest() == (b"", True)
        assert [(f.status, f.failure) for f in await fig.finished()] == [(400, "")]
        assert legacy.requests == []  # it never saw an end


async def test_a_refusal_is_not_reset_away_by_what_still_comes() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        for _ in range(20):
            client.send(b"x" * 10_000)
            await asyncio.sleep(0)

        assert (await client.message()).status == 400
        assert await client.rest() == (b"", True)


async def test_a_refused_client_that_does_not_leave_is_cut_off() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}), limits=Limits(linger=0.05)) as fig:
        client = await fig.connect()
        client.send(b"nonsense\r\n\r\n")
        await client.message()

        assert (await client.rest())[0] == b""
        while fig.plane.clients:
            client.send(b"more")
            await asyncio.sleep(0.01)


async def test_a_head_that_does_not_end_in_time_is_refused() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}), limits=Limits(head_seconds=0.1)) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        for number in range(5):
            client.send(b"X-%d: drip\r\n" % number)
            await asyncio.sleep(0.03)

        assert (await client.message()).status == 408
        assert fig.notes.refusals == ["head_timeout"]


async def test_a_head_has_its_time_however_long_the_connection_was_idle_before() -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(keep_alive=0.3, head_seconds=5)) as fig,
    ):
        client = await fig.connect()
        await asyncio.sleep(0.2)
        client.send(GET[:5])
        await asyncio.sleep(0.3)
        client.send(GET[5:])

        assert (await client.message()).status == 200


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}), limits=Limits(keep_alive=0.1)) as fig:
        fresh = await fig.connect()
        used = await fig.connect()
        used.send(GET)
        await used.message()

        assert await fresh.rest() == (b"", True)
        assert await used.rest() == (b"", True)
        assert fig.notes.refusals == []


async def test_a_body_that_does_not_come_is_refused_in_time() -> None:
    service = {"url": "", "idle_timeout": "100ms"}
    async with Answering() as legacy, running(table({"legacy": service | {"url": legacy.url}})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")

        assert (await client.message()).status == 408
        assert [(f.status, f.failure) for f in await fig.finished()] == [(408, "")]


async def test_the_empty_lines_of_a_flood_cost_one_look_each() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"\r\n" * 500_000 + GET)

        assert (await client.message()).status == 200


async def test_a_header_in_an_answer_of_figs_own_never_echoes_what_came() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET /secret-path HTTP/1.1\r\nX-Evil: <script>\r\n\r\n")
        got = await client.message()

        assert b"secret" not in got.body
        assert b"script" not in got.body
        assert re.fullmatch("[0-9a-f]{32}", got.get("x-request-id") or "")


async def test_nothing_behind_the_last_request_is_answered() -> None:
    async def once(wire: Wire) -> None:
        await wire.message()
        await asyncio.sleep(0.02)
        wire.send(answer(b"only"))
        await wire.some()

    async with Service(once) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET * 100)

        assert (await client.message()).body == b"only"
        assert await client.rest() == (b"", True)
        assert len(await fig.finished()) == 1
