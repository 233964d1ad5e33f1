"""Shoppers of the cut-over run: each writes to its orders, one write after the other, until every one is taken.

What breaks or is refused is sent again with the same `Idempotency-Key`, as a shop's own client would. Every second
order is shared by two shoppers, so that writes of one key come by two workers at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import aiohttp
import msgspec

LINES = 20
"""Writes that a shopper makes to one order."""
PATIENCE = 20.0
"""Seconds for one answer."""
MOST_ATTEMPTS = 2_000
"""Sendings of one write after which the run is given up: something does not come back."""


class GivenUpError(Exception):
    """A write that was never taken."""


@dataclass
class Seen:
    """What the shoppers saw."""

    taken: int = 0
    """Writes that were answered with 201."""
    again: Counter[str] = field(default_factory=Counter)
    """Why writes were sent again: a status, or the name of an error."""


@dataclass(frozen=True)
class Line:
    """One write."""

    order: str
    key: str
    body: bytes


def lines(shopper: int, seed: int) -> Iterator[Line]:
    """All that one shopper ever writes, endless. Shoppers 2n and 2n + 1 share every second order."""
    chance = Random(f"{seed}/{shopper}")
    number = 0
    while True:
        shared = (number // LINES) % 2 == 1
        order = f"o{shopper // 2}-{number // LINES}" if shared else f"p{shopper}-{number // LINES}"
        said = {
            "sku": f"SKU-{chance.randrange(500)}",
            "quantity": chance.randint(1, 9),
            "cents": chance.randint(1, 99_999),
        }
        yield Line(order, f"{shopper}-{number}", msgspec.json.encode(said))
        number += 1


async def shop(url: str, count: int, seed: int, goes_on: Callable[[], bool], seen: Seen) -> None:
    """`count` shoppers at once, until `goes_on` says no; each ends with a whole write. Raises GivenUpError."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
        for shopper in range(count):
            group.create_task(_one(session, url, shopper, seed, goes_on, seen))


async def _one(
    session: aiohttp.ClientSession, url: str, shopper: int, seed: int, goes_on: Callable[[], bool], seen: Seen
) -> None:
    for line in lines(shopper, seed):
        if not goes_on():
            return
        await _write(session, url, line, seen)


async def _write(session: aiohttp.ClientSession, url: str, line: Line, seen: Seen) -> None:
    headers = {"Idempotency-Key": line.key, "Content-Type": "application/json"}
    for _ in range(MOST_ATTEMPTS):
        try:
            async with session.post(f"{url}/api/checkout/{line.order}", data=line.body, headers=headers) as answer:
                await answer.read()
                if answer.status == 201:
                    seen.taken += 1
                    return
                why = str(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            why = type(exc).__name__
        seen.again[why] += 1
        await asyncio.sleep(0.05)
    raise GivenUpError(f"the write {line.key} was never taken; last: {why}")
