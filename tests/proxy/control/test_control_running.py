"""A running control with workers that are links only: publishing, acknowledging, reloading, coming back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from canary import histogram
from proxy.wire import SideTally, Tally
from tests.fakes.running_control import control, write
from tests.fakes.worker_link import workers


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
        assert running.published().position("cart").share == 50_000
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
        assert running.published().position("cart").stage.value == "legacy"
        assert running.published().generation > 2


async def test_a_changed_file_is_loaded_however_it_was_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)

        write(tmp_path, stage="legacy")

        await worker.at(2)
        assert running.published().position("cart").stage.value == "legacy"


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
                Tally(
                    [
                        SideTally(
                            "cart",
                            "legacy",
                            "monolith",
                            {"GET 2xx": 4},
                            {"timeout": 1},
                            0.4,
                            histogram.packed({-115: 4}),
                            b"",
                        )
                    ]
                )
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


async def test_rules_that_change_while_control_starts_are_not_missed(tmp_path: Path) -> None:
    write(tmp_path)
    async with (
        control(tmp_path, between=lambda: write(tmp_path, stage="legacy")),
        workers(tmp_path / "state", "loaded") as [worker],
    ):
        await worker.at(2)


async def test_a_worker_that_could_not_read_the_table_is_told_of_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.control.control.REMIND_EVERY", 0.05)
    write(tmp_path, stage="live")
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        worker.answer = "OSError: too many open files"
        moved = (await running.change("rollback")).json()
        assert moved["missing"] == ["worker 0: OSError: too many open files"]

        worker.answer = "loaded"

        await worker.at(2)
        assert (await running.status())["peers"][0]["current"]


SENSELESS = {
    "deep": "[" * 60_000,
    "cut off": "{",
    "half a character": '"\\ud800"',
    "zero": "\x00",
    "endless number": '{"share": ' + "9" * 5_000 + "}",
    "list": "[]",
    "number": "1",
}


@pytest.mark.parametrize("body", SENSELESS.values(), ids=SENSELESS)
async def test_a_body_that_makes_no_sense_is_told_apart_from_a_failure(tmp_path: Path, body: str) -> None:
    write(tmp_path)
    async with control(tmp_path) as fig:
        answer = await fig.api.post(
            "/api/routes/cart/stage", content=body, headers={"Content-Type": "application/json"}
        )

        assert answer.status_code == 400
        assert "body" in answer.json()["error"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "9" * 5_000], ids=lambda limit: limit[:4])
async def test_a_limit_that_is_none_is_said_so(tmp_path: Path, limit: str) -> None:
    write(tmp_path)
    async with control(tmp_path) as fig:
        answer = await fig.api.get("/api/history", params={"limit": limit})

        assert answer.status_code == 400
        assert "is not a number of lines" in answer.json()["error"]


async def test_a_move_that_cannot_be_recorded_says_why_on_one_line(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running:
        database = sqlite3.connect(running.state / "state.db")
        full = "create trigger full before insert on history begin select raise(abort, 'the disk is full'); end"
        database.execute(full)
        database.close()

        answer = await running.change("stage", stage="canary", share="5%", why="hunter2")

        assert answer.status_code == 503
        said = answer.json()["error"]
        assert said == "nothing was changed, because it cannot be recorded: (sqlite3.IntegrityError) the disk is full"
        assert (await running.route())["stage"] == "shadow"
