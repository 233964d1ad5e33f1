"""Changes of the rules are noticed however they come about."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.control.watcher import changes, signature


@asynccontextmanager
async def watching(rules: Path) -> AsyncIterator[Callable[[], int]]:
    """How many changes were told so far."""
    stop, told = asyncio.Event(), []

    known = signature(rules)

    async def watch() -> None:
        async for _ in changes(rules, stop, known):
            told.append(1)

    task = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    try:
        yield lambda: len(told)
    finally:
        stop.set()
        await task


async def until(look: Callable[[], int], count: int) -> None:
    async with asyncio.timeout(20):
        while look() < count:
            await asyncio.sleep(0.01)


def in_place(file: Path) -> None:
    file.write_text("version: 1  # in place")


def renamed(file: Path) -> None:
    draft = file.with_name(".fig.yaml.swp")
    draft.write_text("version: 1  # renamed")
    draft.replace(file)


def moved_away_first(file: Path) -> None:
    file.rename(file.with_name("fig.yaml~"))
    file.write_text("version: 1  # as vim does it with backups")


@pytest.mark.parametrize("save", [in_place, renamed, moved_away_first])
async def test_every_way_of_saving_a_file_is_noticed(tmp_path: Path, save: Callable[[Path], None]) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    async with watching(file) as told:
        save(file)

        await until(told, 1)


async def test_a_link_that_is_swapped_behind_the_file_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes replaces a ConfigMap: fig.yaml -> ..data/fig.yaml, ..data -> a folder of its own."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "fig.yaml").write_text(f"version: 1  # {number}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "fig.yaml").symlink_to("..data/fig.yaml")
    async with watching(tmp_path / "fig.yaml") as told:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

        await until(told, 1)


async def test_a_file_added_to_a_folder_of_rules_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    async with watching(tmp_path) as told:
        (tmp_path / "routes" / "cart.yaml").write_text("routes: []")

        await until(told, 1)


async def test_other_files_beside_the_rules_are_no_change(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    async with watching(file) as told:
        (tmp_path / "notes.txt").write_text("nothing")
        await asyncio.sleep(0.3)
        in_place(file)
        await until(told, 1)

        assert told() == 1


async def test_a_folder_that_comes_later_is_noticed_too(tmp_path: Path) -> None:
    file = tmp_path / "later" / "fig.yaml"
    async with watching(file) as told:
        file.parent.mkdir()
        file.write_text("version: 1")

        await until(told, 1)


async def test_a_folder_that_is_taken_away_and_put_back_is_noticed(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    (rules / "routes").mkdir(parents=True)
    (rules / "fig.yaml").write_text("version: 1")
    async with watching(rules) as told:
        rules.rename(tmp_path / "away")
        await until(told, 1)
        (tmp_path / "away").rename(rules)
        await until(told, 2)


async def test_a_folder_whose_files_are_replaced_one_after_the_other_is_one_change(tmp_path: Path) -> None:
    """As a checkout does it: taken away and written anew, for longer than a burst of events is waited for."""
    files = [tmp_path / f"{number}.yaml" for number in range(8)]
    for file in files:
        file.write_text("version: 1")
    async with watching(tmp_path) as told:
        for file in files:
            file.unlink()
            await asyncio.sleep(0.05)
            file.write_text("version: 1  # anew")
        await until(told, 1)
        await asyncio.sleep(0.4)

        assert told() == 1


def test_a_folder_that_vanishes_while_it_is_looked_at_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanished(*_: object) -> Iterator[Path]:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "rglob", vanished)

    assert signature(tmp_path) == ()


@pytest.mark.parametrize("problem", [PermissionError, OSError(errno.ESTALE, "stale file handle")])
def test_rules_that_may_not_be_looked_at_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: OSError
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(Path, "stat", refused)

    assert signature(tmp_path / "fig.yaml") == ()


def test_rules_that_may_be_read_again_have_another_signature(tmp_path: Path) -> None:
    """A file deployed without permission is refused; giving the permission changes neither content nor time."""
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    file.chmod(0o000)
    before = signature(file)
    time.sleep(0.02)  # the kernel counts in ticks

    file.chmod(0o644)

    assert signature(file) != before


def test_a_content_of_the_same_size_written_in_place_with_the_former_time_has_another_signature(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    before = signature(file)
    time.sleep(0.02)  # the kernel counts in ticks

    file.write_text("version: 2")
    os.utime(file, ns=(before[0][3], before[0][3]))

    assert signature(file) != before


def test_a_content_of_the_same_size_and_time_in_another_file_has_another_signature(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    before = signature(file)
    draft = tmp_path / "draft"
    draft.write_text("version: 2")
    os.utime(draft, ns=(before[0][3], before[0][3]))

    draft.replace(file)

    assert signature(file) != before
