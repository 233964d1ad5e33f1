"""A running control with webhooks, notifications and objectives: moves that wait, moves that do not, and who hears."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary import histogram
from proxy.wire import SideTally, Tally
from tests.fakes.receiver import Receiver
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import WorkerLink, rows, workers

SECRET = "correct-horse-battery"
GATES = {
    "errors": {
        "metrics": [{"name": "errors", "kind": "error_rate", "margin": "20pp"}],
        "window": "100ms",
        "silence": "1h",
    }
}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIG_WEBHOOK_SECRET", SECRET)


def rules(folder: Path, blocks: dict[str, Any], **others: Any) -> None:
    """The rules file with further blocks."""
    write(folder, **others)
    text = (folder / "fig.yaml").read_text()
    (folder / "fig.yaml").write_text(text + yaml.safe_dump(blocks))


def hook(server: Receiver, **others: Any) -> dict[str, Any]:
    return {"url": server.url, "secret": "${FIG_WEBHOOK_SECRET}", "attempts": 1, **others}


async def history(running: Running, action: str) -> list[dict[str, Any]]:
    lines = (await running.api.get("/api/history")).json()["history"]
    return [line for line in lines if line["action"] == action]


async def test_a_webhook_stands_against_a_promotion_and_not_against_a_rollback(tmp_path: Path) -> None:
    async with Receiver([(200, {"allow": False, "reason": "freeze until Monday"})]) as server:
        rules(tmp_path, {"webhooks": {"calendar": hook(server, when=["before"])}}, stage="canary", share="5%")
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            refused = await running.change("stage", stage="live", by="anna")
            assert refused.status_code == 409
            assert "route 'cart' stays: webhook 'calendar': freeze until Monday" in refused.json()["error"]
            assert (await running.route())["stage"] == "canary"

            back = await running.change("rollback", by="anna")
            assert (back.status_code, len(server.posted)) == (200, 1)
            [veto] = await history(running, "veto")
            assert (veto["actor"], veto["why"]) == ("webhook calendar", "webhook 'calendar': freeze until Monday")
            await running.until_metric('fig_webhooks_total{result="refused",webhook="calendar",when="before"} 1.0')
            assert SECRET not in (running.state / "state.db").read_bytes().decode("latin-1")


async def test_a_webhook_that_hangs_holds_up_no_rollback(tmp_path: Path) -> None:
    async with Receiver() as server:
        server.silent = True
        rules(tmp_path, {"webhooks": {"slow": hook(server, timeout="30s")}}, stage="canary", share="5%")
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            wanted = asyncio.create_task(running.change("stage", stage="live"))
            await server.got(1)

            assert (await running.change("rollback")).status_code == 200
            assert (await running.route())["stage"] == "shadow"
            told = await server.got(2)  # of the rollback, by a task of its own
            assert (told[1].document["when"], told[1].document["kind"]) == ("after", "rollback")
            wanted.cancel()
            await asyncio.gather(wanted, return_exceptions=True)


async def test_what_webhooks_allow_is_not_done_to_a_route_that_was_moved_meanwhile(tmp_path: Path) -> None:
    async with Receiver() as server:
        server.silent = True
        rules(tmp_path, {"webhooks": {"slow": hook(server, when=["before"])}}, stage="canary", share="20%")
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            wanted = asyncio.create_task(running.change("stage", stage="canary", share="50%", by="anna"))
            await server.got(1)
            assert (await running.change("stage", stage="canary", share="5%", by="ben")).status_code == 200

            server.speak()

            refused = await wanted
            assert refused.status_code == 409
            assert "was moved while webhooks were asked" in refused.json()["error"]
            assert (await running.route())["share"] == 0.05


async def test_an_allowed_promotion_is_made_and_told(tmp_path: Path) -> None:
    async with Receiver() as server, Receiver() as chat:
        blocks = {
            "webhooks": {"log": hook(server)},
            "notify": {"team": {"url": chat.url, "form": "slack", "attempts": 1}},
        }
        rules(tmp_path, blocks)
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            assert (await running.change("stage", stage="canary", share="5%", by="anna")).status_code == 200
            before, after = (one.document for one in await server.got(2))
            assert (before["when"], before["kind"], before["actor"]) == ("before", "promote", "anna")
            assert (after["when"], after["after"]["share"]) == ("after", 0.05)
            [message] = await chat.got(1)
            assert message.document["text"] == "cart: shadow -&gt; canary 5% (promote by anna)"


async def test_what_control_had_not_told_its_successor_tells(tmp_path: Path) -> None:
    async with Receiver() as chat:
        chat.silent = True
        rules(tmp_path, {"notify": {"team": {"url": chat.url}}})
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            await running.change("stage", stage="canary", share="5%")
            await chat.got(1)
        chat.silent = False
        async with control(tmp_path) as running, workers(running.state, "loaded"):
            _, again = await chat.got(2)
            assert [event["kind"] for event in again.document["events"]] == ["promote"]
            await running.until_metric('fig_notifications_total{notify="team",result="sent"} 1.0')


def failing(worker: WorkerLink) -> None:
    times = histogram.packed({histogram.index(0.01): 1000})
    failed = {"GET 2xx": 800, "GET 5xx": 200}
    worker.send(Tally([SideTally("cart", "legacy", "monolith", failed, {"status": 200}, 10.0, times, b"")]))


async def test_a_burning_budget_is_shown_told_and_kept(tmp_path: Path) -> None:
    rules(tmp_path, {"slo": {"cart": {"route": "cart", "availability": "99%"}}})
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        failing(worker)
        await running.until_metric('fig_slo_burn_rate{objective="availability",slo="cart",window="1h"} 20.0')

        async def told() -> bool:
            return bool(await history(running, "slo"))

        await running.until(told)
        [line] = await history(running, "slo")
        assert (line["route"], line["actor"], "20.0 times too fast" in line["why"]) == ("cart", "slo", True)
        [shown] = (await running.status())["slo"]
        assert (shown["level"], shown["stops_promotion"], shown["bad"]) == ("page", True, 200)
        assert (await running.change("stage", stage="canary", share="5%")).status_code == 200  # a person may

    async with control(tmp_path) as running:
        [shown] = (await running.api.get("/api/slo", params={"route": "cart"})).json()["slo"]
        assert (shown["bad"], shown["level"]) == (200, "page")
        assert (await running.api.get("/api/slo", params={"route": "carts"})).status_code == 404
        assert len(await history(running, "slo")) == 1


def traffic(worker: WorkerLink, number: int, share: float = 0.1) -> None:
    """Two seconds of good answers of both sides that end now, of other units than those before."""
    now, chance = time.time(), random.Random(number)
    units = [chance.getrandbits(64) for _ in range(400)]
    exchanges = [
        (now - 2 + place / 200, unit, 0.01, int(unit % 1_000_000 < share * 1_000_000), 0)
        for place, unit in enumerate(units)
    ]
    worker.send(rows("cart", worker.generation, exchanges))


async def test_the_pilots_step_waits_for_the_webhook_and_goes_on_once_it_agrees(tmp_path: Path) -> None:
    rollout = {"steps": ["10%", "50%"], "hold": "1ms", "gate": "errors"}
    async with Receiver([(200, {"allow": False, "reason": "after lunch"}), 200]) as server:
        blocks = {"webhooks": {"calendar": hook(server, when=["before"], ask_again="1s")}}
        rules(tmp_path, blocks, gates=GATES, stage="canary", share="10%", rollout=rollout)
        async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
            await worker.at(1)
            traffic(worker, 1)
            waited: list[str] = []

            async def stepped() -> bool:
                route = await running.route()
                waited.extend(route["waiting"])
                return bool(route["share"] == 0.5)

            await running.until(stepped)
            assert "webhook 'calendar': after lunch" in waited
            assert [one.document["actor"] for one in server.posted] == ["pilot", "pilot"]
            assert [line["why"] for line in await history(running, "veto")] == ["webhook 'calendar': after lunch"]


async def test_a_webhook_is_not_asked_about_a_move_whose_turn_has_not_come(tmp_path: Path) -> None:
    rollout = {"steps": ["10%", "50%", "90%"], "hold": "1ms", "gate": "errors"}
    async with Receiver() as server:
        blocks = {"webhooks": {"calendar": hook(server, when=["before"])}, "pilot": {"moves_per_hour": 1}}
        rules(tmp_path, blocks, gates=GATES, stage="canary", share="10%", rollout=rollout)
        async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
            await worker.at(1)
            number = 0

            async def waits_for_its_turn() -> bool:
                nonlocal number
                number += 1
                route = await running.route()
                traffic(worker, number, route["share"])
                await asyncio.sleep(0.1)
                return any("moves forward in the last hour" in why for why in route["waiting"])

            await running.until(waits_for_its_turn)
            assert (await running.route())["share"] == 0.5
            assert [one.document["after"]["share"] for one in server.posted] == [0.5]
