"""One side of the checkout that the cut-over run writes to: a service that forgets nothing when it is killed.

    python -m benchmarks.cutover_side PORT LEDGER [--wrong FILE]

Every write is appended to the ledger, one line in one write(2), before it is answered: what a killed process has
written stays in the kernel. It deduplicates by `Idempotency-Key`, says of each write whether it is applied, and numbers
what it applied per order. `POST /behave` makes it slow or failing for a while; with `--wrong` it answers the writes
whose keys stand in that file with a total that is a cent too high, as a planted bug.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web


class Ledger:
    """What was applied, in memory and in its file: a line an entry, ``order key cents`` in JSON."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._answers: dict[str, tuple[int, int]] = {}
        """Key -> number of the write in its order, and the order's total in cents behind it."""
        self._orders: dict[str, tuple[int, int]] = {}
        """Order -> how many writes, and its total."""
        for order, key, cents in read(path):
            self._count(order, key, cents)

    def _count(self, order: str, key: str, cents: int) -> tuple[int, int]:
        number, total = self._orders.get(order, (0, 0))
        made = self._orders[order] = self._answers[key] = (number + 1, total + cents)
        return made

    def apply(self, order: str, key: str, cents: int) -> tuple[int, int]:
        """The write's number and the order's total behind it; the same again for a key that is known."""
        known = self._answers.get(key)
        if known is not None:
            return known
        os.write(self._file, msgspec.json.encode([order, key, cents]) + b"\n")
        return self._count(order, key, cents)

    def has(self, key: str) -> bool:
        return key in self._answers


def read(path: Path) -> list[tuple[str, str, int]]:
    """(order, key, cents) of all that a ledger holds. A last line that is not whole was never answered."""
    if not path.exists():
        return []
    return [tuple(msgspec.json.decode(line)) for line in path.read_bytes().split(b"\n")[:-1]]


class Side:
    """The service."""

    def __init__(self, ledger: Ledger, wrong: frozenset[str]) -> None:
        self._ledger = ledger
        self._wrong = wrong
        self._status = 0
        self._delay = 0.0
        self._until = 0.0

    async def write(self, request: web.Request) -> web.Response:
        if time.monotonic() < self._until:
            if self._status:
                return web.json_response({"error": "told to fail"}, status=self._status)
            await asyncio.sleep(self._delay)
        order, key = request.match_info["order"], request.headers["Idempotency-Key"]
        said = msgspec.json.decode(await request.read())
        number, total = self._ledger.apply(order, key, said["cents"])
        shown = total + 1 if key in self._wrong else total
        body = {
            "order": order,
            "version": number,
            "total": f"{shown / 100:.2f}",
            "line": {"sku": said["sku"], "quantity": said["quantity"], "cents": said["cents"]},
            "confirmation": os.urandom(8).hex(),
        }
        return web.Response(body=msgspec.json.encode(body), status=201, content_type="application/json")

    async def ask(self, request: web.Request) -> web.Response:
        """Whether a write is applied."""
        key = request.match_info["key"]
        if not self._ledger.has(key):
            return web.json_response({"error": "no such write"}, status=404)
        return web.json_response({"key": key, "order": request.match_info["order"]})

    async def behave(self, request: web.Request) -> web.Response:
        said = msgspec.json.decode(await request.read())
        self._status, self._delay = said.get("status", 0), said.get("delay", 0.0)
        self._until = time.monotonic() + said["seconds"]
        return web.Response(status=204)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--wrong", type=Path)
    told = parser.parse_args()
    wrong = frozenset(told.wrong.read_text().split()) if told.wrong is not None else frozenset()
    side = Side(Ledger(told.ledger), wrong)
    app = web.Application()
    app.router.add_post("/api/checkout/{order}", side.write)
    app.router.add_get("/api/checkout/{order}/writes/{key}", side.ask)
    app.router.add_post("/behave", side.behave)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=told.port, access_log=None, print=None, reuse_port=True)


if __name__ == "__main__":
    main()
