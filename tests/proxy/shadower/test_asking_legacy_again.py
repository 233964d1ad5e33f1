"""Noise in the running shadower: legacy is asked again before and after the copy of a sampled read, with manners."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from proxy.wire import Granted
from rules.effective import Effective
from shadow.pairs.noise_store import NoiseReader
from tests.fakes.shadowing import ROUTE, Service, Worker, effective, eventually, shadowing


def with_noise(candidate: int, legacy: int, noise: str = "100%", **route: Any) -> Effective:
    """The table of tests.fakes.shadowing, with a legacy that can be asked, and asked again."""
    table = effective(candidate)
    plain = table.rules.model_dump(mode="json", exclude_unset=True)
    plain["services"]["legacy"]["url"] = f"http://127.0.0.1:{legacy}"
    plain["routes"][0] |= {"shadow": {"noise": noise}, **route}
    return Effective(generation=1, rules=type(table.rules).model_validate(plain))


@contextlib.asynccontextmanager
async def both_sides(state: Path, legacy: Service, noise: str = "100%", **route: Any) -> AsyncIterator[tuple[Any, ...]]:
    candidate = await Service(body=lambda target: b'{"n":1}').up()
    await legacy.up()
    table = with_noise(candidate.port, legacy.port, noise, **route)
    try:
        async with shadowing(state, table) as fig, Worker(state) as worker:
            yield fig, worker, candidate
    finally:
        await candidate.down()
        await legacy.down()


def counting() -> Service:
    """A legacy that never answers the same twice."""
    service = Service()
    service.body = lambda target: json.dumps({"n": 1, "at": len(service.requests)}).encode()
    return service


def asked(state: Path) -> int:
    with NoiseReader(state / "pairs.db") as reader:
        return reader.asked(ROUTE)[0]


async def test_legacy_is_asked_before_and_after_the_candidate_and_its_noise_is_counted(tmp_path: Path) -> None:
    order: list[str] = []

    def said(side: str) -> bytes:
        order.append(side)
        return b'{"n":1,"at":%d}' % (len(order) if side == "legacy" else 0)

    legacy = Service(body=lambda target: said("legacy"))
    async with both_sides(tmp_path, legacy) as (_, worker, candidate):
        candidate.body = lambda target: said("candidate")
        worker.mirror("/orders/17", answer_body=b'{"n":1,"at":0}')
        await eventually(lambda: asked(tmp_path) == 1, "the sample")

        assert order == ["legacy", "candidate", "legacy"]
        assert {headers["x-fig-copy"] for _, headers, _ in legacy.requests} == {"reverse"}
        with NoiseReader(tmp_path / "pairs.db") as reader:
            (place,) = reader.places(ROUTE)
        assert (place.path, place.counts.before, place.counts.after, place.counts.differing) == ("/at", 1, 1, 0)


async def test_without_noise_in_the_rules_legacy_is_left_alone(tmp_path: Path) -> None:
    legacy = counting()
    async with both_sides(tmp_path, legacy, "0%") as (_, worker, candidate):
        worker.mirror("/orders/17")
        await eventually(lambda: candidate.requests, "the copy")
    assert legacy.requests == []


async def test_a_route_that_changes_what_legacy_gets_is_not_asked_again(tmp_path: Path) -> None:
    legacy = counting()
    changes = {"request_headers": {"set": {"x-tenant": "shop"}, "sides": "legacy"}}
    async with both_sides(tmp_path, legacy, **changes) as (_, worker, candidate):
        worker.mirror("/orders/17")
        await eventually(lambda: candidate.requests, "the copy")
    assert legacy.requests == []


async def test_a_legacy_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    legacy = Service(behave=lambda number: 503)
    async with both_sides(tmp_path, legacy) as (fig, worker, candidate):
        counts = fig.shadower.counts
        for number in range(8):
            worker.mirror(f"/orders/{number}", answer_body=b'{"n":1}')
            await eventually(lambda number=number: len(candidate.requests) == number + 1, "the copy")
        assert counts.total("shadow_asked_again", route=ROUTE, result="spared") >= 6
    assert len(legacy.requests) <= 2


async def test_a_slow_answer_to_the_client_spares_legacy_too(tmp_path: Path) -> None:
    legacy = counting()
    async with both_sides(tmp_path, legacy) as (_, worker, candidate):
        worker.mirror("/orders/17", seconds=3.0)
        await eventually(lambda: candidate.requests, "the copy")
    assert legacy.requests == []


async def test_a_legacy_that_hangs_holds_up_two_copies_and_no_more(tmp_path: Path) -> None:
    legacy = Service(behave=lambda number: "hang")
    async with both_sides(tmp_path, legacy) as (_, worker, candidate):
        for number in range(20):
            worker.mirror(f"/orders/{number}", answer_body=b'{"n":1}')
        await eventually(lambda: len(candidate.requests) == 18, "the copies that are no samples")
        assert len(legacy.requests) == 2


async def test_a_write_meanwhile_makes_the_sample_worthless(tmp_path: Path) -> None:
    legacy = counting()
    async with both_sides(tmp_path, legacy) as (fig, worker, candidate):
        candidate.hold = asyncio.Event()
        worker.mirror("/orders/17", answer_body=b'{"n":1,"at":1}')
        await eventually(lambda: candidate.requests, "the copy")
        assert isinstance(await worker.intend("17"), Granted)
        candidate.hold.set()
        counts = fig.shadower.counts
        await eventually(lambda: counts.total("shadow_pairs", route=ROUTE, result="unsettled"), "no pair")
    assert len(legacy.requests) == 1
    assert asked(tmp_path) == 0
