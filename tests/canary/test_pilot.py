"""The pilot: looks at every route, and one route's trouble is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from canary.gate import fault
from canary.pilot import Pilot
from canary.plan import RolloutPlan
from canary.rollout import Command, Move, Note, Rollout, Standing
from canary.verdict import Judgement, Verdict
from rules.stages import Stage

PLAN = RolloutPlan.model_validate({"steps": ["5%", "50%"], "hold": "10s", "gate": "g"})


class Desk:
    """Positions in memory."""

    def __init__(self, **rollouts: Rollout) -> None:
        self.routes = dict(rollouts)
        self.done: list[tuple[str, Command]] = []
        self.stuck: set[str] = set()
        self.plan = PLAN

    def rollouts(self) -> Mapping[str, tuple[RolloutPlan, Rollout]]:
        return {route: (self.plan, rollout) for route, rollout in self.routes.items()}

    async def perform(
        self, route: str, after: Rollout, commands: Sequence[Command], judgement: Judgement | None
    ) -> None:
        if route in self.stuck:
            raise OSError("the state folder is full")
        self.routes[route] = after
        self.done += [(route, command) for command in commands]


class Says:
    """Gates that say what they are told; an exception is raised."""

    def __init__(self, **verdicts: Verdict | Exception) -> None:
        self.verdicts = verdicts
        self.asked: list[str] = []

    def judge(self, route: str, now: float) -> Judgement:
        self.asked.append(route)
        said = self.verdicts[route]
        if isinstance(said, Exception):
            raise said
        empty = fault(route, "g", "as told", 0.05, now)
        return Judgement(**{name: getattr(empty, name) for name in empty.__slots__} | {"verdict": said, "windows": 1})


class Rings:
    """An alarm that rings for these routes."""

    def __init__(self, **fatal: str) -> None:
        self.fatal = fatal

    def tripped(self, route: str, plan: RolloutPlan, now: float) -> str:
        return self.fatal.get(route, "")


class Certified:
    def __init__(self, standing: Standing | None = Standing.GO) -> None:
        self.standing_ = standing

    def standing(self, route: str) -> Standing | None:
        return self.standing_


def pilot(desk: Desk, gates: Says, certified: Certified | None = None, now: float = 100.0) -> Pilot:
    return Pilot(desk, gates, certified or Certified(), lambda: now)


class Against:
    """A veto with these reasons; an exception is raised."""

    def __init__(self, *reasons: str, failing: Exception | None = None) -> None:
        self.given, self.failing = reasons, failing
        self.asked: list[Move] = []

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        self.asked.append(move)
        if self.failing is not None:
            raise self.failing
        return self.given


def canary(share: int = 50_000) -> Rollout:
    return Rollout(Stage.CANARY, share, since=0.0, began=0.0)


async def test_a_certified_route_enters_canary_and_is_not_judged_before() -> None:
    desk, gates = Desk(shop=Rollout(Stage.SHADOW, 0, since=0.0)), Says()

    assert await pilot(desk, gates).tick() == {}

    assert desk.routes["shop"].stage is Stage.CANARY
    assert gates.asked == []


async def test_without_a_certificate_a_person_takes_the_first_step() -> None:
    desk = Desk(shop=Rollout(Stage.SHADOW, 0, since=0.0))

    await pilot(desk, Says(), Certified(None)).tick()

    assert desk.done == []


async def test_a_bad_route_is_rolled_back_while_a_good_one_rises() -> None:
    desk = Desk(bad=canary(), good=canary())

    await pilot(desk, Says(bad=Verdict.ROLLBACK, good=Verdict.KEEP_WATCHING)).tick()

    assert desk.routes["bad"].stage is Stage.SHADOW
    assert desk.routes["good"].share == 500_000


async def test_a_route_whose_judging_or_moving_fails_stops_no_other() -> None:
    desk = Desk(broken=canary(), stuck=canary(), good=canary())
    desk.stuck = {"stuck"}
    gates = Says(broken=RuntimeError("no numbers"), stuck=Verdict.ROLLBACK, good=Verdict.KEEP_WATCHING)

    problems = await pilot(desk, gates).tick()

    assert problems == {"stuck": "OSError: the state folder is full"}
    assert desk.routes["good"].share == 500_000
    assert desk.routes["broken"] == canary(), "a gate that fails is a fault"
    assert desk.routes["stuck"] == canary(), "it is looked at again at the next tick"


async def test_a_fault_moves_nothing() -> None:
    desk = Desk(shop=canary())

    await pilot(desk, Says(shop=Verdict.FAULT)).tick()

    assert desk.done == []


async def test_a_fault_that_goes_on_is_logged_once_a_minute_and_not_at_every_look() -> None:
    desk, gates, seconds = Desk(shop=canary()), Says(shop=Verdict.FAULT), [0.0]
    flying = Pilot(desk, gates, Certified(), lambda: 100.0 + seconds[0])

    with capture_logs() as logged:
        for half in range(240):
            seconds[0] = half / 2
            await flying.tick()
        gates.verdicts["shop"] = Verdict.KEEP_WATCHING
        await flying.tick()
        gates.verdicts["shop"] = Verdict.FAULT
        desk.routes["shop"] = canary()
        await flying.tick()

    assert [line["event"] for line in logged if line["log_level"] == "warning"] == ["no verdict"] * 3


async def test_a_reason_to_wait_whose_numbers_change_is_logged_once_a_minute() -> None:
    desk, against, seconds = Desk(shop=canary()), Against("burns 14.4 times too fast"), [0.0]
    flying = Pilot(desk, Says(shop=Verdict.KEEP_WATCHING), Certified(), lambda: 100.0 + seconds[0], (against,))

    with capture_logs() as logged:
        for half in range(240):
            seconds[0], against.given = half / 2, (f"burns {half} times too fast",)
            await flying.tick()

    assert [line["event"] for line in logged] == ["a move waits"] * 2
    assert flying.waiting == {"shop": ("burns 239 times too fast",)}


async def test_a_move_forward_waits_for_every_veto_and_says_why() -> None:
    desk, against, hook = Desk(shop=canary()), Against("the budget of /shop burns"), Against()
    flying = Pilot(desk, Says(shop=Verdict.KEEP_WATCHING), Certified(), lambda: 100.0, (Against(), against, hook))

    await flying.tick()

    assert desk.done == []
    assert flying.waiting == {"shop": ("the budget of /shop burns",)}
    assert [(move.stage, move.share) for move in against.asked] == [(Stage.CANARY, 500_000)]
    assert hook.asked == [], "it is not asked about a move that another one stands against"

    against.given = ()
    await flying.tick()
    assert len(hook.asked) == 1
    assert desk.routes["shop"].share == 500_000
    assert flying.waiting == {}


async def test_a_veto_that_fails_has_not_agreed() -> None:
    desk = Desk(shop=canary())
    flying = Pilot(
        *(desk, Says(shop=Verdict.PROMOTE), Certified(), lambda: 100.0), (Against(failing=OSError("no route to host")),)
    )

    await flying.tick()

    assert desk.done == []
    assert "no route to host" in flying.waiting["shop"][0]


async def test_what_the_gate_said_while_a_move_waits_is_kept() -> None:
    desk = Desk(shop=canary(500_000))
    desk.plan = PLAN.model_copy(update={"deadline": 200.0})
    against, seconds = Against("the budget of /shop burns"), [100.0]
    gates = Says(shop=Verdict.PROMOTE)
    flying = Pilot(desk, gates, Certified(), lambda: seconds[0], (against,))

    await flying.tick()
    await flying.tick()

    assert desk.routes["shop"] == replace(canary(500_000), proven=100.0)
    assert [type(command) for _, command in desk.done] == [Note]
    seconds[0], gates.verdicts["shop"] = 300.0, Verdict.FAULT
    await flying.tick()
    assert len(desk.done) == 1, "the deadline does not bind"


async def test_nobody_is_asked_about_a_way_back() -> None:
    desk, against = Desk(shop=canary()), Against("never")

    await Pilot(desk, Says(shop=Verdict.ROLLBACK), Certified(), lambda: 100.0, (against,)).tick()

    assert desk.routes["shop"].stage is Stage.SHADOW
    assert against.asked == []


async def test_what_is_fatal_takes_a_route_back_whatever_its_gate_says() -> None:
    desk, gates = Desk(shop=canary()), Says(shop=Verdict.KEEP_WATCHING)

    await replace(pilot(desk, gates), alarms=[Rings(shop="the breaker is open")]).tick()

    assert (desk.routes["shop"].stage, desk.routes["shop"].ended) == (Stage.SHADOW, "the breaker is open")


async def test_it_ticks_until_it_is_cancelled() -> None:
    desk = Desk(shop=canary())
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Pilot(desk, Says(shop=Verdict.PROMOTE), Certified(), lambda: 100.0 * (1 + len(naps))).run(0.5, nap)

    assert naps == [0.5, 0.5, 0.5]
    assert [command.stage for _, command in desk.done if isinstance(command, Move)] == [Stage.CANARY, Stage.LIVE]
