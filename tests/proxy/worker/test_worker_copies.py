"""A worker's link to the shadower, with a real data plane before it and a fake shadower behind a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.dataplane import sending
from proxy.dataplane.failing import timed_out
from proxy.link import SEND_LIMIT, Caller, Link, listen
from proxy.wire import Denied, Gap, Granted, Hello, Holding, Intent, Mirror, Outcome, Record, Recorded
from proxy.worker import copies
from proxy.worker.copies import ShadowLink
from rules.table import Table
from tests.fakes.certificates import Authority, server
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import Answering, Service, Wire, answer

Kind = TypeVar("Kind")
POST = b"POST /orders/7 HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nCookie: a=1\r\n\r\nabc"
GET = b"GET /orders/7 HTTP/1.1\r\nHost: shop\r\n\r\n"


def rules(url: str | dict[str, Any], **writes: Any) -> Table:
    route = {
        "name": "orders",
        "match": {"path": "/orders/{order}"},
        "candidate": "legacy",
        "stage": "shadow",
        "writes": {"order_by": "path:order", **writes},
    }
    return table({"legacy": url}, route)


def grant(shadower: Shadower, link: Link, record: Record) -> None:
    if isinstance(record, Intent):
        shadower.sequence += 1
        link.send(Granted(record.id, shadower.sequence))
    elif isinstance(record, Outcome):
        link.send(Recorded(outcomes=[record.sequence]))
    elif isinstance(record, Gap):
        link.send(Recorded(gaps=[record.id]))


def hear_only(shadower: Shadower, link: Link, record: Record) -> None:
    pass


class Shadower:
    """Hears everything; `reply` decides what it says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self.reply: Callable[[Shadower, Link, Record], None] = grant
        self.sequence = 0
        self.heard: list[Record] = []
        self.links: list[Link] = []

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.heard if isinstance(record, kind)]

    async def start(self) -> None:
        self._server = await listen(self._path, lambda: Link(self._take, self.links.append))

    def _take(self, link: Link, record: Record) -> None:
        self.heard.append(record)
        self.reply(self, link, record)

    async def stop(self) -> None:
        """As if killed: every link breaks, nobody listens."""
        if self._server is not None:
            self._server.close()
        for link in self.links:
            link.close()
        self._path.unlink(missing_ok=True)
        await until(lambda: not any(link.is_open for link in self.links), "the end of the links")


@contextlib.asynccontextmanager
async def joined(folder: Path, away: float = 0.2) -> AsyncIterator[tuple[Shadower, ShadowLink, Counter[str]]]:
    """A shadower, a worker's link to it, and what the link counted; writes wait `away` seconds for another shadower."""
    shadower = Shadower(folder / "shadow.sock")
    counted: Counter[str] = Counter()

    def count(name: str, labels: tuple[tuple[str, str], ...]) -> None:
        counted[" ".join((name, *(value for _, value in labels)))] += 1

    link = ShadowLink(folder / "shadow.sock", lambda: Hello("worker", 0, 1, 1), count, lambda: 1.0, away)
    await shadower.start()
    link.start()
    await until(lambda: shadower.all(Hello), "the greeting")
    await until(lambda: link._caller.is_open, "the link")
    try:
        yield shadower, link, counted
    finally:
        await link.stop()
        await shadower.stop()


async def ask(fig: Fig, request: bytes = POST) -> int:
    client = await fig.connect()
    client.send(request)
    return (await client.message()).status


async def test_a_write_is_recorded_whole_and_its_outcome_confirmed(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(b"done", "201 Created", "Set-Cookie: s=1")) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        assert await ask(fig) == 201
        await until(lambda: shadower.all(Outcome) and not link.unrecorded, "the confirmation")

        (intent,) = shadower.all(Intent)
        assert (intent.route, intent.key, intent.side, intent.generation) == ("orders", "7", "legacy", 1)
        assert (intent.method, intent.target, intent.host, intent.body) == ("POST", "/orders/7", "shop", b"abc")
        assert (b"Cookie", b"a=1") in intent.headers
        assert intent.idempotency_key == legacy.requests[0].get("idempotency-key")
        (outcome,) = shadower.all(Outcome)
        assert (outcome.sequence, outcome.status, outcome.answer_body, outcome.failure) == (1, 201, b"done", "")
        assert (b"Set-Cookie", b"s=1") in outcome.answer_headers
        assert outcome.seconds > 0


def changing(url: str, **more: Any) -> Table:
    route = {
        "name": "orders",
        "match": {"path": "/orders/{order}"},
        "candidate": "candidate",
        "stage": "shadow",
        "rewrite": {"path": "/v2/{order}", "host": "service"},
        "request_headers": {"set": {"X-Order": "{order}"}, "remove": ["Cookie"]},
        "response_headers": {"set": {"X-From": "{side}"}, "remove": ["Server"]},
        **more,
    }
    return table({"legacy": url, "candidate": "http://127.0.0.1:1"}, route)


@pytest.mark.parametrize("request_", [GET.replace(b"\r\n\r\n", b"\r\nCookie: a=1\r\n\r\n"), POST])
async def test_a_copy_is_recorded_as_its_own_side_is_to_get_it(tmp_path: Path, request_: bytes) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(b"done", "200 OK", "Server: legacy")) as legacy,
        running(changing(legacy.url, writes={"order_by": "path:order"}), copies=link) as fig,
    ):
        assert await ask(fig, request_) == 200
        await until(lambda: shadower.all(Outcome) or shadower.all(Mirror), "the record")

        (record,) = shadower.all(Intent) + shadower.all(Mirror)
        assert (record.target, record.host) == ("/orders/7", "shop")
        assert (b"Cookie", b"a=1") in record.headers
        copy = record.copy
        assert copy is not None
        assert (copy.target, copy.host) == ("/v2/7", "")
        names = [name.lower() for name, _ in copy.headers]
        assert (b"X-Order", b"7") in copy.headers
        assert b"cookie" not in names
        assert {b"x-forwarded-for", b"x-request-id", b"traceparent"} <= set(names)
        ids = {value for name, value in (*copy.headers, *record.headers) if name == b"X-Request-Id"}
        assert ids == {(legacy.requests[0].get("x-request-id") or "").encode()}
        assert (copy.answer_removed, copy.answer_added) == (["server", "x-from"], [(b"X-From", b"candidate")])


async def test_where_a_route_changes_nothing_a_record_says_nothing_of_it(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        assert await ask(fig) == 200
        await until(lambda: shadower.all(Outcome), "the outcome")

        assert shadower.all(Intent)[0].copy is None


async def test_a_read_whose_copy_cannot_be_written_is_answered_and_handed_over_as_such(tmp_path: Path) -> None:
    rewrite = {"regex": {"match": "/orders", "replace": "/../.."}}
    async with (
        joined(tmp_path) as (shadower, link, counted),
        Answering() as legacy,
        running(changing(legacy.url, rewrite=rewrite), copies=link) as fig,
    ):
        assert await ask(fig, GET) == 200
        await until(lambda: shadower.all(Mirror), "the mirror")

        (mirror,) = shadower.all(Mirror)
        assert mirror.copy is None
        assert "no single reading" in mirror.unwritable
        assert counted["mirrors unwritable orders"] == 1


async def test_an_outcome_that_was_not_confirmed_is_sent_again_on_the_next_link(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        shadower.reply = lambda s, ln, r: grant(s, ln, r) if isinstance(r, Intent) else None
        await ask(fig)
        await until(lambda: shadower.all(Outcome), "the outcome")
        await shadower.stop()
        assert link.unrecorded == 1
        shadower.heard.clear()
        shadower.reply = grant
        await shadower.start()
        await until(lambda: not link.unrecorded, "the confirmation")

        assert [type(record) for record in shadower.heard] == [Hello, Holding, Outcome]
        assert shadower.all(Holding)[0].sequences == [1]


async def test_writes_that_are_still_carried_are_named_on_the_next_link(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.message()
        await gate.wait()
        wire.send(answer(b"done"))
        await wire.some()

    async with (
        joined(tmp_path) as (shadower, link, _),
        Service(slow) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        client = await fig.connect()
        client.send(POST)
        await until(lambda: legacy.connections, "the write at the service")
        await shadower.stop()
        shadower.heard.clear()
        await shadower.start()
        await until(lambda: shadower.all(Holding), "what the worker holds")
        assert shadower.all(Holding)[0].sequences == [1]
        gate.set()

        assert (await client.message()).status == 200
        await until(lambda: shadower.all(Outcome) and not link.unrecorded, "the confirmation")


@pytest.mark.parametrize(("on_failure", "status", "gaps"), [("refuse", 503, 0), ("forward", 200, 1)])
async def test_a_link_that_breaks_before_the_grant_leaves_the_write_to_the_route(
    tmp_path: Path, on_failure: str, status: int, gaps: int
) -> None:
    async with (
        joined(tmp_path) as (shadower, link, counted),
        Answering() as legacy,
        running(rules(legacy.url, on_journal_failure=on_failure), copies=link) as fig,
    ):
        shadower.reply = lambda s, ln, r: ln.close() if isinstance(r, Intent) else grant(s, ln, r)

        assert await ask(fig) == status
        assert len(legacy.requests) == gaps
        await until(lambda: len(shadower.all(Gap)) == gaps and not link.unrecorded, "the gaps recorded")
        assert counted["gaps orders"] == gaps


async def test_a_write_waits_for_a_shadower_that_is_being_restarted_and_is_granted_by_the_next(tmp_path: Path) -> None:
    async with (
        joined(tmp_path, away=20) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        shadower.reply = hear_only
        before = asyncio.create_task(ask(fig))
        await until(lambda: shadower.all(Intent), "an intent")
        await shadower.stop()
        await until(lambda: not link.is_open, "the broken link")
        meanwhile = asyncio.create_task(ask(fig))
        await until(lambda: len(fig.plane.clients) == 2, "a write while nobody is there")
        shadower.heard.clear()
        shadower.reply = grant
        await shadower.start()

        assert [await before, await meanwhile] == [200, 200]
        assert [type(record) for record in shadower.heard[:4]] == [Hello, Holding, Intent, Intent]
        assert shadower.all(Holding)[0].sequences == []
        assert len(legacy.requests) == 2


async def test_a_shadower_that_is_about_to_end_leaves_a_write_to_its_successor(tmp_path: Path) -> None:
    def ending(shadower: Shadower, link: Link, record: Record) -> None:
        if isinstance(record, Intent):
            link.send(Denied(record.id, "shutting down"))

    async with (
        joined(tmp_path, away=20) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        shadower.reply = ending
        asked = asyncio.create_task(ask(fig))
        await until(lambda: shadower.all(Intent), "an intent")
        await shadower.stop()
        shadower.reply = grant
        await shadower.start()

        assert await asked == 200
        assert len(legacy.requests) == 1


async def test_an_intent_that_ends_every_shadower_is_asked_twice_and_never_again(tmp_path: Path) -> None:
    async with (
        joined(tmp_path, away=20) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        shadower.reply = lambda s, ln, r: ln.close() if isinstance(r, Intent) else grant(s, ln, r)

        assert await ask(fig) == 503
        assert len(shadower.all(Intent)) == 2
        assert legacy.requests == []


async def test_writes_do_not_wait_for_a_shadower_that_has_been_away_for_long(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        await shadower.stop()
        assert await ask(fig) == 503  # once the patience with it is over
        link.withdraw = lambda _: pytest.fail("the next one waits for nothing")  # type: ignore[method-assign]
        assert await ask(fig) == 503


async def test_a_gap_that_no_shadower_heard_is_told_to_the_next_one(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url, on_journal_failure="forward"), copies=link) as fig,
    ):
        await shadower.stop()
        await until(lambda: not link._caller.is_open, "the broken link")
        assert await ask(fig) == 200
        assert link.unrecorded == 1
        await shadower.start()
        await until(lambda: not link.unrecorded, "the confirmation")

        (gap,) = shadower.all(Gap)
        assert (gap.route, gap.key, gap.reason) == ("orders", "7", "the link to the shadower broke")


async def test_a_gap_outlives_the_worker_that_nobody_heard(tmp_path: Path) -> None:
    async with joined(tmp_path) as (shadower, link, _), Answering() as legacy:
        async with running(rules(legacy.url, on_journal_failure="forward"), copies=link) as fig:
            await shadower.stop()
            await until(lambda: not link._caller.is_open, "the broken link")
            assert await ask(fig) == 200
        await link.stop()

        async with joined(tmp_path) as (successor, its, _):
            await until(lambda: successor.all(Gap) and not its.unrecorded, "the confirmation")
            assert [gap.route for gap in successor.all(Gap)] == ["orders"]
    assert not list(tmp_path.glob("*gaps-*"))


@pytest.mark.parametrize(
    ("reason", "on_failure", "status"),
    [("in flight", "forward", 503), ("undelivered", "forward", 503), ("disk", "forward", 200), ("disk", "refuse", 503)],
)
async def test_what_a_denial_means_depends_on_why(tmp_path: Path, reason: str, on_failure: str, status: int) -> None:
    def deny(shadower: Shadower, link: Link, record: Record) -> None:
        if isinstance(record, Intent):
            link.send(Denied(record.id, reason))
        else:
            grant(shadower, link, record)

    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url, on_journal_failure=on_failure), copies=link) as fig,
    ):
        shadower.reply = deny

        assert await ask(fig) == status
        assert len(legacy.requests) == (status == 200)


async def test_a_grant_that_comes_too_late_is_answered_as_never_sent(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        shadower.reply = hear_only
        client = await fig.connect()
        client.send(POST)
        await until(lambda: shadower.all(Intent), "the intent")
        (ours,) = fig.plane.clients
        assert ours.exchange is not None
        timed_out(ours.exchange)
        assert (await client.message()).status == 503
        shadower.reply = grant
        shadower.links[-1].send(Granted(shadower.all(Intent)[0].id, 41))
        await until(lambda: shadower.all(Outcome) and not link.unrecorded, "the outcome")

        (outcome,) = shadower.all(Outcome)
        assert (outcome.sequence, outcome.status, outcome.failure) == (41, 0, "unsent")
        assert legacy.requests == []


async def test_a_write_that_never_left_is_told_apart_from_one_in_doubt(tmp_path: Path) -> None:
    async def dying(wire: Wire) -> None:
        await wire.message()

    async with joined(tmp_path) as (shadower, link, _), Service(dying) as legacy:
        async with running(rules(legacy.url), copies=link) as fig:
            assert await ask(fig) == 502
            await legacy.stop()
            assert await ask(fig) == 502
        await until(lambda: len(shadower.all(Outcome)) == 2, "both outcomes")

        assert [(o.status, o.failure) for o in shadower.all(Outcome)] == [(0, "reset"), (0, "unsent")]


async def test_a_write_whose_tls_fails_is_in_doubt_once_it_was_sent(tmp_path: Path) -> None:
    """The service has read it, and perhaps done it, before its side of TLS breaks."""
    authority = Authority()

    async def breaking(wire: Wire) -> None:
        await wire.message()
        os.write(wire.writer.get_extra_info("socket").fileno(), b"no record of TLS")
        await wire.rest()

    context = server(authority.issue("127.0.0.1"), tmp_path)
    async with joined(tmp_path) as (shadower, link, _), Service(breaking, context=context) as legacy:
        by_tls = {"url": legacy.url, "tls": {"verify": False}}
        async with running(rules(by_tls), copies=link) as fig:
            assert await ask(fig) == 502
            authority_is_unknown = {"url": legacy.url}
            fig.plane.load(rules(authority_is_unknown))
            assert await ask(fig) == 502
            assert [each.failure for each in fig.notes.finished_all] == ["tls", "tls"]
        await until(lambda: len(shadower.all(Outcome)) == 2, "both outcomes")

        assert [(o.status, o.failure) for o in shadower.all(Outcome)] == [(0, "tls"), (0, "unsent")]


async def test_an_outcome_is_never_given_up_however_long_the_shadower_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that is not named after a restart counts as never sent: its copy would be lost without a trace."""
    monkeypatch.setattr(copies, "KEPT_LIMIT", 1)
    monkeypatch.setattr(copies, "KEPT_BYTES", 10)
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(bytes(100))) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):

        def forgetful(shadower: Shadower, link: Link, record: Record) -> None:
            if isinstance(record, Intent):
                grant(shadower, link, record)

        shadower.reply = forgetful
        assert [await ask(fig) for _ in range(3)] == [200] * 3
        await until(lambda: len(shadower.all(Outcome)) == 3, "the outcomes")
        await shadower.stop()
        shadower.heard.clear()
        await shadower.start()

        await until(lambda: len(shadower.all(Outcome)) == 3, "the outcomes again")
        assert shadower.all(Holding)[0].sequences == [1, 2, 3]
        assert [outcome.status for outcome in shadower.all(Outcome)] == [200] * 3


async def test_a_write_too_large_for_the_link_is_not_recorded_and_the_link_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.link.MAX_FRAME", 50)
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(b"")) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        assert await ask(fig) == 503
        assert shadower.links[-1].is_open


async def test_outcomes_wait_for_room_on_a_link_that_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is forgotten because the link was full when it came: a lease hangs on each."""
    monkeypatch.setattr(copies, "KEPT_BYTES", 12_000_000)
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(bytes(1_000_000))) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        stalled = shadower.links[-1]
        count = 20

        def once_all_granted(shadower: Shadower, link: Link, record: Record) -> None:
            grant(shadower, link, record)
            if shadower.sequence == count and stalled._transport is not None:
                stalled._transport.pause_reading()
                shadower.reply = grant

        shadower.reply = once_all_granted
        assert await asyncio.gather(*(ask(fig) for _ in range(count))) == [200] * count
        assert link.unrecorded
        assert link._kept_bytes < 14_000_000
        assert stalled._transport is not None
        stalled._transport.resume_reading()
        while link.unrecorded:
            link.send_unsent()  # as the worker does with every tick
            await asyncio.sleep(0.01)

        told = {outcome.sequence: outcome for outcome in shadower.all(Outcome)}
        assert sorted(told) == list(range(1, count + 1))
        assert all(outcome.status == 200 for outcome in told.values())
        assert all(outcome.answer_body or outcome.truncated for outcome in told.values())


async def test_a_read_is_mirrored_as_it_was_forwarded_and_answered(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, counted),
        Answering(lambda _: answer(b"page", "200 OK", "ETag: x")) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        await ask(fig, GET.replace(b"Host: shop", b"Host: shop\r\nConnection: X-Hop\r\nX-Hop: 1\r\nAccept: text/html"))
        await until(lambda: shadower.all(Mirror), "the mirror")

        (mirror,) = shadower.all(Mirror)
        assert (mirror.route, mirror.side, mirror.method, mirror.target) == ("orders", "legacy", "GET", "/orders/7")
        names = {name.lower() for name, _ in mirror.headers}
        assert b"accept" in names
        assert b"x-hop" not in names
        assert (mirror.status, mirror.answer_body) == (200, b"page")
        assert (b"ETag", b"x") in mirror.answer_headers
        assert counted["mirrors sent orders"] == 1


async def test_a_read_is_mirrored_when_its_answer_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a crowd answers wait for the turn's end: nothing that is made for copies may hold them up."""
    waiting: list[bytes] = []
    send = Caller.send

    def note(caller: Caller, record: Record, limit: int = SEND_LIMIT) -> bool:
        if isinstance(record, Mirror):
            waiting.extend(each.posted for each in fig.plane.clients)
        return send(caller, record, limit)

    monkeypatch.setattr(Caller, "send", note)
    monkeypatch.setattr(sending, "CROWD", 0)
    async with (
        joined(tmp_path) as (shadower, link, _),
        Answering(lambda _: answer(b"page")) as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        assert await ask(fig, GET) == 200
        await until(lambda: shadower.all(Mirror), "the mirror")
    assert waiting == [b""]


async def test_a_read_without_a_shadower_is_answered_and_its_copy_counted_as_dropped(tmp_path: Path) -> None:
    async with (
        joined(tmp_path) as (shadower, link, counted),
        Answering() as legacy,
        running(rules(legacy.url), copies=link) as fig,
    ):
        await shadower.stop()
        await until(lambda: not link._caller.is_open, "the broken link")

        assert await ask(fig, GET) == 200
        assert counted["mirrors dropped orders"] == 1
