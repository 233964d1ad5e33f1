"""A worker that follows control: what it reads piece by piece, what takes effect at once, what leaves it as it was."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import following, publication
from proxy.following import Following, read_now
from proxy.publication import publish, write_rules
from proxy.slices import in_slices
from proxy.wire import Load, Loaded, Prepare, Prepared
from proxy.worker import tables
from proxy.worker.tables import Compiled, Deciding
from rules.effective import Effective, Position
from rules.stages import Stage
from rules.table import Table
from tests.fakes.many_routes import Answers, table

SOME = 1500
"""Routes whose reading takes more than a slice."""


class Worker:
    """What follows, with the table that decides now and all that was answered."""

    def __init__(self, state: Path, first: Effective) -> None:
        publish(state, first)
        self.state = state
        self.tables: list[Table] = []
        self.deciding = Deciding(self.tables.append)
        content = read_now(state, self.deciding, first.pointer)
        self.deciding.stand(first.pointer, content)
        self.following = Following(state, self.deciding, first.digest, content)
        self.link = Answers()

    @property
    def table(self) -> Table:
        return self.tables[-1]

    def stage(self, route: str) -> Stage:
        return self.table.by_name[route].stage

    def publish(self, effective: Effective) -> None:
        publish(self.state, effective)
        self.following.take(self.link, Load(effective.generation))

    async def load(self, effective: Effective) -> object:
        self.publish(effective)
        return await self.link.next()


async def test_other_rules_are_read_in_slices_and_decide_once_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path, table(3))
    rests = 0

    async def counted(work, _):  # type: ignore[no-untyped-def]
        """A clock by which every piece of work takes half a slice, whatever machine this is."""
        nonlocal rests
        ticks = iter(range(10**9))

        async def rest(_: float) -> None:
            nonlocal rests
            rests += 1
            assert worker.table.generation == 1
            await asyncio.sleep(0)

        return await in_slices(work, lambda: next(ticks) * following_slice / 2, rest)

    following_slice = 0.002
    monkeypatch.setattr(following, "in_slices", counted)

    assert await worker.load(table(5000, 2)) == Loaded(2)

    assert worker.stage("area4999") is Stage.LIVE
    assert rests > 5000 / 4, "it went on for longer than a slice"
    assert gc.isenabled()


async def test_a_move_takes_effect_at_once_while_other_rules_are_being_read(tmp_path: Path) -> None:
    first = table(3)
    worker = Worker(tmp_path, first)
    following_rules = table(SOME)
    write_rules(tmp_path, following_rules)
    worker.following.take(worker.link, Prepare(following_rules.digest))
    await asyncio.sleep(0)

    worker.publish(first.moved(2, {"area1": Position(Stage.SHADOW, 0)}))

    assert worker.stage("area1") is Stage.SHADOW
    assert [await worker.link.next(), await worker.link.next()] == [Loaded(2), Prepared(following_rules.digest)]


async def test_rules_that_were_announced_decide_at_once_when_they_are_published(tmp_path: Path) -> None:
    worker, second = Worker(tmp_path, table(3)), table(SOME)
    write_rules(tmp_path, second)
    worker.following.take(worker.link, Prepare(second.digest))
    assert await worker.link.next() == Prepared(second.digest)
    assert worker.table.generation == 1

    worker.publish(second.moved(2, {"area7": Position(Stage.LEGACY, 0)}))

    assert (worker.table.generation, worker.stage("area7"), worker.stage("area8")) == (2, Stage.LEGACY, Stage.LIVE)
    assert await worker.link.next() == Loaded(2)


async def test_a_move_leaves_what_was_announced_ready(tmp_path: Path) -> None:
    first, second = table(3), table(SOME)
    worker = Worker(tmp_path, first)
    write_rules(tmp_path, second)
    worker.following.take(worker.link, Prepare(second.digest))
    await worker.link.next()

    worker.publish(first.moved(2, {"area1": Position(Stage.SHADOW, 0)}))
    assert worker.stage("area1") is Stage.SHADOW
    worker.publish(second.moved(3, {"area1": Position(Stage.SHADOW, 0)}))

    assert (worker.table.generation, worker.stage("area1"), worker.stage("area8")) == (3, Stage.SHADOW, Stage.LIVE)


async def test_what_was_announced_and_never_published_is_given_back_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, second, third = Worker(tmp_path, table(3)), table(4), table(5)
    given_back: list[Compiled] = []
    let_go = Deciding.let_go

    def noted(deciding: Deciding, content: Compiled) -> Generator[None, None, None]:
        given_back.append(content)
        return let_go(deciding, content)

    monkeypatch.setattr(Deciding, "let_go", noted)
    for announced in (second, third):
        write_rules(tmp_path, announced)
        worker.following.take(worker.link, Prepare(announced.digest))
        await worker.link.next()

    assert [len(one.specs) for one in given_back] == [256]
    async with asyncio.timeout(20):
        while given_back[0].table.routes:
            await asyncio.sleep(0.01)
    worker.publish(third.moved(2, {}))
    assert worker.table.generation == 2


async def test_a_route_that_is_no_longer_named_stands_where_the_file_says(tmp_path: Path) -> None:
    first = table(3)
    worker = Worker(tmp_path, first.moved(1, {"area1": Position(Stage.SHADOW, 0), "gone": Position(Stage.LIVE, 0)}))
    assert worker.stage("area1") is Stage.SHADOW

    await worker.load(first.moved(2, {"area2": Position(Stage.CANARY, 7)}))

    assert [worker.stage(f"area{n}") for n in range(3)] == [Stage.LIVE, Stage.LIVE, Stage.CANARY]
    assert worker.table.by_name["area2"].share == 7


async def test_positions_that_changed_while_the_rules_were_read_count(tmp_path: Path) -> None:
    worker, second = Worker(tmp_path, table(3)), table(SOME, 2)
    worker.publish(second)
    await asyncio.sleep(0)

    worker.publish(second.moved(3, {"area1": Position(Stage.SHADOW, 0)}))

    assert await worker.link.next() == Loaded(3)
    assert worker.stage("area1") is Stage.SHADOW


async def test_a_route_that_was_moved_stays_there_under_other_rules_or_goes_where_those_put_it(tmp_path: Path) -> None:
    shadow = {"area1": Position(Stage.SHADOW, 0)}
    worker = Worker(tmp_path, table(3).moved(1, shadow))

    await worker.load(table(4, 2).moved(2, shadow))
    assert worker.stage("area1") is Stage.SHADOW

    await worker.load(table(5, 3))
    assert worker.stage("area1") is Stage.LIVE


async def test_rules_that_are_overtaken_are_not_read_to_their_end(tmp_path: Path) -> None:
    worker = Worker(tmp_path, table(3))
    worker.publish(table(SOME, 2))
    await asyncio.sleep(0)

    worker.publish(table(4, 3))

    assert await worker.link.next() == Loaded(3)
    await asyncio.sleep(0.05)
    assert [one.generation for one in worker.tables] == [1, 3]
    assert gc.isenabled()


async def test_damaged_rules_leave_the_former_table_and_a_problem_and_the_next_are_read(tmp_path: Path) -> None:
    worker, second = Worker(tmp_path, table(3)), table(4, 2)
    publish(tmp_path, second)
    file = tmp_path / second.pointer.file
    file.write_bytes(file.read_bytes()[:-20])
    worker.following.take(worker.link, Load(2))

    told = await worker.link.next()

    assert isinstance(told, Loaded)
    assert told.generation == 1
    assert "ValueError" in told.problem
    assert worker.table.generation == 1
    assert await worker.load(table(5, 3)) == Loaded(3)


async def test_rules_that_cannot_be_read_leave_nothing_in_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, second = Worker(tmp_path, table(3)), table(following.MANY, 2)
    publish(tmp_path, second)
    file = tmp_path / second.pointer.file
    file.write_bytes(file.read_bytes() + b"more\n")
    read: list[weakref.ref[Compiled]] = []

    class Noted(Compiled):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            read.append(weakref.ref(self))

    monkeypatch.setattr(tables, "Compiled", Noted)
    # The console's form of a traceback makes circles of its own.
    monkeypatch.setattr(following, "log", SimpleNamespace(error=lambda *_, **__: None))
    worker.following.take(worker.link, Load(2))
    told = await worker.link.next()
    await asyncio.sleep(0.01)

    assert isinstance(told, Loaded)
    assert told.problem
    assert [one() for one in read] == [None], "circles among frozen values are never freed"


async def test_rules_that_were_removed_before_they_could_be_opened_are_passed_over(tmp_path: Path) -> None:
    worker, second = Worker(tmp_path, table(3)), table(4, 2)
    publish(tmp_path, second)
    worker.following.take(worker.link, Load(2))
    publish(tmp_path, table(5, 3))  # before the reading began
    (tmp_path / second.pointer.file).unlink()

    assert await worker.link.next() == Loaded(3)


async def test_what_was_announced_and_cannot_be_read_is_said(tmp_path: Path) -> None:
    worker = Worker(tmp_path, table(3))
    worker.following.take(worker.link, Prepare("0" * 32))

    told = await worker.link.next()

    assert isinstance(told, Prepared)
    assert "FileNotFoundError" in told.problem


async def test_a_table_that_is_in_force_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(tmp_path, table(3))
    monkeypatch.setattr(publication, "open_rules", None)
    worker.following.take(worker.link, Load(1))
    worker.following.take(worker.link, Prepare(table(3).digest))

    assert [await worker.link.next(), await worker.link.next()] == [Loaded(1), Prepared(table(3).digest)]


async def test_routes_that_did_not_change_are_taken_over(tmp_path: Path) -> None:
    worker = Worker(tmp_path, table(50))
    before = dict(worker.table.by_name)

    await worker.load(table(50, 2, changed=7, stage="shadow"))

    same = [name for name in before if worker.table.by_name[name] is before[name] and name != "-"]
    assert len(same) == 49
    assert worker.stage("area7") is Stage.SHADOW


async def test_a_former_table_is_given_back_and_the_next_one_decides_as_ever(tmp_path: Path) -> None:
    worker = Worker(tmp_path, table(50))
    former = worker.table

    await worker.load(table(50, 2, changed=7, stage="shadow"))
    async with asyncio.timeout(20):
        while former.routes:
            await asyncio.sleep(0.01)

    assert worker.table.by_name["area8"].outcomes().by_stage is not None
    assert len(worker.table.routes) == 51
