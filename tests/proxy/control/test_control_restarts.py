"""A rollout goes on where it stood when control was replaced: hold, approval, freeze, and what a webhook answered."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.receiver import Receiver
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import WorkerLink, rows, workers

GATES = {
    "errors": {
        "metrics": [{"name": "errors", "kind": "error_rate", "margin": "20pp"}],
        "window": "100ms",
        "silence": "1h",
    }
}
REFUSED = (200, {"allow": False, "reason": "after lunch"})


def rollout(**more: Any) -> dict[str, Any]:
    return {"steps": ["10%", "50%"], "hold": "1h", "gate": "errors", **more}


def traffic(worker: WorkerLink, seed: int) -> None:
    """Two seconds of good answers of both sides at 10 %, that end now."""
    now, chance = time.time(), random.Random(seed)
    units = [chance.getrandbits(64) for _ in range(400)]
    exchanges = [
        (now - 2 + place / 200, unit, 0.01, int(unit % 1_000_000 < 100_000), 0) for place, unit in enumerate(units)
    ]
    worker.send(rows("cart", worker.generation, exchanges))


async def until_judged(running: Running, worker: WorkerLink) -> dict[str, Any]:
    """The route, once its gate has seen a window of both sides."""
    seeds = iter(range(1_000_000))

    async def look() -> bool:
        traffic(worker, next(seeds))
        told = (await running.api.get("/api/routes/cart/gate")).json()
        return bool(told["metrics"] and told["metrics"][0]["candidate_count"] > 0)

    await running.until(look)
    return await running.route()


async def test_a_hold_goes_on_and_does_not_begin_anew(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="4s"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        before = await until_judged(running, worker)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        here = await running.route()
        if here["share"] == 0.1:
            assert here["since"] == before["since"]

        async def risen() -> bool:
            return bool((await running.route())["share"] == 0.5)

        await running.until(risen)  # by the windows from before: nobody has sent any since
        line = (await running.api.get("/api/history")).json()["history"][0]
        assert line["at"] - before["since"] >= 4.0
        assert line["why"].startswith("10% held for ")


async def test_an_approval_given_to_a_former_control_counts(tmp_path: Path) -> None:
    plan = rollout(steps=["10%", {"share": "50%", "approval": True}], hold="2s")
    write(tmp_path, gates=GATES, stage="canary", rollout=plan)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        assert (await running.change("approve", by="ada")).status_code == 200
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        assert (await running.change("approve", by="bob")).status_code == 409, "approved already"
        await until_judged(running, worker)

        async def risen() -> bool:
            return bool((await running.route())["share"] == 0.5)

        await running.until(risen)


async def test_a_frozen_and_a_pinned_route_stay_so(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1ms"))
    async with control(tmp_path) as running:
        await running.change("freeze", hold_against_rollback=True)
    async with control(tmp_path) as running:
        route = await running.route()
        assert (route["frozen"], route["pinned"], route["share"]) == (True, True, 0.1)


async def test_a_webhook_that_refused_is_asked_again_by_the_next_control_with_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIG_WEBHOOK_SECRET", "correct-horse-battery")
    async with Receiver([REFUSED]) as server:
        write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1ms"))
        hook = {"url": server.url, "secret": "${FIG_WEBHOOK_SECRET}", "attempts": 1, "when": ["before"]}
        text = (tmp_path / "fig.yaml").read_text()
        (tmp_path / "fig.yaml").write_text(text + yaml.safe_dump({"webhooks": {"calendar": hook}}))
        async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
            await worker.at(1)
            await until_judged(running, worker)
            await server.got(1)
        async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
            first, again = await server.got(2)

            async def waits() -> bool:
                return (await running.route())["waiting"] == ["webhook 'calendar': after lunch"]

            await running.until(waits)
            assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]
            assert (await running.route())["share"] == 0.1
