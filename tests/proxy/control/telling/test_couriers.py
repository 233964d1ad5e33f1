"""Couriers tell from the history of a real store to real servers: in order, at least once, at most so many a minute."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.control.records import Entry
from proxy.control.store import SqlStore
from proxy.control.telling.couriers import Couriers
from proxy.control.telling.posting import Poster
from proxy.control.telling.signature import HEADER
from proxy.control.telling.spec import Notify, Webhook
from rules.effective import Position
from rules.stages import Stage
from tests.fakes.ports import free_port
from tests.fakes.receiver import Receiver

SHADOW, CANARY = Position(Stage.SHADOW, 0), Position(Stage.CANARY, 50_000)
SECRET = "correct-horse-battery"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = SqlStore.at(tmp_path / "state.db")
    yield found
    found.close()


def happened(store: SqlStore, *routes: str, back: bool = False) -> None:
    """A line of history for each route."""
    before, after = (CANARY, SHADOW) if back else (SHADOW, CANARY)
    for route in routes:
        store.note(Entry(0.0, route, "pilot", "rollback" if back else "promote", before, after, "why", 1))


class Naps:
    """Sleeps for no time until `hold` is set, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self.hold is not None:
            await self.hold.wait()


class Telling:
    """Couriers with the clock in hand, and what was counted."""

    def __init__(self, store: SqlStore) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.naps = Naps()
        self.poster = Poster(sleep=self.naps)
        self.couriers = Couriers(store, self.poster, self._count, self.naps, lambda: 1000.0)
        self._grown = asyncio.Condition()

    def _count(self, name: str, result: str, lines: int) -> None:
        self.counted[name, result] += lines

    async def until(self, counts: dict[tuple[str, str], int]) -> None:
        async with asyncio.timeout(30):
            while any(self.counted[key] < count for key, count in counts.items()):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def telling(store: SqlStore, **receivers: Webhook | Notify) -> AsyncIterator[Telling]:
    found = Telling(store)
    await found.couriers.follow({name.replace("_", " ", 1): each for name, each in receivers.items()})
    try:
        yield found
    finally:
        await found.couriers.stop()
        await found.poster.close()


def hook(server: Receiver, **others: Any) -> Webhook:
    return Webhook.model_validate({"url": server.url, "secret": SECRET, "attempts": 1, **others})


def notify(server: Receiver, **others: Any) -> Notify:
    return Notify.model_validate({"url": server.url, "attempts": 1, **others})


async def test_a_webhook_is_told_of_every_move_in_its_order(store: SqlStore) -> None:
    happened(store, "before-it-was-there")
    async with Receiver() as server, telling(store, webhook_log=hook(server)) as fig:
        happened(store, "a", "b")
        happened(store, "a", back=True)
        fig.couriers.grown()
        posted = await server.got(3)

        assert [(one.document["route"], one.document["kind"]) for one in posted] == [
            ("a", "promote"),
            ("b", "promote"),
            ("a", "rollback"),
        ]
        assert all(HEADER in one.headers for one in posted)
        assert [one.headers["Idempotency-Key"] for one in posted] == [f"webhook-log-{number}" for number in (2, 3, 4)]
        await fig.until({("webhook log", "sent"): 3})


async def test_what_was_not_told_is_told_by_the_successor(store: SqlStore) -> None:
    async with Receiver() as server:
        server.silent = True
        async with telling(store, notify_team=notify(server)) as fig:
            happened(store, "a")
            fig.couriers.grown()
            await server.got(1)  # and no answer: control is killed now
        happened(store, "b")
        server.silent = False
        async with telling(store, notify_team=notify(server)) as successor:
            posted = await server.got(2)
            await successor.until({("notify team", "sent"): 2})
    assert [event["route"] for event in posted[1].document["events"]] == ["a", "b"]


async def test_what_happens_together_is_one_message(store: SqlStore) -> None:
    async with Receiver() as server, telling(store, notify_team=notify(server, per_minute=1)) as fig:
        happened(store, "a")
        fig.couriers.grown()
        await fig.until({("notify team", "sent"): 1})
        fig.naps.hold = asyncio.Event()
        happened(store, "b")
        fig.couriers.grown()
        async with asyncio.timeout(30):
            while not fig.naps.seconds:
                await asyncio.sleep(0.005)
        happened(store, "c", "d")
        happened(store, "b", back=True)
        fig.naps.hold.set()

        _, second = await server.got(2)
        assert fig.naps.seconds == [60.0]
        assert [event["route"] for event in second.document["events"]] == ["b", "b", "c", "d"]
        assert second.document["events"][0]["kind"] == "rollback"
        await fig.until({("notify team", "sent"): 5})


async def test_a_receiver_that_is_away_holds_up_nobody_and_is_given_up(store: SqlStore) -> None:
    gone = Webhook.model_validate({"url": f"http://127.0.0.1:{free_port()}", "secret": SECRET, "attempts": 2})
    async with Receiver() as server:
        server.silent = True
        async with (
            Receiver() as other,
            telling(
                store, webhook_gone=gone, webhook_slow=hook(server, timeout="30s"), notify_team=notify(other)
            ) as fig,
        ):
            happened(store, "a", "b", back=True)
            fig.couriers.grown()
            await fig.until({("notify team", "sent"): 2, ("webhook gone", "failed"): 2})
            assert fig.counted["webhook slow", "sent"] == 0
            assert store.cursors()["webhook slow"] == 0


async def test_only_what_was_asked_for_is_told(store: SqlStore) -> None:
    async with (
        Receiver() as server,
        telling(store, notify_team=notify(server, events=["rollback"], routes=["cart"])) as fig,
    ):
        happened(store, "cart", "products")
        happened(store, "products", back=True)
        happened(store, "cart", back=True)
        fig.couriers.grown()
        await fig.until({("notify team", "sent"): 1})
        [posted] = server.posted
        assert [(event["route"], event["kind"]) for event in posted.document["events"]] == [("cart", "rollback")]


async def test_a_receiver_that_left_the_rules_and_comes_back_is_new(store: SqlStore) -> None:
    async with Receiver() as server, telling(store, notify_team=notify(server)) as fig:
        await fig.couriers.follow({})
        assert store.cursors() == {}
        happened(store, "a")
        await fig.couriers.follow({"notify team": notify(server)})
        happened(store, "b")
        fig.couriers.grown()
        [posted] = await server.got(1)
        assert [event["route"] for event in posted.document["events"]] == ["b"]


async def test_a_receiver_with_other_rules_goes_on_where_it_was(store: SqlStore) -> None:
    async with Receiver() as server, Receiver() as other, telling(store, notify_team=notify(server)) as fig:
        happened(store, "a")
        fig.couriers.grown()
        await fig.until({("notify team", "sent"): 1})
        async with asyncio.timeout(45):
            while store.cursors() != {"notify team": store.last_line()}:  # told before that, it would be told again
                await asyncio.sleep(0.01)
        await fig.couriers.follow({"notify team": notify(other, form="slack")})
        happened(store, "b")
        fig.couriers.grown()
        [posted] = await other.got(1)
        assert posted.document["text"] == "b: shadow -&gt; canary 5% (promote by pilot): why"
        assert HEADER not in posted.headers


async def test_a_webhook_is_told_again_of_the_line_that_was_under_way_and_of_none_before_it(store: SqlStore) -> None:
    async with Receiver([200, 503, 200]) as server:
        async with telling(store, webhook_log=hook(server, attempts=2)) as fig:
            fig.naps.hold = asyncio.Event()
            happened(store, "a", "b")
            fig.couriers.grown()
            await server.got(2)  # "b" is to be tried again: control is killed now

        async with telling(store, webhook_log=hook(server)):
            posted = await server.got(3)

    assert [one.document["route"] for one in posted] == ["a", "b", "b"]
    assert posted[1].headers["Idempotency-Key"] == posted[2].headers["Idempotency-Key"]
