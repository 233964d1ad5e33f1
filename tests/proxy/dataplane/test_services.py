"""Services that are slow, down, hostile or full: what the client gets, what the observers are told, what is retried."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.dataplane.failing import timed_out
from proxy.dataplane.ports import Limits
from proxy.dataplane.services.connection import ServiceConnection
from proxy.dataplane.services.service import RunningService
from tests.fakes.endpoints import deaf, down
from tests.fakes.planes import Finished, quiet_world, running, table, until
from tests.fakes.wires import Answering, Message, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
PUT = POST.replace(b"POST", b"PUT")


def route(**more: Any) -> dict[str, Any]:
    return {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live", **more}


def seen(finished: list[Finished]) -> list[tuple[str, str, int, str, str]]:
    return [(f.side, f.service, f.status, f.failure, f.fallback) for f in finished]


async def silent(wire: Wire) -> None:
    while await wire.some():
        pass


async def dying(wire: Wire) -> None:
    await wire.message()


# --- a service that does not answer ---


async def test_a_service_that_is_down_is_a_502_that_says_no_more_than_it_must() -> None:
    with down() as url:
        async with running(table({"legacy": url})) as fig:
            client = await fig.connect()
            for _ in range(2):
                client.send(POST)
                got = await client.message()
                assert got.status == 502
                said = json.loads(got.body)
                assert said["request_id"] == got.get("x-request-id")
                assert "127.0.0.1" not in got.body.decode()

            assert seen(await fig.finished(2)) == [("legacy", "legacy", 502, "connect", "")] * 2


async def test_a_name_that_cannot_be_resolved_is_a_502() -> None:
    async with running(table({"legacy": f"http://{'x' * 64}.invalid:80"})) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).status == 502
        assert seen(await fig.finished()) == [("legacy", "legacy", 502, "connect", "")]


async def test_a_service_that_does_not_take_the_connection_is_a_504() -> None:
    with deaf() as url:
        async with running(table({"legacy": {"url": url, "connect_timeout": "100ms"}})) as fig:
            client = await fig.connect()
            client.send(POST)

            assert (await client.message()).status == 504
            assert seen(await fig.finished()) == [("legacy", "legacy", 504, "timeout", "")]


@pytest.mark.parametrize("request_", [GET, POST])
async def test_a_service_that_never_answers_is_a_504(request_: bytes) -> None:
    async with (
        Service(silent) as legacy,
        running(table({"legacy": {"url": legacy.url, "timeout": "100ms"}})) as fig,
    ):
        client = await fig.connect()
        client.send(request_)

        assert (await client.message()).status == 504
        assert seen(await fig.finished()) == [("legacy", "legacy", 504, "timeout", "")]


async def test_interim_answers_do_not_keep_a_service_from_its_deadline() -> None:
    async def hinting(wire: Wire) -> None:
        await wire.message()
        while True:
            wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await asyncio.sleep(0.02)

    async with (
        Service(hinting) as legacy,
        running(table({"legacy": {"url": legacy.url, "timeout": "100ms"}})) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        while (got := await client.message()).status == 103:
            pass

        assert got.status == 504


async def test_a_service_that_stops_in_the_middle_of_a_body_is_cut_off() -> None:
    async def stalling(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await silent(wire)

    async with (
        Service(stalling) as legacy,
        running(table({"legacy": {"url": legacy.url, "idle_timeout": "100ms"}})) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert (got.body, got.is_complete) == (b"abc", False)
        assert seen(await fig.finished()) == [("legacy", "legacy", 200, "timeout", "")]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
async def test_a_service_that_closes_in_the_middle_of_a_body_leaves_an_answer_that_is_seen_to_be_cut(
    framing: bytes,
) -> None:
    async def cutting(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\n" + framing)

    async with Service(cutting) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert (got.body, got.is_complete) == (b"abc", False)
        assert seen(await fig.finished()) == [("legacy", "legacy", 200, "reset", "")]


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Bad: a\nSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"HTTP/2 200\r\n\r\n",
        b"\x00" * 200_000,
    ],
)
async def test_an_answer_that_cannot_be_read_in_one_way_is_a_502(raw: bytes) -> None:
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).status == 502
        assert seen(await fig.finished()) == [("legacy", "legacy", 502, "malformed", "")]


async def test_a_bad_chunk_in_an_answer_cuts_it() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-5\r\n"
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)

        assert not (await client.message()).is_complete
        assert seen(await fig.finished()) == [("legacy", "legacy", 200, "malformed", "")]


async def test_a_service_that_ends_without_an_answer_is_known_at_once_though_it_reads_nothing() -> None:
    ended = asyncio.Event()

    async def ending(wire: Wire) -> None:
        wire.writer.transport.pause_reading()
        wire.finish()
        await ended.wait()

    async with Service(ending) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(20_000_000))

        assert (await client.message()).status == 502
        assert seen(await fig.finished()) == [("legacy", "legacy", 502, "reset", "")]
        ended.set()


# --- connections that are kept ---


async def test_bytes_that_nobody_asked_for_end_the_connection_and_reach_no_client() -> None:
    chatty = iter([True, False])

    async def chat(wire: Wire) -> None:
        await wire.message()
        wire.send(answer(b"first"))
        if next(chatty):
            await asyncio.sleep(0.02)
            wire.send(answer(b"poison"))
            await wire.some()

    async with Service(chat) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).body == b"first"
        await until(lambda: not fig.plane.services["legacy"].open, "the end of the connection")
        client.send(GET)

        assert (await client.message()).body == b"first"


async def test_an_answer_with_bytes_behind_it_is_the_last_of_its_connection() -> None:
    async with (
        Answering(lambda _: answer(b"mine") + answer(b"poison")) as legacy,
        running(table({"legacy": legacy.url})) as fig,
    ):
        client = await fig.connect()
        for _ in range(3):
            client.send(GET)
            assert (await client.message()).body == b"mine"

        assert legacy.connections == 3


@pytest.mark.parametrize("before_dying", [b"", b"HTTP/1.1 20", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
@pytest.mark.parametrize("request_", [GET, PUT, POST])
async def test_only_a_kept_connection_that_said_nothing_is_tried_again_and_only_if_repeating_is_safe(
    request_: bytes, before_dying: bytes
) -> None:
    bodies: list[bytes] = []

    async def stale(wire: Wire) -> None:
        first = await wire.message()
        wire.send(answer(b"%d" % len(bodies)))
        bodies.append(first.body)
        second = await wire.message()
        bodies.append(second.body)
        wire.send(before_dying)

    async with Service(stale) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).body == b"0"
        client.send(request_)
        while (got := await client.message()).status == 103:
            pass

        if request_ is not POST and not before_dying:
            assert (got.status, got.body) == (200, b"2")
            assert bodies[1:] == ([b"abc"] * 2 if request_ is PUT else [b""] * 2)
            assert [f.failure for f in await fig.finished(2)] == ["", ""]
        else:
            assert got.status == 502
            assert len(bodies) == 2
            assert [f.failure for f in await fig.finished(2)] == ["", "reset"]


async def test_a_request_that_must_not_be_repeated_takes_no_connection_that_was_idle_for_long() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url}), limits=Limits(fresh=0.05)) as fig:
        client = await fig.connect()
        for request in (POST, POST):
            client.send(request)
            await client.message()
        assert legacy.connections == 1
        await asyncio.sleep(0.1)
        client.send(GET)
        await client.message()
        assert legacy.connections == 1, "what may be repeated takes it"
        await asyncio.sleep(0.1)
        client.send(POST)
        await client.message()
        assert legacy.connections == 2


async def test_with_no_room_for_another_connection_an_idle_one_is_taken_all_the_same() -> None:
    async with Answering() as legacy:
        one = {"url": legacy.url, "max_connections": 1}
        async with running(table({"legacy": one}), limits=Limits(fresh=0.0)) as fig:
            client = await fig.connect()
            for _ in range(3):
                client.send(POST)
                assert (await client.message()).status == 200
            assert legacy.connections == 1


async def test_a_fresh_connection_that_dies_is_not_tried_again() -> None:
    async with Service(dying) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).status == 502
        assert legacy.connections == 1


async def test_a_body_too_large_to_keep_is_not_sent_again() -> None:
    bodies: list[bytes] = []

    async def stale(wire: Wire) -> None:
        await wire.message()
        wire.send(answer())
        bodies.append(await wire.head() + await wire.some())

    async with Service(stale) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)

        assert (await client.message()).status == 502
        assert len(bodies) == 1


async def test_a_small_body_follows_its_request_to_another_connection_also_when_half_of_it_is_still_to_come() -> None:
    served = 0
    gate = asyncio.Event()

    async def stale(wire: Wire) -> None:
        nonlocal served
        served += 1
        if served == 1:
            await wire.message()
            wire.send(answer())
            await wire.head()
            await wire.reader.readexactly(3)
            return
        gate.set()
        wire.send(answer((await wire.message()).body))

    async with Service(stale) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await gate.wait()
        client.send(b"3\r\ndef\r\n0\r\n\r\n")

        assert (await client.message()).body == b"abcdef"


async def test_connections_that_were_not_used_for_long_are_closed() -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(service_keep_alive=0.1)) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        await client.message()

        await until(lambda: legacy.ended == 1, "the end of the idle connection")
        assert fig.plane.services["legacy"].open == 0


async def test_a_connection_with_a_body_unsent_is_not_used_again() -> None:
    """Its next exchange would wait behind bytes that are none of its own."""

    async def early(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(b"early"))
        await asyncio.sleep(1)

    async with (
        Service(early) as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(unsent=32 * 2**20)) as fig,
    ):
        size = 16 * 2**20
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        client.send(b"x" * size)
        assert (await client.message()).body == b"early"
        other = await fig.connect()
        other.send(GET)
        assert (await other.message()).body == b"early"

        assert legacy.connections == 2


async def test_a_connection_lost_while_it_is_being_opened_is_counted_off_once() -> None:
    """The kernel may close it between its making and the moment the pool learns of it: whoever opens it counts it."""
    service = table({"legacy": "http://127.0.0.1:1"}).services["legacy"]
    pool = RunningService("legacy", service, quiet_world()).pools[0]
    pool.open = 1

    ServiceConnection(pool).connection_lost(None)

    assert pool.open == 1


# --- room ---


async def test_what_finds_no_connection_waits_and_what_finds_no_room_is_told_when_to_come_again() -> None:
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        while (await wire.message()).is_complete:
            await gate.wait()
            wire.send(answer(b"at last"))

    async with (
        Service(slow) as legacy,
        running(table({"legacy": {"url": legacy.url, "max_connections": 1, "max_pending": 1}})) as fig,
    ):
        first, second, third = [await fig.connect() for _ in range(3)]
        for client in (first, second):
            client.send(GET)
            await until(lambda: legacy.connections == 1, "the first request at the service")
        await until(lambda: fig.plane.services["legacy"].waiting, "the second request in the queue")
        third.send(GET)
        got = await third.message()
        assert (got.status, got.get("retry-after")) == (503, "1")
        gate.set()

        assert (await first.message()).body == b"at last"
        assert (await second.message()).body == b"at last"
        assert legacy.connections == 1
        assert sorted(seen(await fig.finished(3)))[-1] == ("legacy", "legacy", 503, "overloaded", "")


async def test_a_candidate_that_is_full_does_not_pour_its_load_over_legacy() -> None:
    async with Answering() as legacy, Service(silent) as candidate:
        services = {"legacy": legacy.url, "candidate": {"url": candidate.url, "max_connections": 1, "max_pending": 0}}
        async with running(table(services, route(fallback="legacy"))) as fig:
            first, second = await fig.connect(), await fig.connect()
            first.send(GET)
            await until(lambda: candidate.connections, "the first request at the candidate")
            second.send(GET)

            assert (await second.message()).status == 503
            assert legacy.requests == []
            assert seen(await fig.finished()) == [("candidate", "candidate", 503, "overloaded", "")]


async def test_clients_that_leave_the_queue_leave_room_in_it() -> None:
    async with (
        Service(silent) as legacy,
        running(table({"legacy": {"url": legacy.url, "max_connections": 1, "max_pending": 1}})) as fig,
    ):
        pool = fig.plane.services["legacy"]
        first = await fig.connect()
        first.send(GET)
        await until(lambda: legacy.connections, "the first request at the service")
        for _ in range(3):
            client = await fig.connect()
            client.send(GET)
            await until(lambda: len(pool.waiting) == 1, "a request in the queue")
            client.reset()
            await until(lambda: len(pool.waiting) == 0, "room in the queue")


async def test_a_client_that_leaves_cancels_its_request_at_the_service() -> None:
    async with Service(silent) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await until(lambda: legacy.connections, "the request at the service")
        client.reset()

        await until(lambda: legacy.ended == 1, "the end of the service's connection")
        assert seen(await fig.finished()) == [("legacy", "legacy", 0, "client", "")]


async def test_a_client_that_leaves_in_the_middle_of_its_body_cancels_its_request() -> None:
    async with Service(silent) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await until(lambda: legacy.connections, "the request at the service")
        client.close()

        await until(lambda: legacy.ended == 1, "the end of the service's connection")
        assert seen(await fig.finished()) == [("legacy", "legacy", 0, "client", "")]


# --- fallback ---


@pytest.mark.parametrize("request_", [GET, PUT])
@pytest.mark.parametrize("how", ["down", "dying", "silent", "malformed", "deaf"])
async def test_legacy_answers_for_a_candidate_that_failed_and_the_failure_is_the_candidates(
    how: str, request_: bytes
) -> None:
    handlers = {"dying": dying, "silent": silent}
    kinds = {"down": "connect", "dying": "reset", "silent": "timeout", "malformed": "malformed", "deaf": "timeout"}

    async def nonsense(wire: Wire) -> None:
        await wire.message()
        wire.send(b"nonsense\r\n\r\n")

    async with Answering() as legacy, Service(handlers.get(how, nonsense)) as service:
        with down() as nobody, deaf() as queue:
            url = {"down": nobody, "deaf": queue}.get(how, service.url)
            candidate = {"url": url, "timeout": "100ms", "connect_timeout": "100ms"}
            async with running(table({"legacy": legacy.url, "candidate": candidate}, route(fallback="legacy"))) as fig:
                client = await fig.connect()
                client.send(request_)

                assert (await client.message()).status == 200
                assert seen(await fig.finished()) == [("legacy", "legacy", 200, "", kinds[how])]
                assert legacy.requests[0].body == (b"abc" if request_ is PUT else b"")


@pytest.mark.parametrize("request_", [POST, GET.replace(b"GET", b"PURGE")])
async def test_what_is_not_safe_to_repeat_never_falls_back(request_: bytes) -> None:
    async with (
        Answering() as legacy,
        Service(dying) as candidate,
        running(table({"legacy": legacy.url, "candidate": candidate.url}, route(fallback="legacy"))) as fig,
    ):
        client = await fig.connect()
        client.send(request_)

        assert (await client.message()).status == 502
        assert legacy.requests == []


async def test_without_fallback_a_candidate_that_is_down_is_a_502() -> None:
    async with Answering() as legacy:
        with down() as url:
            async with running(table({"legacy": legacy.url, "candidate": url}, route())) as fig:
                client = await fig.connect()
                client.send(GET)

                assert (await client.message()).status == 502
                assert seen(await fig.finished()) == [("candidate", "candidate", 502, "connect", "")]


async def test_legacy_failing_too_is_legacys_failure_besides_the_candidates() -> None:
    async with Service(dying) as legacy:
        with down() as url:
            async with running(table({"legacy": legacy.url, "candidate": url}, route(fallback="legacy"))) as fig:
                client = await fig.connect()
                client.send(GET)

                assert (await client.message()).status == 502
                assert seen(await fig.finished()) == [("legacy", "legacy", 502, "reset", "connect")]


async def test_legacy_is_not_its_own_fallback() -> None:
    async with Answering() as candidate:
        with down() as url:
            rules = route(fallback="legacy", stage="shadow")
            async with running(table({"legacy": url, "candidate": candidate.url}, rules)) as fig:
                client = await fig.connect()
                client.send(GET)

                assert (await client.message()).status == 502
                assert seen(await fig.finished()) == [("legacy", "legacy", 502, "connect", "")]


async def test_a_connection_of_the_candidate_is_never_given_to_a_request_that_fell_back() -> None:
    """It waited for a connection of each in turn; the candidate's comes while it waits for legacy's."""
    gate = asyncio.Event()

    async def held(wire: Wire) -> None:
        while (await wire.message()).is_complete:
            await gate.wait()
            wire.send(answer(b"candidate"))

    async def slow(wire: Wire) -> None:
        while (await wire.message()).is_complete:
            await asyncio.sleep(0.1)
            wire.send(answer(b"legacy"))

    async with Service(slow) as legacy, Service(held) as candidate:
        services = {
            "legacy": {"url": legacy.url, "max_connections": 1},
            "candidate": {"url": candidate.url, "max_connections": 1, "timeout": "5s"},
        }
        async with running(table(services, route(fallback="legacy"), generation=1)) as fig:
            on_legacy, on_candidate, client = [await fig.connect() for _ in range(3)]
            on_candidate.send(GET)
            await until(lambda: candidate.connections, "the candidate's only connection taken")
            client.send(GET)
            await until(lambda: fig.plane.services["candidate"].waiting, "the request in the candidate's queue")
            exchange = next(iter(fig.plane.services["candidate"].waiting))
            fig.plane.load(table(services, generation=2))
            on_legacy.send(GET)
            await until(lambda: legacy.connections, "legacy's only connection taken")
            timed_out(exchange)
            assert list(fig.plane.services["legacy"].waiting) == [exchange]
            gate.set()

            assert (await on_candidate.message()).body == b"candidate"
            assert (await client.message()).body == b"legacy"


async def test_a_reload_that_takes_legacy_away_does_not_take_the_fallback_from_a_request_in_flight() -> None:
    async with Answering() as legacy, Answering() as other, Service(silent) as candidate:
        first = table({"legacy": legacy.url, "candidate": candidate.url}, route(legacy="legacy", fallback="legacy"))
        async with running(first) as fig:
            client = await fig.connect()
            client.send(GET)
            await until(lambda: candidate.connections, "the request at the candidate")
            second = table({"legacy": other.url}, generation=2)
            fig.plane.load(second)
            await candidate.stop()

            assert (await client.message()).status == 200
            assert len(legacy.requests) == 1
            assert other.requests == []


# --- one client's bytes ---


async def test_every_client_gets_its_own_answers_whatever_happens_to_the_others() -> None:
    def reply(request: Message) -> bytes:
        path = request.start.split(" ")[1].encode()
        if path.endswith(b"more"):
            return answer(path) + answer(b"poison")
        return answer(path)

    async with Answering(reply) as legacy, running(table({"legacy": {"url": legacy.url, "max_connections": 3}})) as fig:

        async def shop(name: int) -> None:
            for turn in range(12):
                client = await fig.connect()
                kind = ("plain", "more", "leave")[(name + turn) % 3]
                path = f"/{name}/{turn}/{kind}"
                client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 2)
                if kind == "leave":
                    client.reset()
                    continue
                for _ in range(2):
                    got = await client.message()
                    assert got.body == path.encode()
                client.close()

        await asyncio.gather(*(shop(name) for name in range(6)))
