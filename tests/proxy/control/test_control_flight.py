"""The pilot's moves over the desk: what was found at a look binds what it was found of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from canary.rollout import Move, Note, Rollout
from proxy.control.book import Book
from proxy.control.desk import Desk
from proxy.control.flight import OvertakenError, Positions
from proxy.control.peers import Acknowledgement
from proxy.control.settling import open_desk
from proxy.control.store import DATABASE, SqlStore
from rules.stages import MILLION, Stage
from tests.fakes.running_control import write

GATES = {"g": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}}
PLAN = {"steps": ["10%", "50%"], "gate": "g"}
LIVE = Move(Stage.LIVE, MILLION, "as the gate says")
BACK = Move(Stage.SHADOW, 0, "harm")


async def everyone(generation: int) -> Acknowledgement:
    return Acknowledgement(generation, 1)


def looked_at(folder: Path) -> tuple[Desk, Positions, Rollout, SqlStore]:
    """A route in canary, of which the pilot has just seen where it stands."""
    write(folder, gates=GATES, stage="canary", rollout=PLAN)
    (folder / "state").mkdir()
    store = SqlStore.at(folder / "state" / DATABASE)
    book, reloading = open_desk(folder / "fig.yaml", folder / "state", store, strict=True)
    accepted: list[Book] = []
    desk = Desk(folder / "fig.yaml", folder / "state", store, everyone, accepted.append, book, reloading)
    positions = Positions(desk)
    [(_, rollout)] = positions.rollouts().values()
    return desk, positions, rollout, store


def after(rollout: Rollout, move: Move) -> Rollout:
    return replace(rollout, stage=move.stage, share=move.share, began=None)


async def test_nothing_is_promoted_by_what_former_rules_wanted(tmp_path: Path) -> None:
    desk, positions, rollout, store = looked_at(tmp_path)
    write(tmp_path, gates=GATES, stage="canary", rollout=PLAN | {"approve_live": True})
    assert (await desk.reload()).ok

    with pytest.raises(OvertakenError, match="other rules"):
        await positions.perform("cart", after(rollout, LIVE), [LIVE], None)

    assert desk.standing("cart").position.stage is Stage.CANARY
    positions.rollouts()
    await positions.perform("cart", after(rollout, LIVE), [LIVE], None)
    assert desk.standing("cart").position.stage is Stage.LIVE
    store.close()


async def test_harm_that_was_found_under_former_rules_is_taken_back(tmp_path: Path) -> None:
    desk, positions, rollout, store = looked_at(tmp_path)
    write(tmp_path, gates=GATES, stage="canary", rollout=PLAN | {"approve_live": True})
    assert (await desk.reload()).ok

    await positions.perform("cart", after(rollout, BACK), [BACK], None)

    assert desk.standing("cart").position.stage is Stage.SHADOW
    store.close()


async def test_a_route_that_somebody_moved_meanwhile_is_looked_at_again(tmp_path: Path) -> None:
    desk, positions, rollout, store = looked_at(tmp_path)
    await desk.carry_out(
        "cart", lambda _, standing, __: replace(standing.rollout, frozen=True), action="", actor="", why="", evidence={}
    )

    with pytest.raises(OvertakenError, match="was moved meanwhile"):
        await positions.perform("cart", after(rollout, BACK), [BACK], None)

    assert desk.standing("cart").position.stage is Stage.CANARY
    store.close()


async def test_what_the_gate_said_in_time_is_kept_with_a_line_though_nothing_moves(tmp_path: Path) -> None:
    desk, positions, rollout, store = looked_at(tmp_path)
    proven = replace(rollout, proven=rollout.since + 1)

    await positions.perform("cart", proven, [Note("in time")], None)

    assert desk.standing("cart").rollout == proven == store.load().standings["cart"].rollout
    [line] = store.history("cart", 1)
    assert (line.action, line.before, line.after) == ("proven", line.after, desk.standing("cart").position)
    assert store.times_of("pilot", "promote", 0.0) == [], "it is no move of the pilot's pace"
    store.close()


async def test_what_a_gate_of_former_rules_said_frees_nothing_from_a_deadline(tmp_path: Path) -> None:
    desk, positions, rollout, store = looked_at(tmp_path)
    write(tmp_path, gates=GATES, stage="canary", rollout=PLAN | {"deadline": "24h"})
    assert (await desk.reload()).ok

    with pytest.raises(OvertakenError, match="other rules"):
        await positions.perform("cart", replace(rollout, proven=rollout.since + 1), [Note("in time")], None)

    store.close()
