"""The desk on real files: what fails in the middle changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from proxy.control import standings
from proxy.control.book import Book
from proxy.control.desk import Desk
from proxy.control.peers import Acknowledgement
from proxy.control.records import Change
from proxy.control.settling import open_desk
from proxy.control.standings import MoveError
from proxy.control.store import DATABASE, SqlStore
from proxy.publication import Draft, published
from rules.document import Route
from rules.effective import Position
from rules.problems import RulesError
from rules.stages import Stage
from tests.fakes.running_control import write


class FullDisk(SqlStore):
    """Takes nothing more once `full` is set, and takes its time while `slow` is there and not set."""

    full = False
    slow: threading.Event | None = None

    def record(self, generation: int, changes: Sequence[Change]) -> list[int]:
        if self.slow is not None:
            self.slow.wait(20)
        if self.full:
            raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))
        return super().record(generation, changes)


def frozen(_: Route, position: Position, __: Sequence[int]) -> Position:
    return replace(position, frozen=True)


def staying(_: Route, position: Position, __: Sequence[int]) -> Position:
    return position


async def everyone(generation: int) -> Acknowledgement:
    return Acknowledgement(generation, 1)


def desk(folder: Path) -> tuple[Desk, FullDisk]:
    (folder / "state").mkdir(exist_ok=True)
    store = FullDisk.at(folder / "state" / DATABASE)
    book, reloading = open_desk(folder / "fig.yaml", folder / "state", store, strict=True)
    return Desk(folder / "fig.yaml", folder / "state", store, everyone, lambda _: None, book, reloading), store


async def test_a_move_that_cannot_be_recorded_is_not_made(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    files = {path.name: path.read_bytes() for path in (tmp_path / "state").glob("*.json*")}
    store.full = True

    with pytest.raises(sa.exc.OperationalError):
        await running.move(
            "cart",
            lambda route, position, _: standings.rolled_back(route, position, Stage.SHADOW),
            action="rollback",
            actor="ada",
            why="",
        )

    assert running.standing("cart").position.stage is Stage.LIVE
    assert {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir() if "json" in path.name} == files
    store.full = False
    assert len(store.history()) == 1
    store.close()


async def test_a_table_that_cannot_be_written_is_not_recorded(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    (tmp_path / "state" / ".effective.json.new").mkdir()  # where the draft would go

    with pytest.raises(OSError):
        await running.move("cart", frozen, action="freeze", actor="ada", why="")

    assert len(store.history()) == 1
    assert not running.standing("cart").position.frozen
    store.close()


async def test_rules_that_cannot_be_recorded_do_not_take_effect(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    store.full = True
    write(tmp_path, stage="legacy")

    reloading = await running.reload()

    assert (reloading.ok, running.standing("cart").position.stage) == (False, Stage.LIVE)
    assert "database or disk is full" in reloading.problems[0]
    store.full = False
    assert (await running.reload()).ok
    assert running.standing("cart").position.stage is Stage.LEGACY
    store.close()


async def test_rules_that_could_not_be_taken_over_leave_no_file_and_say_what_to_do(tmp_path: Path) -> None:
    """On a full disk, every attempt would make it fuller."""
    write(tmp_path)
    running, store = desk(tmp_path)
    (file,) = (tmp_path / "state").glob("rules-*")
    write(tmp_path, match={"path": "/basket"})
    store.full = True

    [problem] = (await running.reload()).problems

    assert "disk is full" in problem
    assert "SIGHUP" in problem
    assert list((tmp_path / "state").glob("rules-*")) == [file]
    store.full = False
    assert (await running.reload()).ok
    store.close()


async def test_a_move_to_where_the_route_stands_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    running, store = desk(tmp_path)

    with pytest.raises(MoveError, match="stands there already: shadow"):
        await running.move("cart", staying, action="unfreeze", actor="ada", why="")
    store.close()


def test_a_published_table_of_another_version_is_made_anew_with_a_higher_generation(tmp_path: Path) -> None:
    write(tmp_path)
    running, store = desk(tmp_path)
    store.close()
    (tmp_path / "state" / "effective.json").write_text('{"generation": 1, "made_by": "a later fig"}')

    running, store = desk(tmp_path)

    assert running.book.effective.generation == 2
    assert running.standing("cart").position.stage is Stage.SHADOW
    store.close()


def test_broken_rules_and_no_table_at_all_stop_everything(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text("version: 2")

    with pytest.raises(RulesError):
        desk(tmp_path)


async def test_a_table_that_is_in_place_is_in_force_though_its_folder_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("proxy.publication.os.open", refuse)
        await running.move("cart", frozen, action="freeze", actor="ada", why="")

    assert running.standing("cart").position.frozen
    assert published(tmp_path / "state") == running.book.effective
    store.close()


async def test_a_rollback_reaches_the_workers_though_what_follows_it_fails(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    told: list[int] = []

    def fail(_: Book) -> None:
        raise LookupError("evidence")

    async def publish(generation: int) -> Acknowledgement:
        told.append(generation)
        return Acknowledgement(generation, 1)

    running = Desk(tmp_path / "fig.yaml", tmp_path / "state", store, publish, fail, running.book, running.reloading)

    await running.move(
        "cart",
        lambda route, position, _: standings.rolled_back(route, position, Stage.SHADOW),
        action="rollback",
        actor="ada",
        why="",
    )

    assert told == [2]
    assert running.standing("cart").position.stage is Stage.SHADOW
    store.close()


async def test_a_move_whose_caller_is_gone_is_made_whole_before_the_next_one(tmp_path: Path) -> None:
    write(tmp_path, stage="shadow")
    running, store = desk(tmp_path)
    store.slow = threading.Event()
    first = asyncio.create_task(running.move("cart", frozen, action="freeze", actor="ada", why=""))
    await asyncio.sleep(0.05)
    first.cancel()
    second = asyncio.create_task(
        running.move(
            "cart",
            lambda route, position, _: standings.rolled_back(route, position, Stage.LEGACY),
            action="rollback",
            actor="eve",
            why="",
        )
    )
    await asyncio.sleep(0.05)

    store.slow.set()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    await second

    assert running.standing("cart").position == Position(Stage.LEGACY, 0, frozen=True)
    generations = [entry.generation for entry in store.history()]
    assert len(generations) == len(set(generations))
    assert store.load().standings["cart"].position == running.standing("cart").position
    assert running.book.effective.generation == store.load().generation
    store.close()


async def test_a_kill_between_recording_and_publishing_is_completed_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        """Stands for the end of the process."""

    def killed(_: Draft) -> None:
        raise KilledError

    write(tmp_path, stage="live")
    running, store = desk(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Draft, "commit", killed)
        with pytest.raises(KilledError):
            await running.move(
                "cart",
                lambda route, position, _: standings.rolled_back(route, position, Stage.SHADOW),
                action="rollback",
                actor="ada",
                why="",
            )
    store.close()
    assert published(tmp_path / "state") == running.book.effective, "not yet in force"

    running, store = desk(tmp_path)

    assert running.book.effective.position("cart").stage is Stage.SHADOW
    assert published(tmp_path / "state") == running.book.effective
    assert running.book.effective.generation > store.history()[0].generation
    assert [entry.action for entry in store.history()] == ["rollback", "enter"]
    store.close()


def test_what_lies_in_the_state_folder_is_for_this_user_alone(tmp_path: Path) -> None:
    write(tmp_path)
    _, store = desk(tmp_path)

    modes = {path.name: oct(path.stat().st_mode & 0o077) for path in (tmp_path / "state").iterdir()}

    assert set(modes.values()) == {"0o0"}, modes
    store.close()


def test_with_broken_rules_and_a_store_begun_anew_routes_stay_where_the_published_table_has_them(
    tmp_path: Path,
) -> None:
    write(tmp_path, stage="live")
    _, store = desk(tmp_path)
    store.close()
    for file in (tmp_path / "state").glob("state.db*"):
        file.unlink()
    (tmp_path / "fig.yaml").write_text("routes: [")
    store = FullDisk.at(tmp_path / "state" / DATABASE)

    book, reloading = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=False)

    assert not reloading.ok
    assert book.effective.position("cart").stage is Stage.LIVE
    assert book.standings["cart"].position.stage is Stage.LIVE
    store.close()


async def test_moves_are_told_to_the_workers_while_one_of_them_does_not_answer(tmp_path: Path) -> None:
    """Ten routes that are rolled back at once are rolled back at once, though somebody waits for each."""
    others = [{"name": f"r{n}", "match": {"path": f"/r{n}"}, "candidate": "shop", "stage": "live"} for n in range(9)]
    write(tmp_path, stage="live", others=others)
    (tmp_path / "state").mkdir()
    store = SqlStore.at(tmp_path / "state" / DATABASE)
    book, reloading = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)
    told, all_told = list[int](), asyncio.Event()

    async def nobody(generation: int) -> Acknowledgement:
        told.append(generation)
        if len(told) == 10:
            all_told.set()
        await all_told.wait()
        return Acknowledgement(generation, 1, ("worker 0: has not answered",))

    running = Desk(tmp_path / "fig.yaml", tmp_path / "state", store, nobody, lambda _: None, book, reloading)

    def back(route: Route, position: Position, _: Sequence[int]) -> Position:
        return standings.rolled_back(route, position, Stage.SHADOW)

    names = ["cart", *(f"r{n}" for n in range(9))]
    async with asyncio.timeout(30):
        moved = await asyncio.gather(
            *(running.move(name, back, action="rollback", actor="pilot", why="") for name in names)
        )

    assert told == sorted(told), "in the order in which they were recorded"
    assert [one.acknowledgement.generation for one in moved] == told
    assert published_generation(tmp_path) == told[-1]
    store.close()


def published_generation(folder: Path) -> int:
    found = published(folder / "state")
    assert found is not None
    return found.generation
