"""How other rules come into force: announced first, then published; what a start makes of files it cannot use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.control import standings
from proxy.control.book import Book
from proxy.control.desk import Desk
from proxy.control.peers import Acknowledgement, Peers
from proxy.control.settling import open_desk
from proxy.control.store import DATABASE, SqlStore
from proxy.publication import NAME, is_whole, pointed, published
from rules.stages import Stage
from tests.fakes.running_control import control, write
from tests.fakes.worker_link import workers


def opened(folder: Path) -> tuple[Book, SqlStore]:
    (folder / "state").mkdir(exist_ok=True)
    store = SqlStore.at(folder / "state" / DATABASE)
    book, _ = open_desk(folder / "fig.yaml", folder / "state", store, strict=True)
    return book, store


class Announcing:
    """A desk whose workers take as long to read other rules as the test wants."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str | int] = []
        self.ready = asyncio.Event()
        self.asked = asyncio.Event()
        book, self.store = opened(folder)
        self.desk = Desk(
            *(folder / "fig.yaml", folder / "state", self.store, self._publish, lambda _: None, book),
            reloading=open_desk(folder / "fig.yaml", folder / "state", self.store, strict=True)[1],
            prepare=self._prepare,
        )

    async def _prepare(self, rules: str, patience: float) -> None:
        self.told.append(rules)
        self.asked.set()
        await self.ready.wait()

    async def _publish(self, generation: int) -> Acknowledgement:
        self.told.append(generation)
        return Acknowledgement(generation, 1)


async def test_a_rollback_does_not_wait_for_other_rules_to_be_read_and_is_not_undone_by_them(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    running = Announcing(tmp_path)
    write(tmp_path, stage="live", match={"path": "/basket"})
    reload = asyncio.create_task(running.desk.reload())
    await running.asked.wait()

    await running.desk.move(
        "cart",
        lambda route, position, _: standings.rolled_back(route, position, Stage.SHADOW),
        action="rollback",
        actor="ada",
        why="",
    )

    assert pointed(tmp_path / "state").generation == 2
    running.ready.set()
    await reload
    now = published(tmp_path / "state")
    assert now is not None
    assert (now.generation, now.position("cart").stage) == (3, Stage.SHADOW)
    assert now.rules.routes[0].match.path == ("/basket",)
    assert running.told == [now.digest, 2, 3]
    running.store.close()


@pytest.mark.parametrize(
    ("stood", "given", "to", "expected"),
    [
        ("shadow", "live", Stage.LEGACY, Stage.LEGACY),
        ("live", "retired", Stage.SHADOW, Stage.SHADOW),
        ("live", "legacy", Stage.SHADOW, Stage.LEGACY),
    ],
)
async def test_a_rollback_outlives_rules_that_were_being_loaded_and_put_the_route_further(
    tmp_path: Path, stood: str, given: str, to: Stage, expected: Stage
) -> None:
    write(tmp_path, stage=stood)
    running = Announcing(tmp_path)
    write(tmp_path, stage=given)
    reload = asyncio.create_task(running.desk.reload())
    await running.asked.wait()
    await running.desk.move(
        "cart",
        lambda route, position, _: standings.rolled_back(route, position, to),
        action="rollback",
        actor="ada",
        why="",
    )

    running.ready.set()
    await reload
    assert running.desk.standing("cart").position.stage is expected
    assert (await running.desk.reload()).ok

    assert running.desk.standing("cart").position.stage is expected
    assert running.desk.standing("cart").declared == given
    (latest,) = await running.desk.history("cart", 1)
    assert ("was rolled back while they were being loaded" in latest.why) is (expected is to)
    running.store.close()


async def test_what_is_announced_lies_whole_on_the_disk(tmp_path: Path) -> None:
    write(tmp_path)
    running = Announcing(tmp_path)
    write(tmp_path, match={"path": "/basket"})
    reload = asyncio.create_task(running.desk.reload())
    await running.asked.wait()

    assert is_whole(tmp_path / "state", str(running.told[0]))
    assert pointed(tmp_path / "state").generation == 1

    running.ready.set()
    await reload
    running.store.close()


async def test_a_file_that_only_looks_different_is_not_announced(tmp_path: Path) -> None:
    write(tmp_path)
    running = Announcing(tmp_path)
    (tmp_path / "fig.yaml").write_text("# a comment\n" + (tmp_path / "fig.yaml").read_text())

    assert (await running.desk.reload()).ok

    assert running.told == []
    running.store.close()


async def test_workers_that_are_connected_are_told_before_and_those_that_are_silent_are_not_waited_for_for_ever(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    async with control(tmp_path, count=2) as running, workers(running.state, "loaded", "silent") as (quick, silent):
        await quick.at(1)
        await silent.told()
        write(tmp_path, match={"path": "/basket"})
        running.reload_asked.set()

        await quick.at(2)

        assert quick.prepared == silent.prepared == [running.published().digest]


async def test_a_worker_that_comes_while_others_read_is_told_what_to_read_too(tmp_path: Path) -> None:
    peers = Peers(1, lambda *_: None, lambda _: None, lambda _: None)
    await peers.start(tmp_path / "control.sock", 0)
    rules = "0" * 32
    async with workers(tmp_path, "silent") as (killed,):
        while not peers.workers:
            await asyncio.sleep(0.01)
        preparing = asyncio.create_task(peers.prepare(rules, 600))
        while not killed.prepared:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(20), workers(tmp_path, "loaded") as (successor,):
        while not successor.prepared and not preparing.done():
            await asyncio.sleep(0.01)
        await preparing
    await peers.stop()


async def test_a_worker_that_comes_behind_is_not_waited_for_before_it_has_the_rules_in_force(tmp_path: Path) -> None:
    peers = Peers(1, lambda *_: None, lambda _: None, lambda _: None)
    await peers.start(tmp_path / "control.sock", 7)
    async with asyncio.timeout(20), workers(tmp_path, "silent") as (silent,):
        await silent.told()
        preparing = asyncio.create_task(peers.prepare("0" * 32, 600))
        async with workers(tmp_path, "silent") as (behind,):
            await behind.told()
            await silent.stop()
            await preparing
            assert behind.prepared == []
    await peers.stop()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"{")])
async def test_rules_that_are_missing_or_damaged_are_written_anew_by_a_reload_too(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path)
    running = Announcing(tmp_path)
    (file,) = (tmp_path / "state").glob("rules-*")
    damage(file)

    assert (await running.desk.reload()).ok

    assert published(tmp_path / "state") == running.desk.book.effective
    running.store.close()


def test_a_state_folder_of_the_former_version_is_written_anew(tmp_path: Path) -> None:
    write(tmp_path)
    book, store = opened(tmp_path)
    store.close()
    for path in (tmp_path / "state").glob("rules-*"):
        path.unlink()
    rules = book.effective.rules.model_dump_json(by_alias=True, exclude_unset=True)
    positions = '{"cart":{"stage":"shadow","share":0,"frozen":false}}'
    former = f'{{"generation":1,"rules":{rules},"positions":{positions},"comparisons":{{}},"certificates":{{}}}}'
    (tmp_path / "state" / NAME).write_text(former)

    again, store = opened(tmp_path)

    assert again.effective.generation == 2
    assert published(tmp_path / "state") == again.effective
    assert again.standings == book.standings
    assert len(store.history()) == 1
    store.close()


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"{")])
def test_rules_that_are_missing_or_damaged_are_written_anew_by_the_next_start(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path)
    _, store = opened(tmp_path)
    store.close()
    (file,) = (tmp_path / "state").glob("rules-*")
    damage(file)

    again, store = opened(tmp_path)

    assert published(tmp_path / "state") == again.effective
    store.close()
