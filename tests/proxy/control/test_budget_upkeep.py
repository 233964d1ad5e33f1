"""What control does with error budgets when the database fails: nothing is lost, and it is tried again."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from canary.slo.ring import Counts
from proxy.control.budget_upkeep import KEEP_EVERY, BudgetUpkeep
from proxy.control.budgets import Budgets

NOW = 1_700_000_000.0


class FullDiskError(Exception):
    """As the store would raise."""


class Disk:
    """A shelf and a history that fail while `full`."""

    def __init__(self) -> None:
        self.full = False
        self.kept: dict[str, bytes | None] = {}
        self.noted: list[tuple[str, str]] = []
        self.now = NOW

    def all(self) -> dict[str, bytes]:
        return {name: data for name, data in self.kept.items() if data is not None}

    def keep(self, changed: Mapping[str, bytes | None]) -> None:
        assert threading.current_thread() is not threading.main_thread(), "the loop does not wait for the disk"
        if self.full:
            raise FullDiskError
        self.kept.update(changed)

    async def note(self, route: str, why: str) -> None:
        if self.full:
            raise FullDiskError
        self.noted.append((route, why))


class OneAlert(Budgets):
    """Has one thing to tell, once, and one ledger to keep until it is kept."""

    def __init__(self) -> None:
        super().__init__({})
        self._news = [("cart", "the error budget burns")]
        self._to_keep: dict[str, bytes | None] = {"cart": bytes(Counts(1, 1))}

    def news(self, now: float) -> list[tuple[str, str]]:
        found, self._news = self._news, []
        return found

    def to_keep(self) -> dict[str, bytes | None]:
        assert threading.current_thread() is threading.main_thread(), "nothing is counted while ledgers are copied"
        found, self._to_keep = self._to_keep, {}
        return found

    def not_kept(self, changed: object) -> None:
        assert isinstance(changed, dict)
        self._to_keep.update(changed)


async def test_what_a_full_disk_did_not_take_is_told_and_kept_later() -> None:
    disk, shown = Disk(), list[str]()
    upkeep = BudgetUpkeep(
        OneAlert(), disk, disk.note, lambda who, _: shown.append(who), lambda: disk.now, FullDiskError
    )
    disk.full = True
    await upkeep.look()
    assert (disk.noted, disk.kept, shown) == ([], {}, ["slo"])

    disk.full = False
    disk.now += KEEP_EVERY
    await upkeep.look()
    assert disk.noted == [("cart", "the error budget burns")]
    assert set(disk.kept) == {"cart"}
    await upkeep.look()
    assert len(disk.noted) == 1


async def test_what_was_told_is_kept_at_once_so_that_nobody_tells_it_again() -> None:
    disk = Disk()
    budgets = OneAlert()
    upkeep = BudgetUpkeep(budgets, disk, disk.note, lambda *_: None, lambda: disk.now, FullDiskError)
    budgets._news.clear()
    await upkeep.look()
    disk.kept.clear()
    budgets._news.append(("cart", "it burns again"))
    budgets._to_keep["cart"] = b"told"
    disk.now += 1.0
    await upkeep.look()
    assert disk.kept == {"cart": b"told"}


async def test_counts_are_kept_though_the_clock_was_set_back() -> None:
    disk, budgets = Disk(), OneAlert()
    budgets._news.clear()
    upkeep = BudgetUpkeep(budgets, disk, disk.note, lambda *_: None, lambda: disk.now, FullDiskError)
    await upkeep.look()
    budgets._to_keep["cart"] = b"later"
    disk.now -= 7200.0

    await upkeep.look()

    assert disk.kept == {"cart": b"later"}
