"""Delivers the copies that the journal owes: takes those that may go, sends, records what came of it, goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from proxy.shadower.counts import Counts, Gauge
from proxy.shadower.insist import insist
from proxy.shadower.learning import Learning
from proxy.shadower.questions import Questions
from proxy.shadower.renaming import Renaming
from proxy.shadower.services import Place, Pressure
from proxy.shadower.tables import Tables
from rules.service import Service
from rules.stages import Side
from shadow.delivery.backlog import Lane, tried, window_of
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.identities import UnfitPathError, UnknownIdError
from shadow.delivery.read_back import Finding
from shadow.delivery.retry import Answered, Attempt, Lost, Policy, Step, Unsendable, Unsent, judge
from shadow.journal.doubt_tables import UNPAIRED
from shadow.journal.journal import Journal, JournalError, UnfitError
from shadow.journal.writes import Copy, Settlement, State
from shadow.pair import Answer
from shadow.sealing import SealError

log = structlog.get_logger(__name__)

_Lane = tuple[str, Side]
WAIT_FOR_ID = 10.0
"""Seconds that a copy waits for the delivery that teaches an id which it names."""
LOOK_FOR_ID = 0.1
READ_AGAIN = 1.0
"""Seconds after which a list of copies is read again that could not be read."""
DROPPING = 0.05
"""Seconds until a copy is looked at again whose dropping the journal has not recorded yet."""


class Deliveries:
    """One lane per route and receiving side. `on_end` is told of each copy that has come to its end."""

    def __init__(
        self,
        journal: Journal,
        sender: Sender,
        tables: Tables,
        counts: Counts,
        *,
        on_end: Callable[[Copy, State], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float],
        policy: Policy,
        questions: Questions,
        renaming: Renaming,
    ) -> None:
        self._journal = journal
        self._sender = sender
        self._tables = tables
        self._counts = counts
        self._on_end = on_end
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._policy = policy
        self._questions = questions
        self._renaming = renaming
        self._learning = Learning(journal, questions, renaming, counts, policy, chance)
        self._unknown: dict[int, float] = {}
        """Sequences of copies that name an id which is not learnt -> since when, on the clock."""
        self._unanswered: dict[int, float] = {}
        """Sequences of copies of which nobody knows whether they arrived -> since when, on the clock."""
        self._lanes: dict[_Lane, Lane] = {}
        self._pressure: dict[str, Pressure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0
        self._pumping = False
        """Whether `pump` is about to be called anyway."""
        self._closing = False
        self._owed: Counter[Side] | None = None
        """Copies that are owed to each side, of all routes; None until they are counted."""
        self._sending: set[int] = set()
        """Sequences of copies that are being sent."""
        self._dropping: set[int] = set()
        """Sequences of copies that a person drops: not begun any more, though the journal may not know it yet."""

    async def start(self) -> dict[str, int]:
        """Take up what a predecessor left; how many copies are owed per route. Raises JournalError."""
        owed: dict[str, int] = {}
        sides: Counter[Side] = Counter()
        for route, side, newest, count in await self._journal.lanes():
            self._lanes[route, side] = Lane(owed=count, newest=newest)
            owed[route] = owed.get(route, 0) + count
            sides[side] += count
        self._owed = sides
        self.pump()
        return owed

    def owes_any(self, side: Side) -> bool:
        """Whether a copy of any route is, or may be, owed to that side."""
        return self._owed is None or self._owed[side] > 0

    def gauges(self) -> list[Gauge]:
        """Services whose copies are tried one at a time, and why, for control."""
        named = {found[0] for line in self._lanes if (found := self._tables.service(*line)) is not None}
        return [
            ("deliveries_held_back", (("service", name), ("reason", reason)), float(pressure.held_back == reason))
            for name, pressure in self._pressure.items()
            if name in named
            for reason in ("connections", "failing")
        ]

    def offer(self, copy: Copy) -> None:
        """A copy that is owed from now on."""
        self._lanes.setdefault((copy.route, copy.to), Lane()).offer(copy)
        self._add_owed(copy.to, 1)
        self._pump_soon()

    async def drop(self, sequences: Collection[int], *, who: str, why: str) -> list[Settlement]:
        """Give up copies, dead or owed, for good. Raises JournalError, UnfitError: then nothing is changed."""
        if busy := self._sending.intersection(sequences):
            raise UnfitError(f"the copy of write {min(busy)} is being sent just now; try again")
        self._dropping.update(sequences)
        try:
            owed, settled = await self._journal.drop(sequences, who=who, why=why, now=self._wall())
            for copy in owed:
                self._lanes[copy.route, copy.to].drop(copy)
                self._add_owed(copy.to, -1)
                self._unanswered.pop(copy.sequence, None)
                self._unknown.pop(copy.sequence, None)
        finally:
            self._dropping.difference_update(sequences)
        for copy in owed:
            self._count(copy, "dropped")
            self._on_end(copy, State.DEAD)
        self.pump()
        return settled

    def pump(self) -> None:
        """Send everything that may go. To be called after whatever may have made room; never waits."""
        self._pumping = False
        if self._closing:
            return
        now = self._clock()
        wake: list[float] = []
        # Without those that owe nothing, so that a thousand idle routes cost each copy next to nothing.
        lanes = [(line, lane) for line, lane in self._lanes.items() if lane.owed]
        window = window_of(len(lanes))
        self._turn += 1  # so that the first lane of a service does not always take all of its room
        for index in range(len(lanes)):
            (route, side), lane = lanes[(index + self._turn) % len(lanes)]
            lane.window = window
            found = self._tables.service(route, side)
            if found is None:  # not in the rules now; its copies wait until it is again
                continue
            name, service = found
            pressure = self._pressure.setdefault(name, Pressure())
            if (after := lane.ask()) is not None:
                self._spawn(self._load(route, side, lane, after))
            for copy in lane.take(now, pressure.room(now)):
                if copy.sequence in self._dropping:
                    lane.again(copy, now + DROPPING)
                    continue
                self._sending.add(copy.sequence)
                terms = self._tables.window_digest(copy.route)  # another table may hold when the answer is there
                self._spawn(self._deliver(lane, copy, pressure, Place(pressure), service, terms))
            wake += [at for at in (lane.wake, pressure.until) if at is not None and at > now]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(min(wake), self.pump) if wake else None

    def _pump_soon(self) -> None:
        """Once for all copies that came or ended in this turn of the loop."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    async def stop(self, seconds: float) -> None:
        """Begin nothing more; give what is under way that long. What is cut off then is found by the successor."""
        self._closing = True
        self._learning.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=seconds)
            for task in left:
                task.cancel()
            if left:
                log.warning("deliveries were still under way when the drain ended", count=len(left))
                await asyncio.gather(*left, return_exceptions=True)

    async def _load(self, route: str, side: Side, lane: Lane, after: int) -> None:
        try:
            lane.page(await self._journal.owed(route, side, after, lane.window))
        except JournalError as exc:
            self._counts.add("journal_errors", what="read")
            log.error("what is owed could not be read", route=route, problem=str(exc))
            await asyncio.sleep(READ_AGAIN)
            lane.page(None)  # only now: until then nobody asks again
        self.pump()

    async def _deliver(
        self, lane: Lane, copy: Copy, pressure: Pressure, place: Place, service: Service, terms: str
    ) -> None:
        try:
            await self._try(lane, copy, pressure, place, service, terms)
        finally:
            place.leave()
            self._sending.discard(copy.sequence)
            self._pump_soon()

    async def _try(
        self, lane: Lane, copy: Copy, pressure: Pressure, place: Place, service: Service, terms: str
    ) -> None:
        """One attempt at one copy, and what it makes of it."""
        sequence = copy.sequence
        dedupe = self._tables.writes(copy.route).dedupe is not None
        was_open = pressure.is_open
        if copy.unanswered and not dedupe:
            await self._ask(lane, copy)
            return
        try:
            request = self._request(copy)
        except (UnknownIdError, UnfitPathError) as exc:
            since = self._unknown.setdefault(sequence, self._clock())
            if isinstance(exc, UnknownIdError) and self._clock() - since < WAIT_FOR_ID:
                lane.again(tried(copy, copy.attempts), self._clock() + LOOK_FOR_ID)  # its write may be under way
                return
            attempt: Attempt = Unsendable(str(exc))
        except JournalError as exc:
            self._counts.add("journal_errors", what="read")
            log.error("a copy could not be read", sequence=sequence, problem=str(exc))
            lane.again(tried(copy, copy.attempts), self._clock() + 1.0)
            return
        except (SealError, msgspec.MsgspecError) as exc:
            attempt = Unsendable(f"cannot be opened: {exc}")
        else:
            if not dedupe:  # durable first: found at a start, it says that the copy may have been sent
                await insist("attempt", lambda: self._journal.begin_attempt(sequence), self._counts)
            attempt = await self._sender.send(request, service, repeatable=dedupe)
        step = judge(attempt, copy.attempts, dedupe=dedupe, tried=copy.tries > 0, policy=self._policy)
        if isinstance(attempt, Unsent):
            pressure.refused(self._clock(), self._policy, self._chance)
        else:
            pressure.connected()
        if isinstance(attempt, Answered | Lost):
            failed = step.attempts > copy.attempts
            self._weigh(copy, pressure, failing=failed or isinstance(attempt, Lost))
            if failed and was_open:  # it says something about the service, and nothing about this copy
                step = Step(None, copy.attempts, step.reason)
        place.answered()
        self._pump_soon()
        if isinstance(attempt, Lost) and not dedupe and self._questions.rule(copy.route) is not None:
            # Neither repeated nor given up, but asked about. That it was sent stands in the journal already.
            lane.again(replace(tried(copy, copy.attempts), unanswered=True), self._clock())
            return
        if step.state is None:
            self._count(copy, "again")
            if not dedupe or step.attempts != copy.attempts:
                await insist("attempt", lambda: self._journal.end_attempt(sequence, step.attempts), self._counts)
            # A service that takes no connections is waited for as a whole, by its Pressure.
            delay = 0.0 if isinstance(attempt, Unsent) else self._policy.delay(copy.tries, self._chance())
            lane.again(tried(copy, step.attempts), self._clock() + delay)
            return
        answer, reason = step.answer, step.reason
        if not copy.paired:
            answer, reason = None, f"{UNPAIRED}{reason or 'the other answer is only known by read-back'}"
        if step.state is State.DELIVERED and step.answer is not None:
            await self._learning.learn(copy, step.answer)
        await self._end(lane, copy, step.state, attempts=step.attempts, answer=answer, reason=reason, terms=terms)

    def _weigh(self, copy: Copy, pressure: Pressure, *, failing: bool) -> None:
        """What an attempt that was sent says about its service."""
        was_open = pressure.is_open
        if failing:
            pressure.fails(copy.sequence, self._clock(), self._policy, self._chance)
        else:
            pressure.answered()
        if pressure.is_open != was_open:
            said = "fails every copy; they wait" if pressure.is_open else "takes copies again"
            log.warning(f"a service {said}", route=copy.route, side=copy.to.value)

    async def _ask(self, lane: Lane, copy: Copy) -> None:
        """Whether a copy that got no answer has arrived: sent again only where it certainly has not."""
        sequence, attempts = copy.sequence, copy.attempts
        since = self._unanswered.setdefault(sequence, self._clock())
        waited = self._clock() - since
        reply = await self._questions.ask(
            sequence, copy.route, copy.to, of_copy=True, waited=waited, overtaken=False, now=self._wall()
        )
        if reply.finding is Finding.UNKNOWN and waited < self._questions.patience(copy.route, copy.to):
            lane.again(tried(copy, attempts), self._clock() + self._policy.delay(copy.tries, self._chance()))
            return
        del self._unanswered[sequence]
        if reply.finding is Finding.APPLIED:
            if reply.answer is not None:
                await self._learning.learn(copy, reply.answer)
            state, reason = State.DELIVERED, f"{UNPAIRED}applied, by read-back ({reply.why})"
        elif reply.finding is Finding.UNKNOWN:
            state, reason = State.IN_DOUBT, f"copy without an answer; read-back: {reply.why}"
        else:
            attempts += 1
            if attempts < self._policy.failures:
                self._count(copy, "again")
                await insist("attempt", lambda: self._journal.end_attempt(sequence, attempts), self._counts)
                delay = self._policy.delay(attempts, self._chance())
                lane.again(replace(tried(copy, attempts), unanswered=False), self._clock() + delay)
                return
            state, reason = State.DEAD, f"sent {attempts} times without an answer, and not applied ({reply.why})"
        await self._end(lane, copy, state, attempts=attempts, answer=None, reason=reason)

    async def _end(
        self,
        lane: Lane,
        copy: Copy,
        state: State,
        *,
        attempts: int,
        answer: Answer | None,
        reason: str,
        terms: str = "",
    ) -> None:
        """The copy is delivered, dead or in doubt. `terms`: of pairs when an answer that is compared was asked for."""
        sequence = copy.sequence
        self._unknown.pop(sequence, None)
        await insist(
            "delivery",
            lambda: self._journal.finish(
                sequence, state, attempts=attempts, answer=answer, reason=reason, now=self._wall(), terms=terms
            ),
            self._counts,
        )
        self._count(copy, state.value)
        if state is not State.DELIVERED:
            log.warning("a copy was not delivered", route=copy.route, sequence=sequence, state=state, reason=reason)
        lane.done(copy)
        self._add_owed(copy.to, -1)
        self._on_end(copy, state)

    def _add_owed(self, side: Side, count: int) -> None:
        if self._owed is not None:
            self._owed[side] += count

    def _request(self, copy: Copy) -> CopyRequest:
        method, original = self._journal.original(copy.sequence)
        said = original.copy or original
        request = CopyRequest(
            copy.to,
            method,
            said.target,
            said.host,
            said.headers,
            original.body,
            original.request_id,
            original.idempotency_key,
        )
        return self._renaming.request(copy.route, request, original)

    def _count(self, copy: Copy, result: str) -> None:
        self._counts.add("deliveries", route=copy.route, side=copy.to.value, result=result)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a delivery failed in itself; its key waits for a restart", exc_info=error)
