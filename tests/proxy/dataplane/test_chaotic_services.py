"""Services that answer early, break off and say too much, under routes that retry, fall back and journal: whatever they
do, no write is sent twice, no body is mixed up, and every answer belongs to its request."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Message, Service, Wire, answer

CLIENTS, REQUESTS = 4, 8
ATTEMPTS = 5
"""The first, two retries, the fallback, and the one on a connection that had been closed."""
ACTS = ("well", "well", "early", "busy", "gone", "reset", "half", "garbage", "more", "close", "hints")


@dataclass
class Arrived:
    """One request as a service began to read it."""

    service: str
    start: str
    id: str
    body: bytes | None = None
    """None where the service did not read it, or it broke off."""


@dataclass
class Chaos:
    """What two services with their own chance make of requests, and what they saw."""

    rng: random.Random
    arrived: list[Arrived] = field(default_factory=list)

    def service(self, name: str) -> Service:
        async def play(wire: Wire) -> None:
            while head := await wire.head():
                act = self.rng.choice(ACTS)
                lines = head.decode("latin-1").split("\r\n")
                fields = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
                seen = Arrived(name, lines[0], fields["x-id"])
                self.arrived.append(seen)
                if act in ("early", "gone", "reset"):
                    if act == "early":
                        wire.send(answer(seen.id.encode(), "503 Too Early"))
                    elif act == "reset":
                        wire.reset()
                    return
                body, is_complete = await wire._exactly(int(fields.get("content-length", 0)))
                if not is_complete:
                    return
                seen.body = body
                wire.send(said(act, seen.id.encode()))
                if act in ("half", "close"):
                    return

        return Service(play)


def said(act: str, id: bytes) -> bytes:
    return {
        "busy": answer(id, "503 Busy"),
        "half": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + id,
        "garbage": b"no HTTP at all\r\n\r\n",
        "more": answer(id) + answer(b"whose is this?"),
        "close": b"HTTP/1.1 200 OK\r\n\r\n" + id,
        "hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(id),
    }.get(act, answer(id))


def table(legacy: str, candidate: str) -> Table:
    retries = {"attempts": 2, "on": ["connect", "reset", "timeout", "503"], "budget": "100%"}
    base = {"candidate": "candidate", "stage": "live", "retries": retries}
    return make_table(
        {"legacy": legacy, "candidate": {"url": candidate, "max_connections": 3}},
        {"name": "p", "match": {"path": "/p/**"}, **base, "fallback": "legacy", "rewrite": {"prefix": "/p2"}},
        {"name": "w", "match": {"path": "/w/**"}, **base, "writes": {}, "rewrite": {"prefix": "/w2"}},
    )


async def ask(wire: Wire, rng: random.Random, method: str, route: str, id: str) -> Message | None:
    """None where the connection ended before an answer."""
    body = f"<{id}>".encode() * rng.choice([0, 1, 50, 20_000]) if method in ("PUT", "POST") else b""
    head = f"{method} /{route}/{id} HTTP/1.1\r\nHost: a\r\nX-Id: {id}\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.send(head.encode() + body[: len(body) // 3])
    await asyncio.sleep(rng.choice([0, 0.01]))
    wire.send(body[len(body) // 3 :])
    try:
        while (got := await wire.message()).status < 200:
            pass
    except AssertionError:
        return None
    return got


@pytest.mark.parametrize("seed", range(6))
async def test_no_write_is_sent_twice_and_every_answer_belongs_to_its_request(seed: int) -> None:
    rng = random.Random(seed)
    chaos, copies = Chaos(rng), FakeCopies()
    async with (
        chaos.service("legacy") as legacy,
        chaos.service("candidate") as candidate,
        running(table(legacy.url, candidate.url), copies=copies) as fig,
    ):

        async def client(number: int) -> None:
            wire = await fig.connect()
            for turn in range(REQUESTS):
                method, route, id = rng.choice(["GET", "PUT", "POST"]), rng.choice("pw"), f"{number}-{turn}"
                got = await ask(wire, rng, method, route, id)
                if got is not None and got.is_complete and got.status == 200:
                    assert got.body == id.encode()
                if got is None or not got.is_complete or got.get("connection") == "close":
                    wire.drop()
                    wire = await fig.connect()

        await asyncio.gather(*map(client, range(CLIENTS)))
        await until(lambda: not fig.plane.orphans and not any(c.exchange for c in fig.plane.clients), "the end of all")

    for each in chaos.arrived:
        assert each.body is None or each.body.replace(f"<{each.id}>".encode(), b"") == b""
        method, target, _ = each.start.split(" ")
        is_write = method != "GET" and target.startswith("/w")
        assert not (is_write and each.service == "legacy"), "a journaled write went to the other side"
        assert target.startswith(("/p2", "/w2")) == (each.service == "candidate")
    times = Counter((each.start.split(" ")[0], each.start.split("/")[1][0], each.id) for each in chaos.arrived)
    for (method, route, _), count in times.items():
        assert count <= (1 if method == "POST" or (method == "PUT" and route == "w") else ATTEMPTS)
    assert copies.events.count("granted") == copies.events.count("outcome") > 0
