from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from proxy.slices import REST, SLICE, in_slices


class Clock:
    """Every piece of work takes `piece` seconds; rests are counted."""

    def __init__(self, piece: float) -> None:
        self._piece = piece
        self._now = 0.0
        self.rests: list[float] = []
        self.slices: list[float] = []
        self._began = 0.0

    def __call__(self) -> float:
        return self._now

    async def rest(self, seconds: float) -> None:
        self.slices.append(self._now - self._began)
        self.rests.append(seconds)
        self._now += seconds
        self._began = self._now
        await asyncio.sleep(0)

    def work(self, pieces: int) -> Generator[None, None, str]:
        for _ in range(pieces):
            self._now += self._piece
            yield
        return "done"


async def test_work_rests_after_every_slice_and_gives_its_result() -> None:
    clock = Clock(piece=SLICE / 10)

    assert await in_slices(clock.work(1000), clock, clock.rest) == "done"

    assert 95 <= len(clock.rests) <= 100
    assert set(clock.rests) == {REST}
    assert max(clock.slices) <= SLICE + SLICE / 10 + 1e-9


async def test_work_that_fits_into_a_slice_never_rests() -> None:
    clock = Clock(piece=SLICE / 100)

    assert await in_slices(clock.work(50), clock, clock.rest) == "done"

    assert clock.rests == []


async def test_a_long_piece_is_finished_and_then_the_loop_has_its_turn() -> None:
    clock = Clock(piece=SLICE * 3)

    await in_slices(clock.work(5), clock, clock.rest)

    assert len(clock.rests) == 5


async def test_work_that_is_cancelled_is_closed_at_once() -> None:
    closed: list[bool] = []

    def work() -> Generator[None, None, None]:
        try:
            while True:
                yield
        finally:
            closed.append(True)

    task = asyncio.create_task(in_slices(work(), lambda: asyncio.get_running_loop().time()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert closed == [True]
