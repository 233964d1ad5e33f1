"""People may go past what holds the pilot, and they are told what that was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.running_control import Running, control, write

GATES = {"g": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}}
PLAN: dict[str, Any] = {"steps": ["10%", {"share": "50%", "approval": True}], "hold": "1h", "gate": "g"}
OTHER = {
    "name": "search",
    "match": {"path": "/search/**", "methods": ["GET"]},
    "candidate": "shop",
    "unit": {"cookie": "unit"},
    "group": "shop",
    "stage": "canary",
    "rollout": PLAN,
}


async def newest(running: Running) -> dict[str, Any]:
    return dict((await running.api.get("/api/history", params={"route": "cart"})).json()["history"][0])


async def test_another_rollout_of_the_group_is_named_in_the_answer_and_in_the_history(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, others=[OTHER], stage="shadow", group="shop", rollout=PLAN)
    async with control(tmp_path) as running:
        answer = await running.change("promote", by="ada", why="the sale begins")

        said = "search of the same group ('shop') is under way; one at a time"
        assert (answer.status_code, answer.json()["after"]["share"]) == (200, 0.1)
        assert answer.json()["went_past"] == [said]
        assert (await newest(running))["why"] == f"the sale begins; past what the pilot waits for: {said}"


async def test_approvals_hours_and_a_gate_that_has_not_agreed_are_named(tmp_path: Path) -> None:
    hours = {"only": "Mon 00-00:01 UTC"}  # open for a minute a week, in which this test would still find the rest
    write(tmp_path, gates=GATES, stage="canary", rollout=PLAN | hours | {"approve_live": True})
    async with control(tmp_path) as running:
        [*closed, approval] = (await running.change("promote")).json()["went_past"]
        assert approval == "50% wants a person's approval (`fig approve`)"
        assert all(reason.startswith("outside of Mon 00-00:01 UTC") for reason in closed)

        *_, live, gate = (await running.change("promote")).json()["went_past"]
        assert live == "live wants a person's approval (`fig approve`)"
        assert gate in ("gate 'g' says fault", "gate 'g' says keep_watching", "gate 'g' has compared nothing")


@pytest.mark.parametrize("move", [("rollback", {}), ("stage", {"stage": "canary", "share": "5%"})])
async def test_a_way_back_goes_past_nothing(tmp_path: Path, move: tuple[str, dict[str, Any]]) -> None:
    write(
        tmp_path, gates=GATES, others=[OTHER], stage="canary", group="shop", rollout=PLAN | {"only": "Mon 00-00:01 UTC"}
    )
    action, body = move
    async with control(tmp_path) as running:
        answer = await running.change(action, **body, why="too slow")

        assert (answer.status_code, answer.json().get("went_past", [])) == (200, [])
        assert (await newest(running))["why"] == "too slow"


async def test_a_route_without_a_rollout_goes_past_nothing(tmp_path: Path) -> None:
    write(tmp_path, gates=GATES, others=[OTHER], stage="shadow", group="shop")
    async with control(tmp_path) as running:
        assert (await running.change("stage", stage="canary", share="5%")).json()["went_past"] == []
