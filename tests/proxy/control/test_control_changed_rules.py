"""Rules that change under a running rollout: what was found by others decides nothing, and little is lost."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from canary.report import from_dict
from canary.verdict import Judgement, Verdict
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import WorkerLink, rows, workers

METRIC = {"name": "errors", "kind": "error_rate", "margin": "5pp"}
SLOW = {"name": "slow", "kind": "latency", "quantile": 0.9, "margin": "50%"}
GATE: dict[str, Any] = {"metrics": [METRIC, SLOW], "window": "100ms", "silence": "1h"}
PLAN: dict[str, Any] = {"steps": ["10%", "50%", "90%"], "hold": "1h", "gate": "g"}


def good(worker: WorkerLink, share: float = 0.1, seconds: int = 8) -> None:
    """Traffic that ends now, 400 requests/s, of which none fails."""
    now, chance = time.time(), random.Random(6)
    units = [chance.getrandbits(64) for _ in range(400 * seconds)]
    exchanges = [
        (now - seconds + number / 400, unit, 0.01, int(unit % 1_000_000 < share * 1_000_000), 0)
        for number, unit in enumerate(units)
    ]
    worker.send(rows("cart", worker.generation, exchanges))


async def told(running: Running) -> Judgement:
    return from_dict((await running.api.get("/api/routes/cart/gate")).json())


async def until_counted(running: Running, worker: WorkerLink) -> Judgement:
    await worker.at(1)
    good(worker)

    async def look() -> bool:
        return (await told(running)).candidate_requests > 0

    await running.until(look)
    return await told(running)


async def until_loaded(running: Running, **rules: Any) -> None:
    """Write other rules, and wait until control goes by them."""
    before = (await running.status())["rules"]["at"]
    write(running.state.parent, stage="canary", **rules)

    async def look() -> bool:
        rules_now = (await running.status())["rules"]
        return bool(rules_now["ok"] and rules_now["at"] > before)

    await running.until(look)


@pytest.mark.parametrize(
    ("gates", "plan"),
    [
        ({"other": GATE}, PLAN | {"gate": "other"}),
        ({"g": GATE | {"metrics": [METRIC]}}, PLAN),
        ({"g": GATE | {"metrics": [METRIC, SLOW | {"margin": "90%"}]}}, PLAN),
        ({"g": GATE | {"alpha": "20%"}}, PLAN),
    ],
    ids=["a renamed gate", "a metric fewer", "a wider margin", "another alpha"],
)
async def test_another_gate_begins_the_evidence_anew_where_the_route_stands(
    tmp_path: Path, gates: dict[str, Any], plan: dict[str, Any]
) -> None:
    write(tmp_path, gates={"g": GATE}, stage="canary", rollout=PLAN)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await until_counted(running, worker)
        before = await running.route()

        await until_loaded(running, gates=gates, rollout=plan)

        anew, route = await told(running), await running.route()
        assert (anew.legacy_requests, anew.candidate_requests, anew.windows) == (0, 0, 0)
        assert anew.verdict is not Verdict.PROMOTE
        assert (route["share"], route["since"]) == (0.1, before["since"]), "and the hold goes on"

        async def is_in_the_history() -> bool:
            line = (await running.api.get("/api/history")).json()["history"][0]
            return line["action"] == "attempt" and line["why"].startswith("the evidence begins anew: gate '")

        await running.until(is_in_the_history)


async def test_other_steps_and_holds_keep_what_was_found(tmp_path: Path) -> None:
    write(tmp_path, gates={"g": GATE}, stage="canary", rollout=PLAN)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        before = await until_counted(running, worker)

        await until_loaded(running, gates={"g": GATE}, rollout=PLAN | {"steps": ["10%", "20%"], "hold": "2h"})

        after, route = await told(running), await running.route()
        assert after.candidate_requests >= before.candidate_requests
        assert route["step"] == {"number": 1, "of": 2, "next": 0.2}


async def test_a_share_that_is_no_step_any_more_stays_and_is_the_last_one(tmp_path: Path) -> None:
    """Live comes next, with the gate's promote: nobody is moved back by fewer steps, and nothing goes unproven."""
    write(tmp_path, gates={"g": GATE}, stage="canary", share="50%", rollout=PLAN)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        await until_loaded(running, gates={"g": GATE}, share="50%", rollout=PLAN | {"steps": ["10%"], "hold": "1ms"})

        route = await running.route()
        assert (route["stage"], route["share"], route["step"]["next"]) == ("canary", 0.5, None)
        good(worker, share=0.5)

        async def live() -> bool:
            return bool((await running.route())["stage"] == "live")

        await running.until(live)
        line = (await running.api.get("/api/history")).json()["history"][0]
        assert (line["actor"], line["evidence"]["verdict"]) == ("pilot", "promote")


async def test_a_route_without_a_rollout_any_more_is_moved_by_nobody(tmp_path: Path) -> None:
    write(tmp_path, gates={"g": GATE}, stage="canary", rollout=PLAN)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await until_counted(running, worker)

        await until_loaded(running, share="10%")

        answer = await running.api.get("/api/routes/cart/gate")
        assert answer.status_code == 409
        assert "has no gate" in answer.json()["error"]
        assert (await running.route())["share"] == 0.1
