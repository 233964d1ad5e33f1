"""The pilot in a running control: rows of workers and pairs on disk move routes, and history says why."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from canary import histogram, snapshot
from canary.report import from_dict
from canary.verdict import Verdict
from proxy.control.records import Kept
from proxy.control.store import SqlStore
from proxy.publication import published
from proxy.wire import SideTally, Tally
from rules.failures import FAILURES
from shadow.certifying.terms import day_of, digest_of
from shadow.comparing.compare import Judged
from shadow.comparing.differences import Outcome
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import WorkerLink, rows, workers

GATES = {
    "errors": {
        "metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp", "critical": True}],
        "window": "100ms",
        "min_requests": 100,
    }
}
RESET = FAILURES.index("reset")


def rollout(hold: str = "1ms", **more: Any) -> dict[str, Any]:
    return {"steps": ["10%", "50%"], "hold": hold, "gate": "errors", **more}


async def traffic(worker: WorkerLink, share: float, bad: float, seconds: float, chance: random.Random) -> None:
    """Send rows of `seconds` of traffic that ends now: 400 requests/s, of which the candidate fails a part `bad`."""
    now = time.time()
    exchanges = []
    for number in range(int(400 * seconds)):
        unit = chance.getrandbits(64)
        side = int(unit % 1_000_000 < share * 1_000_000)
        failed = RESET if side and chance.random() < bad else 0
        exchanges.append((now - seconds + number / 400, unit, 0.01, side, failed))
    worker.send(rows("cart", worker.generation, exchanges))


async def said(running: Running) -> tuple[Verdict, str]:
    """What a pipeline is told of the route."""
    told = from_dict((await running.api.get("/api/routes/cart/gate")).json())
    return told.verdict, told.reason


async def until_history(running: Running, action: str) -> dict[str, Any]:
    """The newest line of that action, once there is one."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        history = (await running.api.get("/api/history")).json()["history"]
        found[:] = [line for line in history if line["action"] == action]
        return bool(found)

    await running.until(look)
    return found[0]


async def test_a_failing_candidate_is_rolled_back_for_every_unit_with_the_evidence(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.5, seconds=5, chance=random.Random(1))

        line = await until_history(running, "rollback")

        assert (line["actor"], line["after"]) == ("pilot", {"stage": "shadow", "share": 0.0, "frozen": False})
        assert line["evidence"]["verdict"] == "rollback"
        assert "'errors' is worse" in line["why"]
        await worker.at(line["generation"])  # the history knows of it a moment before it is in force
        assert running.published().position("cart").share == 0
        told = from_dict((await running.api.get("/api/routes/cart/gate")).json())
        assert told.verdict.value == "rollback"


async def test_a_sound_candidate_goes_live_step_by_step(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout())
    chance = random.Random(2)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        async def live() -> bool:
            route = await running.route()
            if route["stage"] == "canary":
                await traffic(worker, route["share"], bad=0.0, seconds=3, chance=chance)
                await asyncio.sleep(0.2)
            return bool(route["stage"] == "live")

        await running.until(live)

        lines = (await running.api.get("/api/history")).json()["history"]
        assert [(line["action"], line["after"]["share"]) for line in reversed(lines)] == [
            ("enter", 0.1),
            ("promote", 0.5),
            ("promote", 1.0),
        ]
        assert (await said(running))[0] is Verdict.PROMOTE

        write(tmp_path, release="http://127.0.0.1:9002", gates=GATES, stage="canary", rollout=rollout())

        async def nothing_is_said_of_another_release() -> bool:
            return (await said(running))[0] is Verdict.FAULT

        await running.until(nothing_is_said_of_another_release)
        assert (await running.route())["stage"] == "live"


async def test_promote_is_not_said_any_more_of_a_route_that_a_person_took_back(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.0, seconds=8, chance=random.Random(6))
        await running.until_metric('fig_gate_verdict{route="cart",verdict="promote"} 1.0')

        await running.change("rollback", by="ada", why="too slow")
        assert await said(running) == (Verdict.ROLLBACK, "rolled back by ada: too slow")

        await running.change("stage", stage="live")
        verdict, reason = await said(running)
        assert (verdict, "stage live" in reason) == (Verdict.FAULT, True), "nothing of the former attempt speaks for it"


async def test_what_was_said_of_a_former_candidate_is_not_said_of_the_next(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.5, seconds=5, chance=random.Random(1))
        await until_history(running, "rollback")

        write(tmp_path, release="http://127.0.0.1:9002", gates=GATES, stage="canary", rollout=rollout(hold="1h"))

        async def nothing_is_said() -> bool:
            told = from_dict((await running.api.get("/api/routes/cart/gate")).json())
            return told.verdict.value == "fault" and "stage shadow" in told.reason

        await running.until(nothing_is_said)


async def test_damaged_evidence_is_begun_anew_and_not_half_taken_up(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.0, seconds=8, chance=random.Random(6))
        await running.until_metric('fig_gate_verdict{route="cart",verdict="promote"} 1.0')
    store = SqlStore.at(tmp_path / "state" / "state.db")
    state = snapshot.decode(store.evidence()["cart"].snapshot)
    del state["windows"]
    store.keep({"cart": Kept("cart", {}, snapshot.encode(state))})
    store.close()

    async with control(tmp_path) as running:
        metric = from_dict((await running.api.get("/api/routes/cart/gate")).json()).metrics[0]
        line = await until_history(running, "attempt")

    assert line["why"].startswith("the evidence begins anew: what was kept cannot be taken up: ")
    assert (metric.legacy_count, metric.evidence_promote) == (0, 0)


async def test_harm_that_is_proven_on_a_frozen_route_is_taken_back(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(instant={"enabled": False}))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await running.change("freeze")

        await traffic(worker, 0.1, bad=0.5, seconds=5, chance=random.Random(3))
        line = await until_history(running, "rollback")

        assert (line["actor"], line["after"]) == ("pilot", {"stage": "shadow", "share": 0.0, "frozen": True})


async def test_a_route_that_is_held_against_rollback_is_left_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout())
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await running.change("freeze", hold_against_rollback=True)
        before = (await running.route())["share"]

        await traffic(worker, 0.1, bad=0.5, seconds=5, chance=random.Random(3))
        await running.until_metric('fig_gate_verdict{route="cart",verdict="rollback"} 1.0')

        route = await running.route()
        assert (route["stage"], route["share"], route["frozen"]) == ("canary", before, True)
        assert route["pinned"]


async def test_a_step_that_wants_a_person_waits_for_fig_approve_and_the_history_says_who(tmp_path: Path) -> None:
    plan = rollout(steps=["10%", {"share": "50%", "approval": True}])
    write(tmp_path, gates=GATES, stage="canary", rollout=plan)
    chance = random.Random(7)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        async def waits() -> bool:
            await traffic(worker, 0.1, bad=0.0, seconds=1, chance=chance)
            return (await running.route())["waiting"] == ["50% wants a person's approval (`fig approve`)"]

        await running.until(waits)
        await running.change("approve", by="ada", why="conversion looks well")

        line = await until_history(running, "promote")
        assert line["after"]["share"] == 0.5
        agreed = await until_history(running, "approve")
        assert (agreed["actor"], agreed["why"]) == ("ada", "50%: conversion looks well")
        assert agreed["evidence"]["verdict"] in ("keep_watching", "promote")


async def test_an_aborted_attempt_is_over_and_says_why(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        await running.change("abort", by="ada", why="the sale begins")

        route = await running.route()
        assert (route["stage"], route["ended"]) == ("shadow", "aborted by ada: the sale begins")
        refused = await running.api.post("/api/routes/cart/abort", json={})
        assert refused.status_code == 409
        assert "there is no attempt to abort" in refused.json()["error"]


async def test_a_deadline_that_rolls_back_is_a_rollback_to_everybody_who_asks(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(deadline="1s", on_deadline="rollback"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        line = await until_history(running, "rollback")

        why = "the deadline of 1 s passed before it was live; rolled back"
        assert (line["actor"], line["why"]) == ("pilot", why)
        assert (line["before"]["share"], line["after"]) == (0.1, {"stage": "shadow", "share": 0.0, "frozen": False})
        await worker.at(line["generation"])
        assert running.published().position("cart").share == 0
        assert await said(running) == (Verdict.ROLLBACK, why)
        assert Verdict.ROLLBACK.exit_code == 1


async def test_evidence_survives_restarts_of_control(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))

    async def requests(running: Running) -> int:
        return from_dict((await running.api.get("/api/routes/cart/gate")).json()).legacy_requests

    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.0, seconds=2, chance=random.Random(4))

        async def taken() -> bool:
            return await requests(running) > 0

        await running.until(taken)
        before = await requests(running)

    rules = (tmp_path / "fig.yaml").read_text()
    (tmp_path / "fig.yaml").write_text("routes: [")
    async with control(tmp_path) as running:
        assert not (await running.status())["rules"]["ok"]
        assert await requests(running) == before
    (tmp_path / "fig.yaml").write_text(rules)

    async with control(tmp_path) as running:
        assert await requests(running) == before


async def test_a_control_that_starts_on_a_broken_file_rolls_back_and_raises_nothing(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(instant={"enabled": False}, only="Mon-Sun 00-24 UTC"))
    async with control(tmp_path), workers(tmp_path / "state", "loaded") as [worker]:
        await worker.at(1)
    (tmp_path / "fig.yaml").write_text("routes: [")

    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        chance = random.Random(9)

        async def waits() -> bool:
            await traffic(worker, 0.1, bad=0.0, seconds=1, chance=chance)
            return any("rules file is broken" in reason for reason in (await running.route())["waiting"])

        await running.until(waits)
        await traffic(worker, 0.1, bad=0.5, seconds=5, chance=chance)

        line = await until_history(running, "rollback")
        assert (line["actor"], line["after"]["stage"]) == ("pilot", "shadow")


async def test_another_release_begins_another_attempt_with_a_line(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.0, seconds=2, chance=random.Random(5))

        write(tmp_path, release="http://127.0.0.1:9002", gates=GATES, stage="canary", rollout=rollout(hold="1h"))

        line = await until_history(running, "attempt")
        await worker.at(line["generation"])
        assert line["before"] == line["after"]
        told = from_dict((await running.api.get("/api/routes/cart/gate")).json())
        assert (told.legacy_requests, told.candidate_requests) == (0, 0)


async def test_a_certificate_that_is_go_takes_the_route_from_shadow_to_the_first_step(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="shadow", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        store = PairStore(running.state / "pairs.db", bytes(32))
        store.start_window("cart", "of another candidate", "first", time.time())
        store.add_many(equal_pairs(0, 400))
        await asyncio.sleep(1.2)
        assert (await running.route())["stage"] == "shadow", "pairs of another candidate prove nothing about this one"

        table = published(running.state)
        digest = digest_of(table.rules, table.routes["cart"], Comparison(), day_of(time.time()))
        store.start_window("cart", digest, "this one", time.time())
        store.add_many(equal_pairs(400, 400))

        line = await until_history(running, "promote")
        assert (line["actor"], line["after"]["stage"], line["after"]["share"]) == ("pilot", "canary", 0.1)
        assert (await running.route())["certificate"]["verdict"] == "GO"
        store.close()


def equal_pairs(first: int, count: int) -> list[Judged]:
    same = answer({"id": 1})
    return [
        Judged(pair(same, same, number, route="cart"), Outcome((), ()), Comparison())
        for number in range(first, first + count)
    ]


async def test_times_of_legacy_in_shadow_are_kept_as_the_reference_of_the_canary(tmp_path: Path) -> None:
    def legacy(answers: int) -> Tally:
        return Tally(
            [
                SideTally(
                    "cart", "legacy", "monolith", {"GET 2xx": answers}, {}, 9.0, histogram.packed({-230: answers}), b""
                )
            ]
        )

    write(tmp_path, gates=GATES, stage="shadow", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        worker.send(legacy(900))
        await running.until_metric('fig_service_seconds_count{route="cart",side="legacy"} 900.0')
        await running.change("promote")
        worker.send(legacy(5))
        await running.until_metric('fig_service_seconds_count{route="cart",side="legacy"} 905.0')

    store = SqlStore.at(tmp_path / "state" / "state.db")
    assert store.evidence()["cart"].reference == {-230: 900}
    store.close()


async def test_a_candidate_that_only_fails_goes_before_any_window_is_closed(tmp_path: Path) -> None:
    gates = {"errors": GATES["errors"] | {"window": "1h", "silence": "2h"}}
    write(tmp_path, gates=gates, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=1.0, seconds=3, chance=random.Random(8))

        line = await until_history(running, "rollback")

        await worker.at(line["generation"])  # the history knows of it a moment before it is in force
        assert line["why"].startswith("at once: ")
        assert (await running.route())["ended"] == line["why"]
        assert await said(running) == (Verdict.ROLLBACK, line["why"]), "and not what its gate said before"
    async with control(tmp_path) as running:
        assert await said(running) == (Verdict.ROLLBACK, line["why"]), "nor is it forgotten with control"


async def test_a_route_that_went_live_is_taken_back_when_it_is_worse_than_its_canary(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h", watch="1h", instant={"enabled": False}))

    def tally(bad: int) -> Tally:
        times = histogram.packed({-230: 100})
        answers, failures = {"GET 2xx": 100 - bad, "GET 5xx": bad}, {"status": bad}
        return Tally([SideTally("cart", "candidate", "shop", answers, failures, 2.0, times, b"")])

    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        async def watched() -> bool:
            worker.send(tally(bad=1))
            await asyncio.sleep(0.1)
            return bool((await running.route())["sides"]["candidate"]["requests"] >= 1000)

        await running.until(watched)
        await running.change("stage", stage="live")
        assert (await running.route())["watched"]
        await running.until_metric('fig_gate_verdict{route="cart",verdict="keep_watching"} 1.0')
        verdict, reason = await said(running)
        assert verdict is Verdict.KEEP_WATCHING, "a person put it live: no gate said promote"
        assert reason.startswith("not worse than in its own canary over ")

        async def taken_back() -> bool:
            worker.send(tally(bad=40))
            await asyncio.sleep(0.1)
            return bool((await running.route())["stage"] == "shadow")

        await running.until(taken_back)
        line = await until_history(running, "rollback")
        assert line["actor"] == "pilot"
        await worker.at(line["generation"])
        assert "worse than in its own canary" in line["why"]
        assert await said(running) == (Verdict.ROLLBACK, line["why"])
