"""Changes of the rules are noticed however they come about."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
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


def test_a_content_of_the_same_size_and_time_in_another_file_has_another_signature(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("version: 1")
    before = signature(file)
    draft = tmp_path / "draft"
    draft.write_text("version: 2")
    os.utime(draft, ns=(before[0][3], before[0][3]))

    draft.replace(file)

    assert signature(file) != before
