"""The canary loop: every tick, for each route with a plan, judge, advance, perform. A thin shell around rollout.py.

It knows neither where positions are kept nor how evidence or certificates come about: three Protocols, which control
implements. A route whose judging or moving fails is a fault of that route alone; the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from canary.gate import fault
from canary.plan import RolloutPlan
from canary.rollout import Command, Look, Move, Rollout, Situation, Standing, advance, hindrances, situation, wanted
from canary.verdict import Judgement, Verdict

log = structlog.get_logger(__name__)

REMIND = 60.0
"""Seconds after which what goes on is logged again."""


class Positions(Protocol):
    """Where routes stand, and how they are moved."""

    def rollouts(self) -> Mapping[str, tuple[RolloutPlan, Rollout]]:
        """Every route with a plan, as it stands now."""

    async def perform(
        self, route: str, after: Rollout, commands: Sequence[Command], judgement: Judgement | None
    ) -> None:
        """Carry the commands out and keep `after` and the history; returns when every live worker has acknowledged.

        Raises whatever goes wrong; the pilot then looks again at the next tick.
        """


class Gates(Protocol):
    """What the evidence says of routes whose candidate answers clients: in canary, and in the watch after it."""

    def judge(self, route: str, now: float) -> Judgement:
        """The route's verdict at `now`, seconds since the epoch. A route without evidence is a fault."""


class Alarm(Protocol):
    """What the last seconds say of the same routes, without evidence."""

    def tripped(self, route: str, plan: RolloutPlan, now: float) -> str:
        """Why the candidate must go at once (`plan.instant`); ``""`` while nothing fatal is seen."""


class Certificates(Protocol):
    """What the pairs of routes in shadow prove."""

    def standing(self, route: str) -> Standing | None:
        """None for a route that asks for no certificate: a person then takes the first step.

        Answers at once, from what is known: whoever reads pairs, for as long as that takes, holds up no rollback.
        """


class Veto(Protocol):
    """Whoever may keep a route from getting more traffic: people's hours, probes, webhooks, budgets."""

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        """Why the route may not make this move forward now, each a sentence for people; empty: it may.

        Asked at every look (each half second) while the move is due, and never about a way back. In order: once one
        has a reason the others are not asked, so those who are slow to answer come after those who know at once.
        Answers at once, from what is known: whoever must ask somebody begins that here, goes on by himself, and says
        until then that it waits for the answer. Raising is a reason too.
        """


@dataclass(frozen=True, slots=True)
class Pilot:
    """Looks at every route with a plan, and moves those whose evidence is in."""

    positions: Positions
    gates: Gates
    certificates: Certificates
    clock: Callable[[], float]
    """Seconds since the epoch."""
    vetoes: Sequence[Veto] = ()
    alarms: Sequence[Alarm] = ()
    """In order; the first that rings is the reason."""
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Route -> why its next move forward, which is due, is not made; routes that wait for nothing are absent."""
    _told: dict[tuple[str, str], float] = field(default_factory=dict)
    """What goes on, by route -> when it was last logged: reasons have numbers, which change at every look."""

    async def tick(self) -> dict[str, str]:
        """One look at every route, all at once. Route -> problem, for those whose certificate or move failed.

        A gate that fails is a fault, as if it had said so.
        """
        rollouts = self.positions.rollouts()
        for route in self.waiting.keys() - rollouts.keys():
            del self.waiting[route]
        for told in [told for told in self._told if told[1] not in rollouts]:
            del self._told[told]
        problems = await asyncio.gather(*(self._guarded(route, *rollouts[route]) for route in rollouts))
        return {route: problem for route, problem in zip(rollouts, problems, strict=True) if problem}

    async def run(self, every: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tick every `every` seconds until cancelled."""
        while True:
            await self.tick()
            await sleep(every)

    async def _guarded(self, route: str, plan: RolloutPlan, rollout: Rollout) -> str:
        try:
            await self._fly(route, plan, rollout)
        except Exception as exc:
            log.exception("a route cannot be looked at or moved", route=route)
            return f"{type(exc).__name__}: {exc}"
        return ""

    async def _fly(self, route: str, plan: RolloutPlan, rollout: Rollout) -> None:
        now = self.clock()
        here = situation(rollout, plan)
        judgement = self._judged(route, plan, now) if rollout.is_exposed else None
        standing = self.certificates.standing(route) if here is Situation.WAITING else None
        look = Look(
            verdict=judgement.verdict if judgement else None,
            reason=judgement.reason if judgement else "",
            standing=standing,
            now=now,
            windows=judgement.windows if judgement else 0,
            tripped=self._tripped(route, plan, now) if rollout.is_exposed else "",
        )
        is_fault = judgement is not None and judgement.verdict is Verdict.FAULT
        if self._is_to_tell("no verdict", route, now, goes_on=is_fault):
            log.warning("no verdict", route=route, reason=look.reason)
        due = wanted(rollout, plan, look)
        blocked = self._blocked(route, plan, rollout, due, now) if due is not None else ()
        if self._is_to_tell("a move waits", route, now, goes_on=bool(blocked)):
            log.info("a move waits", route=route, reasons=blocked)
        if blocked:
            self.waiting[route] = blocked
        else:
            self.waiting.pop(route, None)
        after, commands = advance(rollout, plan, replace(look, blocked=blocked))
        if commands:
            await self.positions.perform(route, after, commands, judgement)

    def _is_to_tell(self, what: str, route: str, now: float, *, goes_on: bool) -> bool:
        """Whether to log it: when it begins, and once in REMIND while it goes on."""
        if not goes_on:
            self._told.pop((what, route), None)
            return False
        told = self._told.get((what, route))
        if told is not None and 0 <= now - told < REMIND:
            return False
        self._told[what, route] = now
        return True

    def _blocked(self, route: str, plan: RolloutPlan, rollout: Rollout, move: Move, now: float) -> tuple[str, ...]:
        """What stands against a move: the plan's own reasons, else those of the first veto that has some."""
        found = hindrances(rollout, plan, move, now)
        for veto in self.vetoes:
            if found:
                break
            try:
                found = tuple(veto.reasons(route, rollout, move, now))
            except Exception as exc:  # who cannot answer has not agreed
                log.exception("a veto cannot be asked", route=route, veto=type(veto).__name__)
                found = (f"{type(veto).__name__} cannot be asked: {type(exc).__name__}: {exc}",)
        return found

    def _tripped(self, route: str, plan: RolloutPlan, now: float) -> str:
        for alarm in self.alarms:
            try:
                if why := alarm.tripped(route, plan, now):
                    return why
            except Exception:  # the others and the gate itself still decide
                log.exception("what would be fatal cannot be seen", route=route, alarm=type(alarm).__name__)
        return ""

    def _judged(self, route: str, plan: RolloutPlan, now: float) -> Judgement:
        try:
            return self.gates.judge(route, now)
        except Exception as exc:
            log.exception("a gate cannot be asked", route=route, gate=plan.gate)
            return fault(route, plan.gate, f"the gate cannot be asked: {type(exc).__name__}: {exc}", 0.05, now)
