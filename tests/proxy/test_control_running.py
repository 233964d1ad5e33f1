"""A running control with workers that are links only: publishing, acknowledging, reloading, coming back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from proxy.control.control import open_control
from proxy.control.told import Told
from proxy.settings import Address
from proxy.wire import SideTally, Tally
from rules.effective import Effective
from tests.fakes.served import free_port
from tests.fakes.worker_link import workers

RULES: dict[str, Any] = {
    "version": 1,
    "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
    "legacy": "monolith",
    "routes": [
        {
            "name": "cart",
            "match": {"path": "/cart/**", "methods": ["GET"]},
            "candidate": "shop",
            "stage": "shadow",
            "unit": {"cookie": "unit"},
        }
    ],
}


def write(folder: Path, **route: Any) -> None:
    """The rules file, its only route changed by `route`; replaced as editors do."""
    rules = {**RULES, "routes": [{**RULES["routes"][0], **route}]}
    (folder / "fig.yaml.new").write_text(yaml.safe_dump(rules))
    (folder / "fig.yaml.new").replace(folder / "fig.yaml")


class Running:
    """A running control."""

    def __init__(self, folder: Path, port: int) -> None:
        self.state = folder / "state"
        self.reload_asked = asyncio.Event()
        self.api = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await true():  # noqa: ASYNC110 - what is waited for happens behind a socket
                await asyncio.sleep(0.02)

    async def answers(self, path: str, status: int) -> httpx.Response:
        """The first answer with that status."""
        found: list[httpx.Response] = []

        async def look() -> bool:
            with contextlib.suppress(httpx.TransportError):
                found.append(await self.api.get(path))
            return bool(found) and found[-1].status_code == status

        await self.until(look)
        return found[-1]

    async def until_metric(self, line: str) -> None:
        async def look() -> bool:
            return line in (await self.api.get("/metrics")).text.splitlines()

        await self.until(look)

    async def change(self, action: str, **body: Any) -> httpx.Response:
        return await self.api.post(f"/api/routes/cart/{action}", json=body)

    async def status(self) -> dict[str, Any]:
        return dict((await self.api.get("/api/status")).json())

    async def route(self) -> dict[str, Any]:
        [route] = (await self.status())["routes"]
        return dict(route)

    def published(self) -> Effective:
        return Effective.decode((self.state / "effective.json").read_bytes())


@asynccontextmanager
async def control(folder: Path, count: int = 1) -> AsyncIterator[Running]:
    """Control on folder/fig.yaml, expecting `count` workers; up when this is entered, gone when it is left."""
    port = free_port()
    told = Told(
        rules=folder / "fig.yaml",
        state=folder / "state",
        admin=Address("127.0.0.1", port),
        listen=Address("127.0.0.1", 8080),
        workers=count,
    )
    told.state.mkdir(exist_ok=True)
    running, ended = Running(folder, port), asyncio.Event()
    task = asyncio.create_task((await open_control(told)).run(ended, running.reload_asked))
    try:
        await running.answers("/healthz", 200)
        yield running
    finally:
        await running.api.aclose()
        ended.set()
        await task


async def test_it_is_ready_once_a_worker_decides_by_the_published_table(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running:
        assert (await running.api.get("/readyz")).status_code == 503

        async with workers(running.state, "loaded"):
            assert (await running.answers("/readyz", 200)).json()["generation"] == 1
        await running.answers("/readyz", 503)


async def test_a_move_is_published_recorded_and_acknowledged_by_every_worker(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 2) as running, workers(running.state, "loaded", "loaded") as links:
        for link in links:
            await link.at(1)

        moved = (await running.change("stage", stage="canary", share="5%", why="a try", by="ada")).json()

        assert (moved["acknowledged"], moved["missing"], moved["generation"]) == (True, [], 2)
        assert [link.generation for link in links] == [2, 2]
        assert running.published().generation == 2
        assert running.published().positions["cart"].share == 50_000
        newest = (await running.api.get("/api/history", params={"route": "cart"})).json()["history"][0]
        assert (newest["actor"], newest["why"], newest["number"]) == ("ada", "a try", moved["number"])


async def test_a_worker_that_refuses_or_does_not_answer_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 4) as running, workers(running.state, "loaded", "silent", "no memory") as links:
        for link in links:
            await link.told()

        moved = (await running.change("rollback", to="legacy")).json()

        assert not moved["acknowledged"]
        assert moved["missing"] == ["worker 1: has not answered", "worker 2: no memory", "worker 3: not connected"]


async def test_a_move_survives_a_restart_and_the_generation_stays(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 0) as running:
        await running.change("rollback", to="legacy", why="it hurts")
        await running.change("freeze")
        before = running.published()

    async with control(tmp_path, 0) as running:
        assert running.published() == before
        route = await running.route()
        assert (route["stage"], route["frozen"]) == ("legacy", True)
        whys = [entry["why"] for entry in (await running.api.get("/api/history")).json()["history"]]
        assert "it hurts" in whys


async def test_what_was_recorded_but_not_published_is_published_at_the_next_start(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 0) as running:
        earlier = (running.state / "effective.json").read_bytes()
        await running.change("rollback", to="legacy")
    (tmp_path / "state" / "effective.json").write_bytes(earlier)  # as if killed between the two

    async with control(tmp_path, 0) as running:
        assert running.published().positions["cart"].stage.value == "legacy"
        assert running.published().generation > 2


async def test_a_changed_file_is_loaded_however_it_was_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        write(tmp_path, stage="legacy")

        await worker.at(2)
        assert running.published().positions["cart"].stage.value == "legacy"


async def test_who_asks_for_it_has_the_rules_loaded_anew(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        loaded_at = (await running.status())["rules"]["last_success"]

        running.reload_asked.set()

        async def loaded_anew() -> bool:
            return bool((await running.status())["rules"]["last_success"] > loaded_at)

        await running.until(loaded_anew)
        assert worker.generation == 1


async def test_a_broken_file_changes_nothing_and_every_problem_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        before = (running.state / "effective.json").read_bytes()

        write(tmp_path, stage="canarry", candidat="shop", candidate="nobody")

        await running.until_metric("fig_config_last_reload_success 0.0")
        problems = (await running.status())["rules"]["problems"]
        assert len(problems) >= 3
        assert all(problem.startswith(f"{tmp_path / 'fig.yaml'}:") for problem in problems)
        assert (running.state / "effective.json").read_bytes() == before
        assert (worker.generation, worker.loads) == (1, [1])
        assert (await running.change("rollback", to="legacy")).json()["acknowledged"]

        write(tmp_path)
        await running.until_metric("fig_config_last_reload_success 1.0")


async def test_control_comes_back_on_a_broken_file_and_can_still_roll_back(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    async with control(tmp_path) as running:
        before = running.published()
    (tmp_path / "fig.yaml").write_text("routes: [")

    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(before.generation)
        assert running.published() == before
        assert (await running.change("rollback")).json()["acknowledged"]
        assert (await running.route())["stage"] == "shadow"
        assert "fig_config_last_reload_success 0.0" in (await running.api.get("/metrics")).text


async def test_a_reload_does_not_undo_a_rollback_but_a_changed_stage_applies(tmp_path: Path) -> None:
    write(tmp_path, stage="live")
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await running.change("rollback")

        write(tmp_path, stage="live", shadow={"sample": "50%"})
        await worker.at(3)
        assert (await running.route())["stage"] == "shadow"

        write(tmp_path, stage="legacy")
        await worker.at(4)
        assert (await running.route())["stage"] == "legacy"


async def test_counts_of_workers_are_summed_in_metrics_and_status(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 2) as running, workers(running.state, "loaded", "loaded") as links:
        for link in links:
            await link.at(1)
            link.send(
                Tally([SideTally("cart", "legacy", "monolith", {"GET 2xx": 4}, {"timeout": 1}, 0.4, {-115: 4}, {})])
            )

        await running.until_metric(
            'fig_requests_total{method="GET",route="cart",service="monolith",side="legacy",status_class="2xx"} 8.0'
        )
        legacy = (await running.route())["sides"]["legacy"]
        assert (legacy["requests"], legacy["errors"], legacy["recent"]["requests"]) == (8, 2, 8)
        assert "fig_generation 1.0" in (await running.api.get("/metrics")).text


async def test_wrong_changes_are_refused_with_a_sentence(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running:
        for action, body, status, words in (
            ("stage", {"stage": "canarry"}, 400, "stage:"),
            ("stage", {"stage": "canary", "share": "7"}, 400, "write it like 1%"),
            ("stage", {"stage": "canary"}, 409, "say which share"),
            ("promote", {"whyy": "x"}, 400, "whyy: unknown key"),
            ("rollback", {"to": "live"}, 409, "a rollback goes to shadow or legacy"),
            ("rollback", {}, 409, "nothing to roll back"),
            ("fly", {}, 404, "Not Found"),
        ):
            answer = await running.change(action, **body)
            assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
        unknown = await running.api.post("/api/routes/carts/promote", json={})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "no route 'carts'; there are: cart")
        assert running.published().generation == 1
