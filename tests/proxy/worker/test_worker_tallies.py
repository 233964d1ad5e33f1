"""What a worker counts, of real exchanges through a real data plane."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import histogram
from proxy.dataplane.exchange import Exchange
from proxy.rows import ROW
from proxy.wire import Record, Rows, SideTally, Tally
from proxy.worker import tallies as tallies_module
from proxy.worker.tallies import Tallies
from rules.buckets import unit_hash
from rules.failures import FAILURES
from rules.table import Table
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering, Message, Service, Wire, answer

_CLIMBS = {"match": "/up", "replace": "/../.."}
GET = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n"


class Control:
    """Takes records while `is_there`."""

    def __init__(self) -> None:
        self.is_there = True
        self.got: list[Record] = []

    def __call__(self, record: Record) -> bool:
        if self.is_there:
            self.got.append(record)
        return self.is_there


def canary(legacy: str, candidate: str | dict[str, Any], share: str, **more: Any) -> Table:
    route = {
        "name": "r",
        "match": {"path": "/**"},
        "candidate": "candidate",
        "stage": "canary",
        "share": share,
        "unit": {"cookie": "unit"},
    }
    return table({"legacy": legacy, "candidate": candidate}, {**route, **more})


def sides(tallies: Tallies) -> dict[tuple[str, str], SideTally]:
    control = Control()
    tallies.flush(control, [])
    (tally,) = control.got
    assert isinstance(tally, Tally)
    return {(side.side, side.service): side for side in tally.sides}


def rows(tallies: Tallies) -> tuple[Rows, Sequence[np.void]]:
    control = Control()
    tallies.flush_rows(control)
    (batch,) = control.got
    assert isinstance(batch, Rows)
    return batch, list(np.frombuffer(batch.rows, ROW))


async def test_answers_are_counted_by_side_method_and_class_with_their_times() -> None:
    statuses = {"/": "200 OK", "/gone": "404 Not Found", "/broken": "500 Internal Server Error"}

    def reply(request: Message) -> bytes:
        return answer(b"", statuses[request.start.split(" ")[1]])

    tallies = Tallies()
    async with (
        Answering(reply) as legacy,
        running(table({"legacy": legacy.url}), observer=tallies) as fig,
    ):
        client = await fig.connect()
        for path in ("/", "/", "/gone", "/broken"):
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await client.message()
        client.send(b"PURGE / HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.message()
        await fig.finished(5)

        side = sides(tallies)["legacy", "legacy"]
        assert side.requests == {"GET 2xx": 2, "GET 4xx": 1, "GET 5xx": 1, "other 2xx": 1}
        assert side.failures == {"status": 1}
        for times in (side.latency, side.inside):
            assert sum(histogram.unpacked(times).values()) == 5
        assert side.seconds > 0


async def test_a_fallback_is_the_candidates_failure_and_legacys_answer() -> None:
    async def dying(wire: Wire) -> None:
        await wire.message()

    tallies = Tallies()
    async with Answering() as legacy, Service(dying) as candidate:
        rules = canary(legacy.url, candidate.url, "100%", fallback="legacy")
        async with running(rules, observer=tallies) as fig:
            client = await fig.connect()
            client.send(GET)
            assert (await client.message()).status == 200
            await fig.finished()

            counted = sides(tallies)
            assert counted["candidate", "candidate"].failures == {"fallback": 1}
            assert counted["candidate", "candidate"].requests == {}
            assert counted["legacy", "legacy"].requests == {"GET 2xx": 1}
            assert counted["legacy", "legacy"].failures == {}
            _, (row,) = rows(tallies)
            assert (row["side"], row["status_class"], FAILURES[row["failure"]]) == (1, 0, "fallback")


async def test_legacys_own_failure_after_a_fallback_is_counted_too() -> None:
    tallies = Tallies()
    rules = canary("http://127.0.0.1:1", "http://127.0.0.1:1", "100%", fallback="legacy")
    async with running(rules, observer=tallies) as fig:
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).status == 502
        await fig.finished()

        counted = sides(tallies)
        assert counted["candidate", "candidate"].failures == {"fallback": 1}
        assert counted["legacy", "legacy"].failures == {"connect": 1}


async def test_a_row_tells_what_became_of_a_unit_on_the_side_that_its_bucket_chose() -> None:
    tallies = Tallies()
    async with (
        Answering(lambda _: answer(b"", "503 Service Unavailable")) as legacy,
        running(canary(legacy.url, legacy.url, "0%"), observer=tallies) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        await client.message()
        await fig.finished()

        batch, (row,) = rows(tallies)
        assert (batch.route, batch.generation, batch.dropped) == ("r", 1, 0)
        assert row["unit"] == unit_hash("r", "u1")
        assert (row["side"], row["status_class"], FAILURES[row["failure"]]) == (0, 5, "status")
        assert row["clock"] > 1_600_000_000
        assert 0 < row["seconds"] < 10


async def test_what_says_nothing_about_a_side_makes_no_row() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    tallies = Tallies()
    async with (
        Service(silent) as legacy,
        running(canary(legacy.url, legacy.url, "0%"), observer=tallies) as fig,
    ):
        leaving = await fig.connect()
        leaving.send(GET.replace(b"GET", b"PUT").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\nhalf"))
        await until(lambda: legacy.connections, "the request at the service")
        leaving.reset()
        bad = await fig.connect()
        bad.send(GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"))
        assert (await bad.message()).status == 400
        await fig.finished(2)

        control = Control()
        tallies.flush_rows(control)
        assert control.got == []
        tallies.flush(control, [])
        (tally,) = control.got
        assert isinstance(tally, Tally)
        assert ("client_aborts", (("route", "r"), ("when", "waiting")), 1.0) in tally.counts


async def test_clients_that_leave_a_side_that_hangs_or_find_no_room_at_it_are_evidence_against_it() -> None:
    async def silent(wire: Wire) -> None:
        while await wire.some():
            pass

    tallies = Tallies()
    async with Answering() as legacy, Service(silent) as candidate:
        rules = canary(legacy.url, {"url": candidate.url, "max_connections": 1, "max_pending": 0}, "100%")
        async with running(rules, observer=tallies) as fig:
            leaving, turned_away = await fig.connect(), await fig.connect()
            leaving.send(GET)
            await until(lambda: candidate.connections, "the request at the service")
            turned_away.send(GET)
            assert (await turned_away.message()).status == 503
            leaving.reset()
            await fig.finished(2)

            _, told = rows(tallies)
            assert [(row["side"], FAILURES[row["failure"]]) for row in told] == [(1, "overloaded"), (1, "left")]


async def test_refusals_are_counted_by_reason() -> None:
    tallies = Tallies()
    async with running(table({"legacy": "http://127.0.0.1:1"}), observer=tallies) as fig:
        for _ in range(2):
            client = await fig.connect()
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            await client.message()

        control = Control()
        tallies.flush(control, [])
        (tally,) = control.got
        assert isinstance(tally, Tally)
        assert tally.counts == [("refused", (("reason", "host"), ("status", "400")), 2.0)]


async def test_nothing_counted_is_lost_while_control_is_away_and_nothing_told_twice() -> None:
    tallies = Tallies()
    control = Control()
    async with (
        Answering() as legacy,
        running(canary(legacy.url, legacy.url, "0%"), observer=tallies) as fig,
    ):
        client = await fig.connect()
        for is_there in (False, False, True, True):
            client.send(GET)
            await client.message()
            control.is_there = is_there
            tallies.flush(control, [])
            tallies.flush_rows(control)

        requests = [side.requests["GET 2xx"] for t in control.got if isinstance(t, Tally) for side in t.sides]
        assert requests == [3, 1]
        assert [len(r.rows) // ROW.itemsize for r in control.got if isinstance(r, Rows)] == [3, 1]


ROUTES = (*(f"r{n}" for n in range(7)), "between")


@functools.cache
def exchanges() -> dict[str, Exchange]:
    """One that is over and was answered, of each of ROUTES."""

    async def asked() -> dict[str, Exchange]:
        async with Answering() as legacy:
            routes = [{"name": name, "match": {"path": f"/{name}"}, "candidate": "legacy"} for name in ROUTES]
            async with running(table({"legacy": legacy.url}, *routes)) as fig:
                client = await fig.connect()
                for name in ROUTES:
                    client.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    await client.message()
                return {each.route: each.exchange for each in await fig.finished(len(ROUTES))}

    return asyncio.run(asked())


def finished(tallies: Tallies, route: str, seconds: float) -> None:
    """An answer of `route` that its service took so long for, and fig half of that."""
    exchange = exchanges()[route]
    exchange.sent, exchange.answer = 0.0, seconds
    exchange.started, exchange.waited, exchange.ended = 0.0, 0.0, seconds * 1.5
    tallies.finished(exchange)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(ROUTES[:-1]), st.floats(1e-5, 60.0)),  # an answer
            st.booleans(),  # a flush, with control there or not
            st.integers(0, 3),  # one in which the link breaks after so many parts, while answers go on coming
            st.integers(-4, -1),  # one in which another flush has the loop after so many parts, as when a worker ends
        ),
        max_size=60,
    )
)
def test_whatever_control_takes_and_when_every_answer_is_told_of_once(events: list[Any]) -> None:
    at_once, tallies_module.SIDES_AT_ONCE = tallies_module.SIDES_AT_ONCE, 2
    try:
        tallies, control = Tallies(), Control()
        due: dict[str, list[float]] = defaultdict(list)
        for event in [*events, True, True]:
            if isinstance(event, tuple):
                finished(tallies, *event)
                due[event[0]].append(event[1])
                continue
            control.is_there = event is not False
            for number, _ in enumerate(tallies.flushing(control, [])):
                finished(tallies, "between", 0.5)
                due["between"].append(0.5)
                if event is not True and event >= 0:
                    control.is_there = control.is_there and number < event
                elif event is not True and number == -event - 1:
                    tallies.flush(control, [])
        tallies.flush(control, [])
    finally:
        tallies_module.SIDES_AT_ONCE = at_once

    told = [side for tally in control.got if isinstance(tally, Tally) for side in tally.sides]
    for route, seconds in due.items():
        mine = [side for side in told if side.route == route]
        assert sum(side.requests["GET 2xx"] for side in mine) == len(seconds)
        assert sum(side.seconds for side in mine) == pytest.approx(sum(seconds))
        for times, each in (("latency", seconds), ("inside", [one * 1.5 - one for one in seconds])):
            found: Counter[int] = Counter()
            for side in mine:
                found.update(histogram.unpacked(getattr(side, times)))
            assert found == Counter(histogram.index(one) for one in each)
    assert all(len(tally.sides) <= 2 for tally in control.got if isinstance(tally, Tally))


async def test_rows_beyond_the_limit_are_counted_as_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies_module, "ROWS_LIMIT", 2 * ROW.itemsize)
    tallies = Tallies()
    async with (
        Answering() as legacy,
        running(canary(legacy.url, legacy.url, "0%"), observer=tallies) as fig,
    ):
        client = await fig.connect()
        for _ in range(5):
            client.send(GET)
            await client.message()
        await fig.finished(5)

        batch, told = rows(tallies)
        assert len(told) + batch.dropped == 5
        assert batch.dropped > 0


async def test_rows_that_another_flush_took_meanwhile_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies_module, "ROUTES_AT_ONCE", 1)
    tallies, control = Tallies(), Control()
    route = {"candidate": "legacy", "stage": "canary", "share": "0%", "unit": {"cookie": "unit"}}
    routes = [{"name": name, "match": {"path": f"/{name}"}, **route} for name in ("a", "b", "c")]
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}, *routes), observer=tallies) as fig,
    ):
        client = await fig.connect()
        for name in ("a", "b", "c"):
            client.send(GET.replace(b"GET /", b"GET /" + name.encode()))
            await client.message()
        await fig.finished(3)

    flushing = tallies.flushing_rows(control)
    next(flushing)
    tallies.flush_rows(control)
    assert list(flushing) == []
    assert sorted(batch.route for batch in control.got if isinstance(batch, Rows)) == ["a", "b", "c"]


async def test_methods_that_nobody_knows_share_a_label() -> None:
    tallies = Tallies()
    async with Answering() as legacy, running(table({"legacy": legacy.url}), observer=tallies) as fig:
        for number in range(20):
            client = await fig.connect()
            client.send(b"X%d / HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            await client.message()
        await asyncio.sleep(0)

        assert sides(tallies)["legacy", "legacy"].requests == {"other 2xx": 20}


async def test_answers_of_figs_own_are_counted_by_reason_and_belong_to_no_side() -> None:
    tallies = Tallies()
    rules = table(
        {"legacy": "http://127.0.0.1:1"},
        {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410}},
        {"name": "moved", "match": {"path": "/moved"}, "redirect": {"path": "/new"}},
    )
    async with running(rules, observer=tallies) as fig:
        client = await fig.connect()
        for path in ("/gone", "/gone", "/moved"):
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await client.message()
        await fig.finished(3)

    control = Control()
    tallies.flush(control, [])
    (tally,) = control.got
    assert isinstance(tally, Tally)
    assert tally.sides == []
    assert {(name, dict(labels)["reason"], dict(labels)["route"], amount) for name, labels, amount in tally.counts} == {
        ("own_answers", "respond", "gone", 2.0),
        ("own_answers", "redirect", "moved", 1.0),
    }


async def test_a_request_that_the_rules_make_unreadable_speaks_against_the_side_that_it_was_for() -> None:
    tallies = Tallies()
    rules = canary("http://127.0.0.1:1", "http://127.0.0.1:2", "100%", rewrite={"regex": _CLIMBS})
    async with running(rules, observer=tallies) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"GET /", b"GET /up/there"))
        assert (await client.message()).status == 500
        await fig.finished()

    _, (row,) = rows(tallies)
    assert (row["side"], row["status_class"], FAILURES[row["failure"]]) == (1, 0, "rewrite")
    assert sides(tallies)["candidate", "candidate"].failures == {"rewrite": 1}
