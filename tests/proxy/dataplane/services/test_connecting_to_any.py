"""Several addresses, one connection: whichever takes it first, without waiting for those that do not."""

from __future__ import annotations

import asyncio

import pytest

from proxy.dataplane.services.connecting import connect_to_any

PAUSE = 0.02


class Net:
    """Connects to addresses by plan: ``now``, ``refused``, ``never`` or ``late`` (after three pauses)."""

    def __init__(self, **plan: str) -> None:
        self.plan = plan
        self.tried: list[str] = []
        self.dropped: list[str] = []
        self.cancelled: list[str] = []

    async def connect(self, address: str) -> str:
        self.tried.append(address)
        how = self.plan[address]
        try:
            if how == "refused":
                raise ConnectionRefusedError(address)
            if how != "now":
                await asyncio.sleep(3 * PAUSE if how == "late" else 60)
        except asyncio.CancelledError:
            self.cancelled.append(address)
            raise
        return address

    async def to_any(self) -> str:
        return await connect_to_any(list(self.plan), self.connect, self.dropped.append, pause=PAUSE)


@pytest.mark.parametrize(
    ("plan", "taken", "tried"),
    [
        ({"a": "now"}, "a", "a"),
        ({"a": "now", "b": "now"}, "a", "a"),
        ({"a": "refused", "b": "now"}, "b", "ab"),
        ({"a": "never", "b": "now"}, "b", "ab"),
        ({"a": "late", "b": "never"}, "a", "ab"),
        ({"a": "never", "b": "refused", "c": "now"}, "c", "abc"),
        ({"a": "late", "b": "refused", "c": "refused"}, "a", "abc"),
    ],
)
async def test_the_first_that_takes_it_has_it(plan: dict[str, str], taken: str, tried: str) -> None:
    net = Net(**plan)

    assert await net.to_any() == taken
    assert "".join(net.tried) == tried
    await asyncio.sleep(0)
    assert net.cancelled == [each for each in tried if plan[each] == "never"]
    assert net.dropped == []


async def test_when_none_takes_it_the_last_failure_is_told() -> None:
    with pytest.raises(ConnectionRefusedError, match="b"):
        await Net(a="refused", b="refused").to_any()


async def test_a_second_one_that_took_it_too_is_dropped() -> None:
    net = Net(a="late", b="late")
    gate = asyncio.Event()

    async def connect(address: str) -> str:
        net.tried.append(address)
        await gate.wait()
        return address

    task = asyncio.create_task(connect_to_any(["a", "b"], connect, net.dropped.append, pause=0.001))
    while len(net.tried) < 2:
        await asyncio.sleep(0.001)
    gate.set()
    taken = await task

    assert sorted([taken, *net.dropped]) == ["a", "b"]


async def test_giving_up_ends_every_attempt() -> None:
    net = Net(a="never", b="never")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3 * PAUSE):
            await net.to_any()
    await asyncio.sleep(0)

    assert sorted(net.cancelled) == ["a", "b"]
