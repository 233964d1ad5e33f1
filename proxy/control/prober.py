"""Runs the probes of routes that are about to have, or have, traffic on the candidate; keeps what came of them last.

A probe is run when the pilot would give one of its routes a first share, and then at its `every` until none of them is
exposed any more. As a Veto it stands against every move forward of a route without a fresh pass on the candidate; as
an Alarm it rings for a critical probe that has failed there twice in a row. What was found under other rules counts for
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from canary.plan import RolloutPlan
from canary.rollout import Move, Rollout
from proxy.control.book import Book
from proxy.control.flight import PILOT
from proxy.control.store import StoreError
from proxy.control.table_in_force import TableInForce
from proxy.probing.findings import Finding, Result
from proxy.probing.report import finding_document
from proxy.probing.running import Runner, ground, sides_of
from proxy.probing.sending import Sender
from proxy.rulebook import Rulebook
from rules.probes import Probe
from rules.quantities import duration_text

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.25
"""Seconds between two looks for probes that are due."""
ASKED_FOR = 5.0
"""Seconds for which a move that waits for a probe has it run; the pilot asks again while it waits."""
SURE_AFTER = 2
"""Failures in a row on the candidate until a critical probe is harm: one may be a lost packet."""


class Noting(Protocol):
    """The part of proxy.control.desk.Desk that is used here."""

    @property
    def book(self) -> Book: ...

    async def note(self, name: str, action: str, actor: str, why: str, evidence: Mapping[str, Any]) -> object: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What came of a probe last."""

    rulebook: Rulebook
    """The one that it was run by: with another, it was another probe, or of another candidate."""
    finding: Finding
    failures: int
    """Runs in a row that the candidate failed and legacy, if it was asked, passed."""


class Prober:
    """Implements canary.pilot.Veto and Alarm."""

    def __init__(
        self,
        desk: Noting,
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`wall` is in seconds since the epoch, `now` monotonic."""
        self._desk = desk
        self._wall = wall
        self._now = now
        self._chance = chance
        self._known: dict[str, Known] = {}
        self._asked: dict[str, float] = {}
        """Route -> when a move of it was last held up for its probes."""
        self._wanted = asyncio.Event()
        """A move is held up that was not before."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._table = TableInForce(lambda: desk.book.effective)
        self._compiling = asyncio.Lock()

    # --- what others ask ----------------------------------------------------------------------------------------------

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        """Why the route may not have more traffic: probes that have not passed on the candidate, or not lately."""
        found = [why for name, probe in self._guarding(route) if (why := self._why_not(name, probe, now))]
        if found and route not in self._asked:
            self._wanted.set()
        if found:
            self._asked[route] = now
        return found

    def tripped(self, route: str, plan: RolloutPlan, now: float) -> str:
        """Which critical probe fails on the candidate, and surely so; ``""`` where none does."""
        for name, probe in self._guarding(route):
            known = self.known(name)
            if known is not None and probe.critical and known.failures >= SURE_AFTER and self._is_fresh(known, now):
                return f"critical {known.finding.reason}"
        return ""

    def known(self, name: str) -> Known | None:
        """What came of a probe under the rules in force."""
        known = self._known.get(name)
        return known if known is not None and known.rulebook is self._desk.book.rulebook else None

    def documents(self, route: str) -> list[dict[str, Any]]:
        """For the status of a route: each probe that guards it, and what came of it last."""
        return [self._document(name) for name, _ in self._guarding(route)]

    def findings(self) -> list[Finding]:
        """The last of every probe, under the rules in force."""
        return [known.finding for name in self._probes() if (known := self.known(name)) is not None]

    # --- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        sender = Sender(self._now)
        runner = Runner(sender, self._wall, self._now, self._chance, _failed)
        try:
            while True:
                self.look(runner)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), LOOK_EVERY)
                self._wanted.clear()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            await sender.close()

    def look(self, runner: Runner) -> None:
        """Begin to run what is due."""
        book, now = self._desk.book, self._wall()
        if book.rulebook is None:
            return
        self._asked = {route: at for route, at in self._asked.items() if 0 <= now - at < ASKED_FOR}
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        for name in [name for name in self._known if self.known(name) is None]:
            del self._known[name]  # it would keep a former rulebook alive, which may be large
        for name, probe in book.rulebook.probes.items():
            if name not in self._running and self._is_due(name, probe, book, now):
                self._running[name] = asyncio.create_task(self._probe(runner, name, book.rulebook))

    def _is_due(self, name: str, probe: Probe, book: Book, now: float) -> bool:
        if not any(self._is_wanted(route, book) for route in probe.routes):
            return False
        known = self.known(name)
        if known is None or (probe.critical and 0 < known.failures < SURE_AFTER):
            return True
        return not 0 <= now - known.finding.at < probe.every

    def _is_wanted(self, route: str, book: Book) -> bool:
        standing = book.standings.get(route)
        return route in self._asked or (standing is not None and standing.rollout.is_exposed)

    async def _probe(self, runner: Runner, name: str, rulebook: Rulebook) -> None:
        try:
            async with self._compiling:
                table = await asyncio.to_thread(self._table.table)
            finding = await runner.run(ground(rulebook, table), name, sides_of(rulebook.probes[name]))
        except Exception:  # a pass of before must not go on counting
            log.exception("a probe failed in itself", probe=name)
            finding = Finding(name, rulebook.probes[name].routes, rulebook.probes[name].critical, self._wall(), ())
        if rulebook is not self._desk.book.rulebook:
            return  # other rules came meanwhile, and perhaps another table
        before = self.known(name)
        failed = finding.result is Result.CANDIDATE_FAILS
        failures = (before.failures if before is not None else 0) + 1 if failed else 0
        self._known[name] = Known(rulebook, finding, failures)
        if before is None or before.finding.result is not finding.result:
            await self._tell(finding)

    async def _tell(self, finding: Finding) -> None:
        """The log and the history hear of what changed."""
        tell = log.info if finding.result is Result.PASSED else log.warning
        tell("probed", probe=finding.probe, result=finding.result.value, reason=finding.reason)
        book = self._desk.book
        for route in finding.routes:
            if not self._is_wanted(route, book):
                continue
            try:
                await self._desk.note(route, "probe", PILOT, finding.reason, {"probe": finding_document(finding)})
            except (StoreError, OSError) as exc:
                log.error("what came of a probe is not in the history", probe=finding.probe, problem=str(exc))

    # --- what is known ------------------------------------------------------------------------------------------------

    def _probes(self) -> Mapping[str, Probe]:
        rulebook = self._desk.book.rulebook
        return rulebook.probes if rulebook is not None else {}

    def _guarding(self, route: str) -> Iterator[tuple[str, Probe]]:
        return ((name, probe) for name, probe in self._probes().items() if route in probe.routes)

    def _is_fresh(self, known: Known, now: float) -> bool:
        return 0 <= now - known.finding.at < self._probes()[known.finding.probe].fresh

    def _why_not(self, name: str, probe: Probe, now: float) -> str:
        known = self.known(name)
        if known is None:
            return f"probe '{name}' has not been run on this candidate yet"
        if not known.finding.passes:
            return known.finding.reason
        if not self._is_fresh(known, now):
            return f"probe '{name}' has not passed on the candidate for {duration_text(probe.fresh)}"
        return ""

    def _document(self, name: str) -> dict[str, Any]:
        known = self.known(name)
        if known is None:
            return {"name": name, "result": None, "at": None, "reason": "not run yet"}
        finding = known.finding
        return {"name": name, "result": finding.result.value, "at": finding.at, "reason": finding.reason}


def _failed(exc: Exception) -> None:
    log.error("a probe failed in itself", exc_info=exc)
