"""How an attempt goes is kept over a restart of control and after a rollback, and told by `fig canary report`."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

from typer.testing import CliRunner, Result

from canary.course import Course
from proxy.cli import app
from proxy.control.store import SqlStore
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import workers
from tests.proxy.control.test_control_pilot import GATES, rollout, traffic


async def fig(running: Running, *arguments: str) -> Result:
    words = ["canary", "report", *arguments, "--admin", str(running.api.base_url)]
    return await asyncio.to_thread(CliRunner().invoke, app, words)


async def test_an_attempt_is_told_while_it_goes_after_a_restart_and_after_its_end(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        await traffic(worker, 0.1, bad=0.0, seconds=2, chance=random.Random(3))

        async def noted() -> bool:
            found = (await running.api.get("/api/routes/cart/course")).json()["course"]
            return bool(found["points"] and found["times"]["candidate"])

        await running.until(noted)
        told = (await running.api.get("/api/routes/cart/course")).json()["course"]
        assert {point["share"] for point in told["points"]} == {100_000}

    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        again = (await running.api.get("/api/routes/cart/course")).json()["course"]
        assert again["points"][: len(told["points"])] == told["points"]
        assert again["times"] == told["times"]

        await worker.at(1)
        chance = random.Random(4)

        async def taken_back() -> bool:
            await traffic(worker, 0.1, bad=0.6, seconds=1, chance=chance)
            await asyncio.sleep(0.2)
            return bool((await running.route())["stage"] == "shadow")

        await running.until(taken_back)
        page = tmp_path / "cart.html"
        shown = await fig(running, "cart", "--html", str(page))
        document = json.loads((await fig(running, "cart", "--json")).stdout)

    assert shown.exit_code == 0, shown.output
    assert "cart: rollback" in shown.stdout
    assert "share 10%" in shown.stdout and "rollback by pilot: " in shown.stdout
    assert page.read_text().count("<svg") == 3
    assert document["course"]["points"][-1]["verdict"] == "rollback"
    assert [line["action"] for line in document["history"]] == ["rollback", "enter"]


async def test_a_route_that_was_in_no_canary_and_one_that_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="shadow", rollout=rollout())
    async with control(tmp_path) as running:
        waiting, unknown = await fig(running, "cart"), await fig(running, "kart")

    assert (waiting.exit_code, unknown.exit_code) == (0, 2)
    assert "no share was noted yet" in waiting.stdout
    assert "kart" in unknown.output


def test_courses_are_replaced_one_by_one_and_forgotten(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.courses.keep({"cart": b"one", "search": b"two"})
    store.courses.keep({"cart": None, "search": b"three"})
    assert store.courses.all() == {"search": b"three"}
    store.close()


async def test_a_course_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout(hold="1h"))
    (tmp_path / "state").mkdir(exist_ok=True)
    store = SqlStore.at(tmp_path / "state" / "state.db")
    store.courses.keep({"cart": Course(1.0).to_bytes()[:-1]})
    store.close()
    async with control(tmp_path) as running:
        assert (await running.api.get("/api/routes/cart/course")).json()["course"]["points"] is not None
