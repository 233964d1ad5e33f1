"""Runs probes: their scripts through, on both sides at once, within bounded time and not many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.probing.asking import Question
from proxy.probing.findings import Finding, SideFinding
from proxy.probing.judging import NoReply, Reply
from proxy.probing.script import Script
from proxy.probing.sending import Sender
from proxy.rulebook import Rulebook
from rules.probes import Probe
from rules.stages import Side
from rules.table import Table
from shadow.spec import Redact

AT_ONCE = 8
"""Probes under way together: they are no load test."""
LARGE = 64 * 1024
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What probes stand on: where requests lead, and what is not to be shown."""

    table: Table
    probes: Mapping[str, Probe]
    given: Mapping[str, str] = field(repr=False)
    redacts: Mapping[str, tuple[Redact, ...]]
    """By probe: those of the comparisons of the routes that it guards."""


def ground(rulebook: Rulebook, table: Table) -> Ground:
    """Of a rules file that holds."""
    routes = {route.name: route for route in rulebook.rules.routes}
    redacts = {
        name: tuple(
            rulebook.comparisons[compare].redact
            for route in probe.routes
            if route in routes and (compare := routes[route].shadow.compare) in rulebook.comparisons
        )
        for name, probe in rulebook.probes.items()
    }
    return Ground(table, rulebook.probes, rulebook.given, redacts)


def sides_of(probe: Probe, only: Side | None = None) -> tuple[Side, ...]:
    """Whom a probe asks."""
    if only is not None:
        return (only,)
    return (Side.LEGACY, Side.CANDIDATE) if probe.sides == "both" else (Side.CANDIDATE,)


class Runner:
    """`wall` is in seconds since the epoch, `now` monotonic; `chance` makes ``{run}``: random bytes, as os.urandom.
    `fault` hears of what fig itself failed at."""

    def __init__(
        self,
        sender: Sender,
        wall: Callable[[], float],
        now: Callable[[], float],
        chance: Callable[[int], bytes],
        fault: Callable[[Exception], object] = lambda exc: None,
    ) -> None:
        self._sender = sender
        self._wall = wall
        self._now = now
        self._chance = chance
        self._fault = fault
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, ground: Ground, name: str, sides: Sequence[Side]) -> Finding:
        """One run of one probe on these sides."""
        probe = ground.probes[name]
        async with self._room:
            at = self._wall()
            found = await asyncio.gather(*(self._side(ground, name, probe, side) for side in sides))
        return Finding(name, probe.routes, probe.critical, at, tuple(found))

    async def _side(self, ground: Ground, name: str, probe: Probe, side: Side) -> SideFinding:
        began = self._now()
        script = Script(
            *(ground.table, name, probe, side, self._chance(6).hex()),
            given=ground.given,
            redacts=ground.redacts.get(name, ()),
        )
        try:
            async with asyncio.timeout(probe.timeout):
                while (question := script.question()) is not None:
                    await _take(script, question, await self._sender.send(question))
        except TimeoutError:
            script.late()
        except Exception as exc:  # whatever it is, it must not look as if the probe had not been run
            self._fault(exc)
            script.broken(exc)
        return script.finding(self._now() - began)


async def _take(script: Script, asked: Question, reply: Reply | NoReply) -> None:
    """Have an answer judged; a large one, which takes half a second, beside the loop, and to its end in any case."""
    if isinstance(reply, NoReply) or len(reply.body) < LARGE:
        script.take(asked, reply)
        return
    work = asyncio.ensure_future(asyncio.to_thread(script.take, asked, reply))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        raise
